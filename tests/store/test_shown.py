from __future__ import annotations

import pytest

from store.database import Database
from store.shown import Cursor, WrittenJoke, find_pictures, next_pictures, show_pictures
from store.tables import Boke, Odai
from store.types import now
from tests.store.pictures import digest, keep

HIDDEN: list[dict[str, object]] = [{"source": "chat"}, {"flagged": True}, {"missing_since": now()}]


def found(database: Database, *words: str, stars: float | None = None) -> list[int]:
    return sorted(int(each, 16) for each in find_pictures(database, words, stars))


def test_only_what_is_for_everybody(any_database: Database) -> None:
    for number, facts in enumerate(HIDDEN):
        keep(any_database, number, {"text": "猫", **facts})
    keep(any_database, 10)
    keep(any_database, 11, {"text": "猫と犬"}, *[{"text": f"猫{n}", **facts} for n, facts in enumerate(HIDDEN)])
    assert found(any_database, "猫") == [11]
    all_of_them = [digest(number) for number in (0, 1, 2, 10, 11, 12)]
    [picture] = show_pictures(any_database, all_of_them, jokes=5)
    assert (picture.digest, picture.path, picture.width, picture.height) == (digest(11), "pictures/11.jpg", 3, 2)
    assert picture.jokes == (WrittenJoke("猫と犬", None),)


def test_words_are_found(any_database: Database) -> None:
    keep(any_database, 1, {"text": "猫が寝る", "stars": 2.0}, {"text": "犬も", "stars": 9.0})
    keep(any_database, 2, {"text": "A Cat on 100% wool"})
    keep(any_database, 3, {"text": "無題", "category": "猫の日"})
    with any_database.session() as session:
        for number, facts in enumerate([{"title": "猫に「　」"}, {"category": "猫"}, {}]):
            odai = Odai(source="bokete", external_id=str(number), **facts)
            session.add(odai)
            session.flush()
            session.add(Boke(source="bokete", odai_id=odai.id, text="猫はまだ", text_hash=number))  # no picture yet
    keep(any_database, 4, {"odai_id": 1})
    keep(any_database, 5, {"odai_id": 2})
    keep(any_database, 6, {"odai_id": 3})
    assert found(any_database, "猫") == [1, 3, 4, 5]
    assert found(any_database, "猫", "寝") == [1]
    assert found(any_database, "猫", "犬") == [], "of two jokes"
    assert found(any_database, "cAT") == [2]
    assert found(any_database, "%") == [2]
    assert found(any_database, "_") == found(any_database, "/") == found(any_database, "'") == []
    assert found(any_database, "猫", stars=2.0) == [1]
    assert found(any_database, "猫", stars=3.0) == [], "the joke with the word has fewer"
    assert found(any_database) == [1, 2, 3, 4, 5, 6]


def test_jokes_with_the_words_then_those_with_the_most_stars(any_database: Database) -> None:
    starred = [{"text": f"星{stars}", "stars": stars} for stars in (2.5, 0.0, 12.0, 3.0)]
    twice = [{"text": "星3.0", "stars": 1.0, "external_id": "again"}]  # of another file
    keep(any_database, 1, {"text": "星なし"}, *starred, *twice)
    [picture] = show_pictures(any_database, [digest(1)], jokes=4)
    assert picture.jokes == tuple(WrittenJoke(f"星{stars}", stars) for stars in (12.0, 3.0, 2.5, 0.0))
    [picture] = show_pictures(any_database, [digest(1)], jokes=9)
    assert picture.jokes[4:] == (WrittenJoke("星なし", None),)
    [picture] = show_pictures(any_database, [digest(1)], jokes=3, words=["星", "な"])
    assert [joke.text for joke in picture.jokes] == ["星なし", "星12.0", "星3.0"]


def test_pictures_come_in_the_order_that_was_asked_for(any_database: Database) -> None:
    for number in range(5):
        keep(any_database, number, {})
    for order in ([3, 1, 4], [0, 4, 2], []):
        shown = show_pictures(any_database, [digest(number) for number in order], jokes=1)
        assert [int(picture.digest, 16) for picture in shown] == order


def walk(pictures: list[str], seed: int, count: int) -> list[str]:
    seen: list[str] = []
    cursor: Cursor | None = Cursor(seed)
    while cursor:
        some, cursor = next_pictures(pictures, cursor, count)
        assert some
        seen += some
    return seen


def test_each_picture_comes_once_in_an_order_of_its_own() -> None:
    pictures = [digest(number) for number in range(23)]
    orders = [walk(pictures, seed, 4) for seed in range(3)]
    assert [sorted(order) for order in orders] == [pictures] * 3
    assert len({tuple(order) for order in (*orders, pictures)}) == 4
    assert walk(pictures[::-1], 0, 23) == orders[0], "the order is the seed's"
    assert next_pictures([], Cursor(0), 4) == ([], None)


def test_what_comes_and_goes_meanwhile_moves_nothing() -> None:
    pictures = [digest(number) for number in range(20)]
    order = walk(pictures, 7, 20)
    some, cursor = next_pictures(pictures, Cursor(7), 5)
    assert cursor is not None
    changed = [*pictures, digest(99)]
    changed.remove(some[-1])  # the one that the cursor names
    rest, _ = next_pictures(changed, cursor, 50)
    assert [each for each in rest if each != digest(99)] == order[5:]


def test_a_cursor_is_text() -> None:
    cursor = Cursor(2**64 - 1, digest(5))
    assert Cursor.parse(str(cursor)) == cursor
    wrong = ["", "x", str(Cursor(1)), f"{cursor}0", str(cursor).upper(), f"{cursor}\n", f"-{cursor}"]
    assert [Cursor.parse(text) for text in wrong] == [None] * len(wrong)


@pytest.mark.parametrize("word", ["猫", "%"])
def test_an_empty_corpus(any_database: Database, word: str) -> None:
    assert found(any_database, word) == []
    assert show_pictures(any_database, [digest(1)], jokes=1) == ()

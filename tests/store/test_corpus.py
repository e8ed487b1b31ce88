from __future__ import annotations

from typing import Any

from store.corpus import SplitCounts, WrittenJoke, count_splits, draw_pictures, find_picture, split_of
from store.database import Database
from store.tables import Boke, Picture
from store.text import text_hash
from store.types import now


def digest(number: int) -> str:
    return f"{number:064x}"


def keep(database: Database, number: int, *jokes: dict[str, Any]) -> None:
    """A picture with its jokes."""
    with database.session() as session:
        session.add(Picture(digest=digest(number), path=f"pictures/{number}.jpg", width=1, height=1, bytes=1))
        session.flush()
        for joke in jokes:
            values = {"source": "import", "text": "ボケ", **joke}
            session.add(Boke(picture_digest=digest(number), text_hash=text_hash(values["text"]), **values))


def drawn(database: Database, split: str, count: int = 50, share: float = 0.5) -> set[str]:
    assert split in ("train", "dev")
    found = draw_pictures(database, "dev" if split == "dev" else "train", count, dev_share=share, jokes=5)
    assert len({picture.digest for picture in found}) == len(found)
    return {picture.digest for picture in found}


def test_both_sides_are_counted_and_drawn_by_the_same_rule(any_database: Database) -> None:
    for number in range(40):
        keep(any_database, number, *[{"text": f"ボケ{joke}"} for joke in range(1 + number % 3)])
    dev = {digest(n) for n in range(40) if split_of(digest(n), 0.5) == "dev"}
    jokes = {digest(n): 1 + n % 3 for n in range(40)}
    counts = count_splits(any_database, 0.5)
    assert counts["dev"] == SplitCounts(len(dev), sum(jokes[d] for d in dev))
    assert counts["train"] == SplitCounts(40 - len(dev), sum(jokes.values()) - counts["dev"].jokes)
    assert drawn(any_database, "dev") == dev
    assert drawn(any_database, "train") == set(jokes) - dev
    assert len(drawn(any_database, "train", 3)) == 3
    assert len({frozenset(drawn(any_database, "train", 3)) for _ in range(20)}) > 1, "they are drawn at random"


def test_a_files_word_on_the_side_of_a_picture(any_database: Database) -> None:
    keep(any_database, 1, {"split": "dev"}, {"text": "二つめ"})
    keep(any_database, 2, {"split": "train"})
    keep(any_database, 3, {"split": "train"}, {"text": "二つめ", "split": "dev"})  # no agreement: the hash decides
    assert drawn(any_database, "dev", share=0.0) == {digest(1)}
    assert count_splits(any_database, 0.0) == {"train": SplitCounts(2, 3), "dev": SplitCounts(1, 2)}
    assert drawn(any_database, "train", share=1.0) == {digest(2)}


def test_the_jokes_with_the_most_stars(any_database: Database) -> None:
    starred = [{"text": f"星{stars}", "stars": stars} for stars in (2.5, 0.0, 12.0, 3.0)]
    twice = [{"text": "星3.0", "stars": 1.0, "external_id": "again"}]  # of another file
    keep(any_database, 1, {"text": "星なし"}, *starred, *twice)
    [picture] = draw_pictures(any_database, "train", 9, dev_share=0.0, jokes=4)
    assert (picture.digest, picture.path) == (digest(1), "pictures/1.jpg")
    assert picture.jokes == tuple(WrittenJoke(f"星{stars}", stars) for stars in (12.0, 3.0, 2.5, 0.0))
    [picture] = draw_pictures(any_database, "train", 9, dev_share=0.0, jokes=9)
    assert picture.jokes[4:] == (WrittenJoke("星なし", None),)


def test_what_is_not_for_everybody_is_not_shown(any_database: Database) -> None:
    hidden: list[dict[str, Any]] = [{"source": "chat"}, {"flagged": True}, {"missing_since": now()}]
    for number, facts in enumerate(hidden):
        keep(any_database, number, facts)
    keep(any_database, 10)
    keep(any_database, 11, {"text": "見せる"}, *[{"text": f"隠す{n}", **facts} for n, facts in enumerate(hidden)])
    assert drawn(any_database, "train", share=0.0) == {digest(11)}
    [picture] = draw_pictures(any_database, "train", 9, dev_share=0.0, jokes=5)
    assert [joke.text for joke in picture.jokes] == ["見せる"]
    assert find_picture(any_database, digest(11)) == "pictures/11.jpg"
    assert [find_picture(any_database, digest(number)) for number in (0, 1, 2, 10, 12)] == [None] * 5


def test_what_is_no_digest_finds_nothing(any_database: Database) -> None:
    keep(any_database, 0xA, {})
    assert find_picture(any_database, digest(0xA)) is not None
    for wrong in ("", digest(0xA).upper(), digest(0xA) + "\n", digest(0xA)[:-1], "%", "../secret", "\0" * 64):
        assert find_picture(any_database, wrong) is None


def test_an_empty_corpus(any_database: Database) -> None:
    assert draw_pictures(any_database, "train", 5, dev_share=0.1, jokes=5) == ()
    assert count_splits(any_database, 0.1) == {"train": SplitCounts(), "dev": SplitCounts()}

"""Whose joke is this?"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event

from store.crawled import find_known
from store.database import Database
from store.tables import Boke, Odai
from store.text import text_hash
from store.types import now


def know(database: Database, text: str, **values: object) -> None:
    with database.session() as session:
        odai = Odai(source="bokete", external_id=text)
        session.add(odai)
        session.flush()
        session.add(
            Boke(**{"source": "bokete", "text": text, "text_hash": text_hash(text), "odai_id": odai.id, **values})
        )


def test_texts_that_read_the_same_are_found_with_their_address(any_database: Database) -> None:
    know(any_database, "「定時です。」", url="https://bokete.jp/boke/1")
    know(any_database, "残業ＯＫ", source="items")
    found = find_known(any_database, ["定時です", "定時です!", "定時でした", "残業ok", ""])
    assert found == {
        "定時です": "https://bokete.jp/boke/1",
        "定時です!": "https://bokete.jp/boke/1",
        "残業ok": None,
    }
    assert find_known(any_database, []) == {}


def test_the_first_that_still_stands_there_is_named(any_database: Database) -> None:
    know(any_database, "猫", url="https://b/1", missing_since=now() - timedelta(days=1))
    know(any_database, "猫!", url=None)
    know(any_database, "猫。", url="https://b/3")
    know(any_database, "猫？", url="https://b/4")
    assert find_known(any_database, ["猫"]) == {"猫": "https://b/3"}


def test_another_joke_of_the_same_hash_is_another_joke(any_database: Database) -> None:
    know(any_database, "犬", text_hash=text_hash("猫"), url="https://b/1")
    assert find_known(any_database, ["猫"]) == {}


def test_the_bots_own_jokes_are_nobodys(any_database: Database) -> None:
    know(any_database, "猫", source="chat")
    assert find_known(any_database, ["猫"]) == {}


def test_all_are_looked_up_at_once(any_database: Database) -> None:
    statements: list[str] = []
    event.listen(any_database.engine, "before_cursor_execute", lambda c, cursor, text, *rest: statements.append(text))
    find_known(any_database, [f"ボケ{n}" for n in range(32)])
    assert len([text for text in statements if text.startswith("SELECT boke")]) == 1
    assert len([text for text in statements if "boke" in text]) == 1

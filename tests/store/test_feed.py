"""The feed shows what visitors of the page agreed to, with pictures that go in time, and nothing of any chat."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from store import answers, feed
from store.database import Database
from store.errors import UnknownAnswer
from store.feed import FeedLimits
from store.tables import FeedPicture
from store.types import now
from store.votes import vote
from tests.store.test_answers import keep

LIMITS = FeedLimits(days=30, pictures=3)


def post(database: Database, text: str, **changes: object) -> str:
    """An answer in the feed; its id."""
    stored = keep(database, text, **{"platform": "web", "consent": True, "user": "u", **changes})
    feed.add_picture(database, stored.public_id, text.encode(), LIMITS)
    return stored.public_id


def shown(database: Database, **which: object) -> list[str]:
    return [ranked.answer.text for ranked in answers.public_feed(database, **which)]  # type: ignore[arg-type]


def pictures(database: Database) -> int:
    with database.reader() as session:
        return session.scalars(select(func.count()).select_from(FeedPicture)).one()


def test_only_what_visitors_of_the_page_agreed_to(any_database: Database) -> None:
    first = post(any_database, "公開")
    keep(any_database, "写真のない公開", platform="web", consent=True)
    for text, changes in (
        ("内緒", {"platform": "web"}),
        ("ディスコード", {"platform": "discord", "consent": True}),
        ("スラック", {"platform": "slack", "consent": True}),
    ):
        stored = keep(any_database, text, **changes)
        with pytest.raises(UnknownAnswer):
            feed.add_picture(any_database, stored.public_id, b"jpeg", LIMITS)
        assert feed.get_picture(any_database, stored.public_id) is None
    vote(any_database, first, "v", 1)
    assert [(r.answer.text, r.up, r.down) for r in answers.public_feed(any_database)] == [("公開", 1, 0)]
    assert feed.get_picture(any_database, first) == "公開".encode()
    assert pictures(any_database) == 1


def test_page_after_page(any_database: Database) -> None:
    ids = {text: post(any_database, text) for text in "一二三"}
    assert shown(any_database, limit=2) == ["三", "二"]
    assert shown(any_database, limit=2, before=ids["二"]) == ["一"]
    assert shown(any_database, before=ids["一"]) == []
    assert shown(any_database, before="0" * 32) == []


def test_the_oldest_pictures_make_room(any_database: Database) -> None:
    ids = [post(any_database, text) for text in "一二三四"]
    assert shown(any_database) == ["四", "三", "二"]
    assert feed.get_picture(any_database, ids[0]) is None
    assert answers.get_answer(any_database, ids[0]) is not None, "the joke keeps its address"


def test_pictures_are_erased_in_time(any_database: Database) -> None:
    old = post(any_database, "古い")
    post(any_database, "新しい")
    with any_database.session() as session:
        oldest = select(func.min(FeedPicture.answer_id)).scalar_subquery()
        age = update(FeedPicture).where(FeedPicture.answer_id == oldest).values(created=now() - timedelta(days=31))
        session.execute(age)
    assert feed.erase_old_pictures(any_database, FeedLimits(days=0, pictures=3)) == 0
    assert feed.erase_old_pictures(any_database, LIMITS) == 1
    assert feed.get_picture(any_database, old) is None
    assert shown(any_database) == ["新しい"]
    assert feed.erase_old_pictures(any_database, FeedLimits(days=30, pictures=0)) == 1


def test_taken_back(any_database: Database) -> None:
    public_id, other = post(any_database, "はずかしい"), post(any_database, "別の")
    assert feed.take_back(any_database, public_id) == 1
    assert shown(any_database) == ["別の"]
    assert feed.get_picture(any_database, public_id) is None
    assert feed.take_back(any_database, public_id) == 0
    with pytest.raises(UnknownAnswer):
        feed.add_picture(any_database, public_id, b"jpeg", LIMITS)
    with pytest.raises(UnknownAnswer):
        feed.take_back(any_database, "0" * 32)
    assert feed.get_picture(any_database, other) is not None


def test_of_several_jokes_about_a_post_the_last_is_shown(any_database: Database) -> None:
    first = post(any_database, "一回目")
    second = post(any_database, "二回目", again_of=first)
    post(any_database, "他人の割り込み", again_of=second, user="somebody else")
    assert shown(any_database) == ["他人の割り込み", "二回目"]
    assert feed.take_back(any_database, second) == 2
    assert shown(any_database) == ["他人の割り込み"]
    assert feed.get_picture(any_database, first) is None


def test_pictures_go_with_their_answers(any_database: Database) -> None:
    answers.delete_answer(any_database, post(any_database, "削除"))
    assert (shown(any_database), pictures(any_database)) == ([], 0)
    post(any_database, "忘れて")
    answers.forget_user(any_database, "web", "u")
    post(any_database, "昔", created=now() - timedelta(days=100))
    answers.erase_older(any_database, 90)
    assert (shown(any_database), pictures(any_database)) == ([], 0)

"""Answers are kept, found, ranked and erased alike on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from store import answers
from store.answers import NewAnswer, StoredAnswer, StoredCandidate
from store.database import Database
from store.errors import UnknownAnswer
from store.settings import is_opted_out, opt_out
from store.tables import Answer, AnswerFeature, Base, Vote
from store.types import now
from store.votes import vote, vote_counts


def new(text: str = "定時です", **changes: object) -> NewAnswer:
    values: dict[str, object] = {
        "platform": "discord", "guild_id": "g", "channel_id": "c", "picture_key": "k", "text": text, "score": -0.25,
        "mode": "boke", "model": "f" * 64, "encoder": "efficientnet-lite0",
    }  # fmt: skip
    return NewAnswer(**{**values, **changes})  # type: ignore[arg-type]


def keep(database: Database, text: str = "定時です", **changes: object) -> StoredAnswer:
    return answers.add_answer(database, new(text, **changes))


def rows(database: Database, table: type[Base]) -> int:
    with database.reader() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def test_everything_comes_back(any_database: Database) -> None:
    stored = keep(
        any_database,
        candidates=(StoredCandidate("定時です", -0.25), StoredCandidate("残業です😀", -1.5)),
        message_id="m",
        position=2,
        picture_url="https://example.org/猫.jpg",
        user="u",
        elapsed_ms=12.5,
        source_url="https://bokete.jp/boke/1",
        consent=True,
        again_of="0" * 32,
    )
    assert answers.get_answer(any_database, stored.public_id) == stored


@pytest.mark.parametrize("public_id", ["0" * 32, "", "' OR 1=1", "\x00", "\ud800", "F" * 32, "０" * 32])
def test_an_id_that_is_none(any_database: Database, public_id: str) -> None:
    keep(any_database)
    assert answers.get_answer(any_database, public_id) is None
    assert answers.delete_answer(any_database, public_id) is False
    with pytest.raises(UnknownAnswer):
        answers.attach_reply(any_database, public_id, "r")
    with pytest.raises(UnknownAnswer):
        answers.save_feature(any_database, public_id, "e", "w", b"")


def test_an_answer_is_found_by_the_message_it_stands_in(any_database: Database) -> None:
    first, second = keep(any_database, "一"), keep(any_database, "二")
    elsewhere = keep(any_database, "三", channel_id="other", reply_id="r")
    answers.attach_reply(any_database, first.public_id, "r")
    found = answers.answer_by_reply(any_database, "discord", "c", "r")
    assert found is not None
    assert (found.public_id, found.reply_id) == (first.public_id, "r")
    answers.attach_reply(any_database, second.public_id, "r")  # another joke, put into the same message
    found = answers.answer_by_reply(any_database, "discord", "c", "r")
    assert found is not None
    assert found.text == "二"
    assert answers.answer_by_reply(any_database, "discord", "other", "r") == elsewhere
    assert answers.answer_by_reply(any_database, "slack", "c", "r") is None


def test_the_answers_to_a_post_in_the_pictures_order(any_database: Database) -> None:
    keep(any_database, "二枚目", message_id="m", position=1)
    keep(any_database, "一枚目", message_id="m", position=0)
    keep(any_database, "別の", message_id="n")
    found = answers.answers_to_post(any_database, "discord", "c", "m")
    assert [a.text for a in found] == ["一枚目", "二枚目"]


def test_the_last_answer_of_a_channel(any_database: Database) -> None:
    assert answers.last_answer(any_database, "discord", "c") is None
    moment = now()
    keep(any_database, "新", created=moment)
    keep(any_database, "古", created=moment - timedelta(seconds=1))
    keep(any_database, "よそ", channel_id="other", created=moment + timedelta(seconds=1))
    last = answers.last_answer(any_database, "discord", "c")
    assert last is not None
    assert last.text == "新"


def test_what_was_said_about_a_picture_here(any_database: Database) -> None:
    moment = now()
    for seconds, text in enumerate(["一", "二", "三"]):
        last = keep(any_database, text, created=moment + timedelta(seconds=seconds))
    keep(any_database, "別の絵", picture_key="other")
    keep(any_database, "別の場所", channel_id="other")
    answers.delete_answer(any_database, last.public_id)
    assert answers.recent_texts(any_database, "discord", "c", "k") == ("三", "二", "一")
    assert answers.recent_texts(any_database, "discord", "c", "k", limit=2) == ("三", "二")


def test_a_deleted_answer_is_gone_with_its_vector(any_database: Database) -> None:
    stored = keep(any_database, message_id="m", reply_id="r")
    answers.save_feature(any_database, stored.public_id, "e", "w", b"\0" * 8)
    assert answers.delete_answer(any_database, stored.public_id) is True
    assert answers.delete_answer(any_database, stored.public_id) is False
    assert answers.get_answer(any_database, stored.public_id) is None
    assert answers.answer_by_reply(any_database, "discord", "c", "r") is None
    assert answers.answers_to_post(any_database, "discord", "c", "m") == ()
    assert answers.last_answer(any_database, "discord", "c") is None
    assert rows(any_database, AnswerFeature) == 0
    with pytest.raises(UnknownAnswer):
        vote(any_database, stored.public_id, "v", 1)


def test_a_vector_is_kept_once(any_database: Database) -> None:
    stored = keep(any_database)
    answers.save_feature(any_database, stored.public_id, "old", "w1", b"\1" * 8)
    answers.save_feature(any_database, stored.public_id, "new", "w2", b"\2" * 8)
    with any_database.reader() as session:
        row = session.scalars(select(AnswerFeature)).one()
        assert (row.encoder, row.weights_digest, row.vector) == ("new", "w2", b"\2" * 8)


def test_the_best_answers(any_database: Database) -> None:
    liked, disputed, disliked = keep(any_database, "良"), keep(any_database, "賛否"), keep(any_database, "悪")
    elsewhere = keep(any_database, "隣", channel_id="next door")
    abroad = keep(any_database, "外", channel_id="x", guild_id="other")
    for answer, values in (
        (liked, [1, 1]),
        (disputed, [1, 1, 1, -1, -1]),
        (disliked, [-1]),
        (elsewhere, [1]),
        (abroad, [1, 1, 1]),
    ):
        for number, value in enumerate(values):
            vote(any_database, answer.public_id, f"v{number}", value)
    keep(any_database, "無票")
    best = answers.best_answers(any_database, "discord", channel_id="c")
    assert [(r.answer.text, r.up, r.down) for r in best] == [("良", 2, 0), ("賛否", 3, 2)]
    assert [r.answer.text for r in answers.best_answers(any_database, "discord", guild_id="g")] == ["良", "賛否", "隣"]
    assert [r.answer.text for r in answers.best_answers(any_database, "discord", limit=1)] == ["外"]
    assert answers.best_answers(any_database, "slack") == ()
    answers.delete_answer(any_database, abroad.public_id)
    assert answers.best_answers(any_database, "discord", guild_id="other") == ()


def test_today_begins_at_the_time_zones_midnight(any_database: Database) -> None:
    zone = ZoneInfo("Pacific/Kiritimati")  # UTC+14: its midnight is far from UTC's
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for text, created in (("昨日", midnight - timedelta(seconds=1)), ("今日", midnight)):
        vote(any_database, keep(any_database, text, created=created).public_id, "v", 1)
    best = answers.best_today(any_database, "discord", channel_id="c", timezone="Pacific/Kiritimati")
    assert [r.answer.text for r in best] == ["今日"]


def test_stats(any_database: Database) -> None:
    assert answers.answer_stats(any_database) == answers.AnswerStats(0, 0, 0)
    yesterday = now() - timedelta(days=1)
    old, fresh = keep(any_database, created=yesterday), keep(any_database)
    vote(any_database, old.public_id, "v", -1)
    vote(any_database, fresh.public_id, "v", 1)
    assert answers.answer_stats(any_database) == answers.AnswerStats(2, 1, 1)
    assert answers.answer_stats(any_database, since=now() - timedelta(hours=1)).answers == 1
    assert answers.answer_stats(any_database, since=now() + timedelta(hours=1)) == answers.AnswerStats(0, 0, 0)


def test_a_forgotten_person_leaves_nothing_but_the_opt_out(any_database: Database) -> None:
    mine = [keep(any_database, user="me") for _ in range(3)]
    others = keep(any_database, user="you")
    namesake = keep(any_database, user="me", platform="slack")
    answers.save_feature(any_database, mine[0].public_id, "e", "w", b"")
    vote(any_database, mine[0].public_id, "you", 1)
    vote(any_database, others.public_id, "me", 1)
    vote(any_database, others.public_id, "you", -1)
    opt_out(any_database, "discord", "me")
    assert answers.forget_user(any_database, "discord", "me") == answers.Forgotten(answers=3, votes=1)
    assert answers.get_answer(any_database, mine[0].public_id) is None
    assert (rows(any_database, Answer), rows(any_database, Vote), rows(any_database, AnswerFeature)) == (2, 1, 0)
    assert vote_counts(any_database, others.public_id).down == 1
    assert answers.get_answer(any_database, namesake.public_id) is not None
    assert is_opted_out(any_database, "discord", "me")
    assert answers.forget_user(any_database, "discord", "me") == answers.Forgotten(0, 0)


def test_old_answers_are_erased(any_database: Database) -> None:
    with any_database.session() as session:
        for number in range(1100):  # more than one batch
            values = {**vars(new()), "candidates": [], "created": now() - timedelta(days=91)}
            session.add(Answer(**{**values, "public_id": f"{number:032x}"}))
    kept = keep(any_database, created=now() - timedelta(days=89))
    vote(any_database, f"{5:032x}", "v", 1)
    assert answers.erase_older(any_database, 0) == 0
    assert answers.erase_older(any_database, 90) == 1100
    assert (rows(any_database, Answer), rows(any_database, Vote)) == (1, 0)
    assert answers.get_answer(any_database, kept.public_id) == kept

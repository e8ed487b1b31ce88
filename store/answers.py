"""What the bot answered: kept, found again, erased. Plain functions; each is one short session of its own."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, case, delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from store.database import Database, count_changed
from store.errors import UnknownAnswer
from store.tables import Answer, AnswerFeature, FeedPicture, Vote
from store.types import now

_PUBLIC_ID = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{16}")  # 64 bits of a picture's likeness
# Of 1,080 copies of 270 photos and drawings (JPEG at quality 40 and 75, WebP, two thirds of the size) three moved further.
# Of 36,000 pairs of different pictures six were as near, thin things on white; it costs them a joke told of the other.
_BITS_APART = 8
_COMPARED = 500  # answers of a channel
_ERASE_BATCH = 500  # rows erased in one session, so that an answer on its way waits only a moment


@dataclass(frozen=True)
class StoredCandidate:
    """One of the jokes that the model offered."""

    text: str
    score: float


@dataclass(frozen=True, kw_only=True)
class NewAnswer:
    """An answer to be kept; the fields are those of `store.tables.Answer`, users already hashed."""

    platform: str
    channel_id: str
    picture_key: str
    text: str
    score: float
    mode: str
    model: str
    encoder: str
    candidates: tuple[StoredCandidate, ...] = ()
    public_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    guild_id: str | None = None
    message_id: str | None = None
    position: int = 0
    reply_id: str | None = None
    picture_url: str | None = None
    user: str | None = None
    elapsed_ms: float | None = None
    source_url: str | None = None
    consent: bool = False
    again_of: str | None = None
    created: datetime = field(default_factory=now)


@dataclass(frozen=True, kw_only=True)
class StoredAnswer(NewAnswer):
    """An answer as it was kept."""


@dataclass(frozen=True)
class RankedAnswer:
    """An answer and how people like it."""

    answer: StoredAnswer
    up: int
    down: int


@dataclass(frozen=True)
class Forgotten:
    """How much of a person was erased."""

    answers: int
    votes: int


@dataclass(frozen=True)
class AnswerStats:
    """How much the bot was used."""

    answers: int
    up: int
    down: int


_FIELDS = tuple(f.name for f in fields(NewAnswer))


def add_answer(database: Database, answer: NewAnswer) -> StoredAnswer:
    """Keep an answer; its `public_id` is its address from now on."""
    values = {name: getattr(answer, name) for name in _FIELDS}
    values["candidates"] = [{"text": c.text, "score": c.score} for c in answer.candidates]
    with database.session() as session:
        session.add(Answer(**values))
    return StoredAnswer(**{name: getattr(answer, name) for name in _FIELDS})


def get_answer(database: Database, public_id: str) -> StoredAnswer | None:
    """The answer, or None if there is none of that id or it was deleted."""
    if not _PUBLIC_ID.fullmatch(public_id):
        return None
    return _one(database, select(Answer).where(Answer.public_id == public_id))


def answer_id(session: Session, public_id: str) -> int:
    """The row behind a public id. Raises: UnknownAnswer, also for what can be no id at all (it comes from outside)."""
    if _PUBLIC_ID.fullmatch(public_id):
        found = session.scalars(select(Answer.id).where(Answer.public_id == public_id, Answer.deleted.is_(None)))
        row_id = found.one_or_none()
        if row_id is not None:
            return row_id
    raise UnknownAnswer("there is no answer of that id")


def attach_reply(database: Database, public_id: str, reply_id: str) -> None:
    """Note the bot's own message, once it is sent. Raises: UnknownAnswer"""
    with database.session() as session:
        session.execute(update(Answer).where(Answer.id == answer_id(session, public_id)).values(reply_id=reply_id))


def answer_by_reply(database: Database, platform: str, channel_id: str, reply_id: str) -> StoredAnswer | None:
    """The answer that stands in one of the bot's messages; the newest, where もう一回 changed it in place."""
    return _one(database, _newest(*_place(platform, channel_id), Answer.reply_id == reply_id))


def answers_to_post(database: Database, platform: str, channel_id: str, message_id: str) -> tuple[StoredAnswer, ...]:
    """Every answer to a post, oldest first: what goes when the post is deleted."""
    statement = select(Answer).where(*_place(platform, channel_id), Answer.message_id == message_id)
    return _several(database, statement.order_by(Answer.position, Answer.created, Answer.id))


def last_answer(database: Database, platform: str, channel_id: str) -> StoredAnswer | None:
    """The newest answer in a channel."""
    return _one(database, _newest(*_place(platform, channel_id)))


def recent_texts(
    database: Database, platform: str, channel_id: str, picture_key: str, limit: int = 50
) -> tuple[str, ...]:
    """What was said about this picture in this channel, newest first; deleted answers count, they were read.

    Among the channel's last answers a key that differs in a few bits is the same picture, compressed or scaled anew.
    """
    newest = Answer.created.desc(), Answer.id.desc()
    here = select(Answer.id, Answer.text, Answer.picture_key).where(*_place(platform, channel_id)).order_by(*newest)
    with database.reader() as session:
        same = session.execute(here.where(Answer.picture_key == picture_key).limit(limit)).all()
        last = session.execute(here.limit(_COMPARED)).all()
    found = {row.id: row.text for row in same}
    found |= {row.id: row.text for row in last if _alike(row.picture_key, picture_key)}
    return tuple(found[row_id] for row_id in sorted(found, reverse=True)[:limit])


def best_answers(
    database: Database,
    platform: str,
    *,
    channel_id: str | None = None,
    guild_id: str | None = None,
    since: datetime | None = None,
    limit: int = 5,
) -> tuple[RankedAnswer, ...]:
    """The answers that more people like than dislike, best first: of a channel, of a guild, or of the platform."""
    up, down = _counts()
    where: list[ColumnElement[bool]] = [Answer.platform == platform, Answer.deleted.is_(None)]
    if channel_id is not None:
        where.append(Answer.channel_id == channel_id)
    if guild_id is not None:
        where.append(Answer.guild_id == guild_id)
    if since is not None:
        where.append(Answer.created >= since)
    statement = (
        select(Answer, up, down)
        .join(Vote, Vote.answer_id == Answer.id)
        .where(*where)
        .group_by(Answer.id)
        .having(func.sum(Vote.value) > 0)
        .order_by(func.sum(Vote.value).desc(), up.desc(), Answer.id)
        .limit(limit)
    )
    with database.reader() as session:
        return tuple(RankedAnswer(_stored(row[0]), int(row[1]), int(row[2])) for row in session.execute(statement))


def best_today(
    database: Database,
    platform: str,
    *,
    channel_id: str | None = None,
    guild_id: str | None = None,
    timezone: str = "Asia/Tokyo",
    limit: int = 5,
) -> tuple[RankedAnswer, ...]:
    """`best_answers` since the last midnight of that time zone."""
    midnight = datetime.now(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return best_answers(database, platform, channel_id=channel_id, guild_id=guild_id, since=midnight, limit=limit)


def public_feed(database: Database, limit: int = 20, before: str | None = None) -> tuple[RankedAnswer, ...]:
    """Answers on the page whose visitors agreed to show them, while their pictures are kept; nothing of any chat.

    Newest first, of several jokes about one post the last. `before`: those that are older than the answer of that id.
    """
    up, down = _counts()
    later, with_picture = aliased(Answer), aliased(FeedPicture)
    told_again = exists().where(
        later.again_of == Answer.public_id, later.user == Answer.user, with_picture.answer_id == later.id
    )
    where: list[ColumnElement[bool]] = [*agreed(), ~told_again]
    if before is not None:
        where.append(FeedPicture.answer_id < select(Answer.id).where(Answer.public_id == before).scalar_subquery())
    statement = (
        select(Answer, up, down)
        .join(FeedPicture, FeedPicture.answer_id == Answer.id)
        .join(Vote, Vote.answer_id == Answer.id, isouter=True)
        .where(*where)
        .group_by(Answer.id)
        .order_by(Answer.id.desc())
        .limit(limit)
    )
    with database.reader() as session:
        return tuple(RankedAnswer(_stored(row[0]), int(row[1]), int(row[2])) for row in session.execute(statement))


def agreed() -> tuple[ColumnElement[bool], ...]:
    """Answers on the page that may be shown to everybody."""
    return Answer.platform == "web", Answer.consent.is_(True), Answer.deleted.is_(None)


def answer_stats(database: Database, since: datetime | None = None) -> AnswerStats:
    """How many answers and votes there are, on all platforms together."""
    up, down = _counts()
    answers = select(func.count()).select_from(Answer).where(Answer.deleted.is_(None))
    votes = select(up, down)
    if since is not None:
        answers, votes = answers.where(Answer.created >= since), votes.where(Vote.created >= since)
    with database.reader() as session:
        ups, downs = session.execute(votes).one()
        return AnswerStats(session.scalars(answers).one(), int(ups), int(downs))


def save_feature(database: Database, public_id: str, encoder: str, weights_digest: str, vector: bytes) -> None:
    """Keep the picture's vector (float32, little endian) for training. Raises: UnknownAnswer"""
    with database.session() as session:
        values = {"encoder": encoder, "weights_digest": weights_digest, "vector": vector}
        insert = database.insert(AnswerFeature).values(answer_id=answer_id(session, public_id), **values)
        session.execute(insert.on_conflict_do_update(index_elements=["answer_id"], set_=values))


def delete_answer(database: Database, public_id: str) -> bool:
    """Take an answer back: it is found no more, its vector and picture are erased. False: there was none."""
    with database.session() as session:
        try:
            row_id = answer_id(session, public_id)
        except UnknownAnswer:
            return False
        session.execute(update(Answer).where(Answer.id == row_id).values(deleted=now()))
        session.execute(delete(AnswerFeature).where(AnswerFeature.answer_id == row_id))
        session.execute(delete(FeedPicture).where(FeedPicture.answer_id == row_id))
        return True


def forget_user(database: Database, platform: str, user: str) -> Forgotten:
    """Erase every answer to a person's posts, with its votes and vector, and every vote of theirs. An opt-out stays."""
    mine = select(Answer.id).where(Answer.platform == platform, Answer.user == user)
    with database.session() as session:
        votes = count_changed(session, delete(Vote).where(Vote.voter == user))
    return Forgotten(_erase(database, mine), votes)


def erase_older(database: Database, retention_days: float) -> int:
    """Erase answers older than that many days, with votes and vectors; returns how many. 0 days: nothing is erased."""
    if retention_days <= 0:
        return 0
    return _erase(database, select(Answer.id).where(Answer.created < now() - timedelta(days=retention_days)))


def _erase(database: Database, ids: Select[int]) -> int:
    erased = 0
    while True:
        with database.session() as session:
            batch = list(session.scalars(ids.limit(_ERASE_BATCH)))
            session.execute(delete(Answer).where(Answer.id.in_(batch)))
        erased += len(batch)
        if len(batch) < _ERASE_BATCH:
            return erased


def _alike(key: str, other: str) -> bool:
    if not (_HASH.fullmatch(key) and _HASH.fullmatch(other)):
        return key == other
    return (int(key, 16) ^ int(other, 16)).bit_count() <= _BITS_APART


def _counts() -> tuple[ColumnElement[int], ColumnElement[int]]:
    return (
        func.coalesce(func.sum(case((Vote.value > 0, 1), else_=0)), 0),
        func.coalesce(func.sum(case((Vote.value < 0, 1), else_=0)), 0),
    )


def _place(platform: str, channel_id: str) -> tuple[ColumnElement[bool], ...]:
    return Answer.platform == platform, Answer.channel_id == channel_id


def _newest(*where: ColumnElement[bool]) -> Select[Answer]:
    return (
        select(Answer)
        .where(*where, Answer.deleted.is_(None))
        .order_by(Answer.created.desc(), Answer.id.desc())
        .limit(1)
    )


def _one(database: Database, statement: Select[Answer]) -> StoredAnswer | None:
    found = _several(database, statement)
    return found[0] if found else None


def _several(database: Database, statement: Select[Answer]) -> tuple[StoredAnswer, ...]:
    with database.reader() as session:
        return tuple(_stored(row) for row in session.scalars(statement.where(Answer.deleted.is_(None))))


def _stored(row: Answer) -> StoredAnswer:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values["candidates"] = tuple(StoredCandidate(c["text"], c["score"]) for c in row.candidates)
    return StoredAnswer(**values)

"""The page's feed keeps small pictures beside answers whose visitors agreed to that: so many, so long, until taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from store.answers import agreed, answer_id
from store.database import Database, count_changed
from store.errors import UnknownAnswer
from store.tables import Answer, FeedPicture
from store.types import now


@dataclass(frozen=True)
class FeedLimits:
    """How long pictures are kept, and how many; 0 days: as long as their answers."""

    days: float
    pictures: int


def add_picture(database: Database, public_id: str, jpeg: bytes, limits: FeedLimits) -> None:
    """Show an answer with its picture; the oldest pictures go. Raises: UnknownAnswer, also where nobody agreed to it."""
    with database.session() as session:
        row_id = answer_id(session, public_id)
        if session.scalar(select(Answer.id).where(Answer.id == row_id, *agreed())) is None:
            raise UnknownAnswer("nobody agreed to show this answer")
        insert = database.insert(FeedPicture).values(answer_id=row_id, jpeg=jpeg, created=now())
        session.execute(insert.on_conflict_do_update(index_elements=["answer_id"], set_={"jpeg": jpeg}))
        _erase_old(session, limits)


def get_picture(database: Database, public_id: str) -> bytes | None:
    """The picture (JPEG) of an answer that is shown."""
    statement = select(FeedPicture.jpeg).join(Answer).where(Answer.public_id == public_id, *agreed())
    with database.reader() as session:
        return session.scalar(statement)


def take_back(database: Database, public_id: str) -> int:
    """Show an answer no more, nor the jokes before it about the same post; returns how many pictures were erased.

    Raises: UnknownAnswer
    """
    erased = 0
    with database.session() as session:
        row_id: int | None = answer_id(session, public_id)
        user = session.scalar(select(Answer.user).where(Answer.id == row_id))
        while row_id is not None:
            erased += count_changed(session, delete(FeedPicture).where(FeedPicture.answer_id == row_id))
            session.execute(update(Answer).where(Answer.id == row_id).values(consent=False))
            before = select(Answer.again_of).where(Answer.id == row_id).scalar_subquery()
            same_post = Answer.public_id == before, Answer.user == user, Answer.consent.is_(True)
            row_id = session.scalar(select(Answer.id).where(*same_post))
    return erased


def erase_old_pictures(database: Database, limits: FeedLimits) -> int:
    """Erase what is beyond the limits; returns how many pictures."""
    with database.session() as session:
        return _erase_old(session, limits)


def _erase_old(session: Session, limits: FeedLimits) -> int:
    newest = select(FeedPicture.answer_id).order_by(FeedPicture.answer_id.desc()).limit(limits.pictures)
    gone: list[ColumnElement[bool]] = [FeedPicture.answer_id.not_in(newest)]
    if limits.days:
        gone.append(FeedPicture.created < now() - timedelta(days=limits.days))
    return count_changed(session, delete(FeedPicture).where(or_(*gone)))

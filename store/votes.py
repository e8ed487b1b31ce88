"""What people think of an answer: one vote a person, which they may change or take back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select

from store.answers import answer_id
from store.database import Database
from store.tables import Vote
from store.types import now


@dataclass(frozen=True)
class VoteCounts:
    """How many people like an answer, and how many do not."""

    up: int
    down: int


def vote(database: Database, public_id: str, voter: str, value: int) -> VoteCounts:
    """Set a person's vote: 1, -1, or 0 to take it back. Returns the counts after it.

    Args:
        public_id: the answer.
        voter: the person's hash (`Database.hash_user`).
        value: a second vote of the same person replaces the first.

    Raises:
        UnknownAnswer: there is none of that id, or it was deleted.
        ValueError: another value.
    """
    if value not in (-1, 0, 1):
        raise ValueError(f"a vote is 1, -1 or 0, not {value}")
    with database.session() as session:
        row_id = answer_id(session, public_id)
        if value == 0:
            session.execute(delete(Vote).where(Vote.answer_id == row_id, Vote.voter == voter))
        else:
            moment = now()
            insert = database.insert(Vote).values(
                answer_id=row_id, voter=voter, value=value, created=moment, changed=moment
            )
            session.execute(
                insert.on_conflict_do_update(
                    index_elements=["answer_id", "voter"], set_={"value": value, "changed": moment}
                )
            )
    return vote_counts(database, public_id)


def vote_counts(database: Database, public_id: str) -> VoteCounts:
    """The counts now. Raises: UnknownAnswer"""
    with database.reader() as session:
        row_id = answer_id(session, public_id)
        counts = select(Vote.value, func.count()).where(Vote.answer_id == row_id).group_by(Vote.value)
        by_value = {row[0]: row[1] for row in session.execute(counts)}
    return VoteCounts(by_value.get(1, 0), by_value.get(-1, 0))


def vote_of(database: Database, public_id: str, voter: str) -> int:
    """What that person voted: 1, -1, or 0 for nothing. Raises: UnknownAnswer"""
    with database.reader() as session:
        mine = session.get(Vote, (answer_id(session, public_id), voter))
        return 0 if mine is None else mine.value

"""One vote a person: it can be changed and taken back, and counts once however often it comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from store.database import Database
from store.errors import UnknownAnswer
from store.votes import VoteCounts, vote, vote_counts, vote_of
from tests.store.test_answers import keep


def test_votes_are_counted(any_database: Database) -> None:
    answer = keep(any_database).public_id
    assert vote_counts(any_database, answer) == VoteCounts(0, 0)
    assert vote(any_database, answer, "a", 1) == VoteCounts(1, 0)
    assert vote(any_database, answer, "b", 1) == VoteCounts(2, 0)
    assert vote(any_database, answer, "c", -1) == VoteCounts(2, 1)
    assert [vote_of(any_database, answer, voter) for voter in "abcd"] == [1, 1, -1, 0]


def test_a_second_vote_replaces_the_first(any_database: Database) -> None:
    answer, other = keep(any_database).public_id, keep(any_database).public_id
    vote(any_database, other, "a", 1)
    vote(any_database, answer, "a", 1)
    assert vote(any_database, answer, "a", 1) == VoteCounts(1, 0)
    assert vote(any_database, answer, "a", -1) == VoteCounts(0, 1)
    assert vote(any_database, answer, "a", 0) == VoteCounts(0, 0)
    assert vote(any_database, answer, "a", 0) == VoteCounts(0, 0)
    assert vote_counts(any_database, other) == VoteCounts(1, 0)


def test_votes_that_come_at_once_all_count(any_database: Database) -> None:
    answer = keep(any_database).public_id
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: vote(any_database, answer, f"v{n % 20}", 1 if n % 2 else -1), range(80)))
    assert vote_counts(any_database, answer) == VoteCounts(10, 10)


@pytest.mark.parametrize("public_id", ["0" * 32, "\x00", "x"])
def test_there_is_no_such_answer(any_database: Database, public_id: str) -> None:
    for ask in (lambda: vote(any_database, public_id, "a", 1), lambda: vote_counts(any_database, public_id)):
        with pytest.raises(UnknownAnswer):
            ask()
    with pytest.raises(UnknownAnswer):
        vote_of(any_database, public_id, "a")


def test_there_is_no_such_vote(any_database: Database) -> None:
    with pytest.raises(ValueError, match="not 2"):
        vote(any_database, keep(any_database).public_id, "a", 2)

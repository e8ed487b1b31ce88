"""The benchmark of what an answer costs the database: every step is timed, and the answers are really there."""

from __future__ import annotations

from benchmarks.answers import measure, size
from store.answers import answer_stats
from store.database import Database


def test_every_step_of_every_answer_is_timed_and_kept(any_database: Database) -> None:
    before = size(any_database)
    seconds, computed, rate = measure(any_database, 40, 4)
    assert {name: len(spent) for name, spent in seconds.items() if len(spent) != 40} == {"rules": 120}
    assert answer_stats(any_database).answers == 41  # and the one that connects
    assert answer_stats(any_database).up == 41
    assert computed > 0
    assert rate > 0
    assert size(any_database) > before

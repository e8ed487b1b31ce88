"""An event is claimed once, whoever asks and however often."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import update

from store.database import Database, open_database
from store.events import mark_seen, prune_seen, unmark_seen
from store.tables import SeenEvent
from store.types import now


def test_only_the_first_claim_counts(any_database: Database) -> None:
    assert mark_seen(any_database, "slack", "C1", "1700000000.000100")
    assert not mark_seen(any_database, "slack", "C1", "1700000000.000100")
    assert mark_seen(any_database, "slack", "C2", "1700000000.000100")
    assert mark_seen(any_database, "slack", "C1", "1700000000.000200")
    assert mark_seen(any_database, "discord", "C1", "1700000000.000100")


def test_claims_outlive_a_restart(any_database_url: str) -> None:
    for expected in (True, False):
        database = open_database(any_database_url)
        assert mark_seen(database, "slack", "C1", "1") is expected
        database.close()


def test_of_many_at_once_one_wins(any_database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: (n % 10, mark_seen(any_database, "slack", "C1", str(n % 10))), range(80)))
    assert Counter(event for event, claimed in claims if claimed) == dict.fromkeys(range(10), 1)


def test_a_claim_can_be_given_back(any_database: Database) -> None:
    mark_seen(any_database, "slack", "C1", "1")
    mark_seen(any_database, "slack", "C1", "2")
    unmark_seen(any_database, "slack", "C1", "1")
    assert mark_seen(any_database, "slack", "C1", "1")
    assert not mark_seen(any_database, "slack", "C1", "2")


def test_old_claims_are_dropped_and_young_ones_kept(any_database: Database) -> None:
    for event in ("old", "young"):
        mark_seen(any_database, "slack", "C1", event)
    with any_database.session() as session:
        aged = now() - timedelta(days=8)
        session.execute(update(SeenEvent).where(SeenEvent.event_id == "old").values(created=aged))
    assert prune_seen(any_database) == 1
    assert mark_seen(any_database, "slack", "C1", "old")
    assert not mark_seen(any_database, "slack", "C1", "young")

"""Which events were taken on already, across restarts and processes: nothing is answered twice."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from store.database import Database, count_changed
from store.tables import SeenEvent
from store.types import now


def mark_seen(database: Database, platform: str, channel_id: str, event_id: str) -> bool:
    """Claim an event (Slack: its `ts`, Discord: the message's id). True for exactly one caller, False for all others."""
    insert = database.insert(SeenEvent).values(
        platform=platform, channel_id=channel_id, event_id=event_id, created=now()
    )
    with database.session() as session:
        claimed = session.scalars(insert.on_conflict_do_nothing().returning(SeenEvent.event_id))
        return claimed.one_or_none() is not None


def unmark_seen(database: Database, platform: str, channel_id: str, event_id: str) -> None:
    """Give a claim back, where the answer could not be made and a redelivery may try again."""
    with database.session() as session:
        session.execute(
            delete(SeenEvent).where(
                SeenEvent.platform == platform, SeenEvent.channel_id == channel_id, SeenEvent.event_id == event_id
            )
        )


def prune_seen(database: Database, older_than: timedelta = timedelta(days=7)) -> int:
    """Drop claims that nobody will deliver again; returns how many."""
    with database.session() as session:
        return count_changed(session, delete(SeenEvent).where(SeenEvent.created < now() - older_than))

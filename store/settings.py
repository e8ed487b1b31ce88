"""What moderators chose for a channel, and who wants to be left alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import delete, select

from store.database import Database
from store.tables import ChannelSettings, OptOut
from store.types import now


@dataclass(frozen=True, kw_only=True)
class ChannelChoice:
    """One channel's settings. None: nothing chosen, the configuration counts."""

    platform: str
    channel_id: str
    guild_id: str | None = None
    enabled: bool | None = None
    automatic: bool | None = None  # False: answers only when asked
    probability: float | None = None  # 0 to 1
    cooldown_s: float | None = None  # seconds
    quiet_from: str | None = None  # "23:00"
    quiet_to: str | None = None
    card: bool | None = None
    language: str | None = None  # "ja" or "en"


_FIELDS = tuple(f.name for f in fields(ChannelChoice))
_CHOICES = frozenset(_FIELDS) - {"platform", "channel_id"}


def get_channel(database: Database, platform: str, channel_id: str) -> ChannelChoice:
    """A channel's settings; of a channel that nobody touched, all None."""
    with database.reader() as session:
        row = session.get(ChannelSettings, (platform, channel_id))
        if row is None:
            return ChannelChoice(platform=platform, channel_id=channel_id)
        return _choice(row)


def set_channel(
    database: Database, platform: str, channel_id: str, **choices: bool | float | str | None
) -> ChannelChoice:
    """Change the named settings (fields of `ChannelChoice`), leave the others; None gives one back to the configuration.

    Returns the settings after it. Raises: TypeError for a setting that there is not.
    """
    unknown = choices.keys() - _CHOICES
    if unknown:
        raise TypeError(f"no channel setting is called {', '.join(sorted(unknown))}")
    values = {**choices, "changed": now()}
    insert = database.insert(ChannelSettings).values(platform=platform, channel_id=channel_id, **values)
    with database.session() as session:
        session.execute(insert.on_conflict_do_update(index_elements=["platform", "channel_id"], set_=values))
        row = session.get(ChannelSettings, (platform, channel_id))
        assert row is not None
        return _choice(row)


def chosen_channels(database: Database, platform: str) -> tuple[ChannelChoice, ...]:
    """Every channel of a platform for which somebody chose something."""
    statement = select(ChannelSettings).where(ChannelSettings.platform == platform)
    with database.reader() as session:
        return tuple(_choice(row) for row in session.scalars(statement.order_by(ChannelSettings.channel_id)))


def opt_out(database: Database, platform: str, user: str) -> None:
    """Never answer this person's posts again (`user`: their hash)."""
    with database.session() as session:
        insert = database.insert(OptOut).values(platform=platform, user=user, created=now())
        session.execute(insert.on_conflict_do_nothing())


def opt_in(database: Database, platform: str, user: str) -> None:
    """Undo `opt_out`."""
    with database.session() as session:
        session.execute(delete(OptOut).where(OptOut.platform == platform, OptOut.user == user))


def is_opted_out(database: Database, platform: str, user: str) -> bool:
    """Whether this person wants to be left alone."""
    with database.reader() as session:
        return session.get(OptOut, (platform, user)) is not None


def _choice(row: ChannelSettings) -> ChannelChoice:
    return ChannelChoice(**{name: getattr(row, name) for name in _FIELDS})

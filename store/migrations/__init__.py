"""Brings a database to the newest tables, with Alembic and without an alembic.ini."""

from __future__ import annotations

import zlib
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from store.database import shown
from store.errors import DatabaseTooNew

_LOCK = zlib.crc32(b"bokebot migrations")  # the number of PostgreSQL's advisory lock


def alembic_config(connection: Connection | None = None) -> AlembicConfig:
    """Alembic's configuration for the scripts in this package; `env.py` uses the connection."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate_to_head(engine: Engine) -> None:
    """Run what is missing, in one transaction; a second process that comes meanwhile waits and finds it done.

    Raises: DatabaseTooNew, and what the driver raises.
    """
    script = ScriptDirectory.from_config(alembic_config())
    known = {revision.revision for revision in script.walk_revisions()}
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_heads()
    if set(current) == set(script.get_heads()):
        return
    with engine.execution_options(boke_writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        current = MigrationContext.configure(connection).get_current_heads()
        unknown = set(current) - known
        if unknown:
            raise DatabaseTooNew(
                f"{shown(engine.url)}: was migrated by a later version of this program "
                f"(revision {', '.join(sorted(unknown))}); update the program or restore an older backup"
            )
        command.upgrade(alembic_config(connection), "head")

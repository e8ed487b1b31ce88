"""python -m store.migrations NAME: draft a migration from what tables.py has and the newest migration has not."""

from __future__ import annotations

import sys
from typing import Any

from alembic import command

from store.database import open_database
from store.migrations import alembic_config
from store.types import UtcDateTime


def main(name: str) -> None:
    """Write the draft into `versions/`, compared against a fresh SQLite database."""
    database = open_database("sqlite:///:memory:")
    with database.engine.begin() as connection:
        config = alembic_config(connection)
        config.attributes["render_item"] = render_item
        command.revision(config, message=name, autogenerate=True)


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Migrations stand by themselves: own column types are written as what the database sees."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m store.migrations NAME")
    main(sys.argv[1])

"""Alembic's entry: runs the scripts on the connection that `migrate_to_head` opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a column by copying the table
    compare_server_default=True,
    render_item=context.config.attributes.get("render_item"),
)
context.run_migrations()

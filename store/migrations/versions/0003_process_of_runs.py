"""Runs say which process they are

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("process", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "process")

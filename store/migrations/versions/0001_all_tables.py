"""all tables

Revision: 0001, the first
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("guild_id", sa.String(length=64), nullable=True),
        sa.Column("channel_id", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reply_id", sa.String(length=64), nullable=True),
        sa.Column("picture_key", sa.String(length=64), nullable=False),
        sa.Column("picture_url", sa.Text(), nullable=True),
        sa.Column("user", sa.String(length=32), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("encoder", sa.String(length=64), nullable=False),
        sa.Column("elapsed_ms", sa.Double(), nullable=True),
        sa.Column("source_url", sa.Text(), nullable=True),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("again_of", sa.String(length=32), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("public_id", name=op.f("uq_answers_public_id")),
    )
    op.create_index(op.f("ix_answers_created"), "answers", ["created"], unique=False)
    op.create_index(
        op.f("ix_answers_platform_channel_id_created"), "answers", ["platform", "channel_id", "created"], unique=False
    )
    op.create_index(
        op.f("ix_answers_platform_channel_id_message_id"),
        "answers",
        ["platform", "channel_id", "message_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_answers_platform_channel_id_picture_key_created"),
        "answers",
        ["platform", "channel_id", "picture_key", "created"],
        unique=False,
    )
    op.create_index(
        op.f("ix_answers_platform_channel_id_reply_id"), "answers", ["platform", "channel_id", "reply_id"], unique=False
    )
    op.create_index(
        op.f("ix_answers_platform_guild_id_created"), "answers", ["platform", "guild_id", "created"], unique=False
    )
    op.create_index(op.f("ix_answers_platform_user"), "answers", ["platform", "user"], unique=False)
    op.create_table(
        "channel_settings",
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("channel_id", sa.String(length=64), nullable=False),
        sa.Column("guild_id", sa.String(length=64), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=True),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("cooldown_s", sa.Double(), nullable=True),
        sa.Column("quiet_from", sa.String(length=5), nullable=True),
        sa.Column("quiet_to", sa.String(length=5), nullable=True),
        sa.Column("card", sa.Boolean(), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=True),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "channel_id", name=op.f("pk_channel_settings")),
    )
    op.create_table(
        "frontier",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("url", sa.String(length=512), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", sa.DateTime(timezone=True), nullable=False),
        sa.Column("etag", sa.String(length=256), nullable=True),
        sa.Column("last_modified", sa.String(length=64), nullable=True),
        sa.Column("content_digest", sa.String(length=64), nullable=True),
        sa.Column("found", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frontier")),
        sa.UniqueConstraint("url", name=op.f("uq_frontier_url")),
    )
    op.create_index(
        op.f("ix_frontier_state_priority_next_try"), "frontier", ["state", "priority", "next_try"], unique=False
    )
    op.create_table(
        "locks",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("acquired", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_locks")),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "optouts",
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "user", name=op.f("pk_optouts")),
    )
    op.create_table(
        "pictures",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_pictures")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("recipe", sa.String(length=256), nullable=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published", sa.DateTime(timezone=True), nullable=True),
        sa.Column("announced", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("champion_metrics", sa.JSON(), nullable=False),
        sa.Column("bundle_digest", sa.String(length=64), nullable=True),
        sa.Column("champion_digest", sa.String(length=64), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("log", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_kind_started"), "runs", ["kind", "started"], unique=False)
    op.create_table(
        "seen_events",
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("channel_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "channel_id", "event_id", name=op.f("pk_seen_events")),
    )
    op.create_index(op.f("ix_seen_events_created"), "seen_events", ["created"], unique=False)
    op.create_table(
        "answer_features",
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("encoder", sa.String(length=64), nullable=False),
        sa.Column("weights_digest", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["answers.id"], name=op.f("fk_answer_features_answer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_answer_features")),
    )
    op.create_table(
        "odai",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=False),
        sa.Column("picture_digest", sa.String(length=64), nullable=True),
        sa.Column("picture_url", sa.String(length=512), nullable=True),
        sa.Column("category", sa.String(length=64), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("boke_count", sa.Integer(), nullable=True),
        sa.Column("posted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["picture_digest"], ["pictures.digest"], name=op.f("fk_odai_picture_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_odai")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_odai_source_external_id")),
    )
    op.create_index(op.f("ix_odai_picture_digest"), "odai", ["picture_digest"], unique=False)
    op.create_index(op.f("ix_odai_picture_url"), "odai", ["picture_url"], unique=False)
    op.create_table(
        "run_epochs",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=False),
        sa.Column("dev_loss", sa.Double(), nullable=True),
        sa.Column("learning_rate", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_epochs_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "part", "epoch", name=op.f("pk_run_epochs")),
    )
    op.create_table(
        "votes",
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("voter", sa.String(length=32), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("value IN (-1, 1)", name=op.f("ck_votes_up_or_down")),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_votes_answer_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("answer_id", "voter", name=op.f("pk_votes")),
    )
    op.create_index(op.f("ix_votes_voter"), "votes", ["voter"], unique=False)
    op.create_table(
        "boke",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("picture_digest", sa.String(length=64), nullable=True),
        sa.Column("odai_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.BigInteger(), nullable=False),
        sa.Column("stars", sa.Double(), nullable=True),
        sa.Column("ratings", sa.Integer(), nullable=True),
        sa.Column("split", sa.String(length=8), nullable=True),
        sa.Column("category", sa.String(length=64), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("posted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_rated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_count", sa.Integer(), nullable=False),
        sa.CheckConstraint("picture_digest IS NOT NULL OR odai_id IS NOT NULL", name=op.f("ck_boke_has_picture")),
        sa.ForeignKeyConstraint(["odai_id"], ["odai.id"], name=op.f("fk_boke_odai_id")),
        sa.ForeignKeyConstraint(["picture_digest"], ["pictures.digest"], name=op.f("fk_boke_picture_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_boke")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_boke_source_external_id")),
    )
    op.create_index(op.f("ix_boke_odai_id"), "boke", ["odai_id"], unique=False)
    op.create_index(op.f("ix_boke_picture_digest_text_hash"), "boke", ["picture_digest", "text_hash"], unique=False)
    op.create_index(op.f("ix_boke_text_hash"), "boke", ["text_hash"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_boke_text_hash"), table_name="boke")
    op.drop_index(op.f("ix_boke_picture_digest_text_hash"), table_name="boke")
    op.drop_index(op.f("ix_boke_odai_id"), table_name="boke")
    op.drop_table("boke")
    op.drop_index(op.f("ix_votes_voter"), table_name="votes")
    op.drop_table("votes")
    op.drop_table("run_epochs")
    op.drop_index(op.f("ix_odai_picture_url"), table_name="odai")
    op.drop_index(op.f("ix_odai_picture_digest"), table_name="odai")
    op.drop_table("odai")
    op.drop_table("answer_features")
    op.drop_index(op.f("ix_seen_events_created"), table_name="seen_events")
    op.drop_table("seen_events")
    op.drop_index(op.f("ix_runs_kind_started"), table_name="runs")
    op.drop_table("runs")
    op.drop_table("pictures")
    op.drop_table("optouts")
    op.drop_table("meta")
    op.drop_table("locks")
    op.drop_index(op.f("ix_frontier_state_priority_next_try"), table_name="frontier")
    op.drop_table("frontier")
    op.drop_table("channel_settings")
    op.drop_index(op.f("ix_answers_platform_user"), table_name="answers")
    op.drop_index(op.f("ix_answers_platform_guild_id_created"), table_name="answers")
    op.drop_index(op.f("ix_answers_platform_channel_id_reply_id"), table_name="answers")
    op.drop_index(op.f("ix_answers_platform_channel_id_picture_key_created"), table_name="answers")
    op.drop_index(op.f("ix_answers_platform_channel_id_message_id"), table_name="answers")
    op.drop_index(op.f("ix_answers_platform_channel_id_created"), table_name="answers")
    op.drop_index(op.f("ix_answers_created"), table_name="answers")
    op.drop_table("answers")

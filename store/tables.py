"""The tables: corpus, what the bot answered and how people voted, crawl, training runs.

Everything works on SQLite and on PostgreSQL. Moments are UTC, digests are SHA-256 in hex, users appear only as the keyed
hash of `Database.hash_user`. Whoever changes a table adds a migration (`python -m store.migrations NAME` writes a draft).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from store.types import BigId, UtcDateTime, now

DIGEST = String(64)
USER = String(32)
PLATFORM = String(16)
PLACE = String(64)  # ids of guilds, channels and messages


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(), list[Any]: JSON()}  # noqa: RUF012


class Meta(Base):
    """Small facts by name: the key that user ids are hashed with, where the crawl stands."""

    __tablename__ = "meta"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]
    changed: Mapped[datetime] = mapped_column(default=now, onupdate=now)


# --- corpus ---------------------------------------------------------------------------------------------------------


class Picture(Base):
    """One picture file, however many odai share it."""

    __tablename__ = "pictures"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)  # of the file's bytes
    path: Mapped[str] = mapped_column(Text)  # relative to data.dir
    width: Mapped[int]  # pixels
    height: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    added: Mapped[datetime] = mapped_column(default=now)


class Odai(Base):
    """One picture as a site posed it."""

    __tablename__ = "odai"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index(None, "picture_digest"),
        Index(None, "picture_url"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(String(32))  # "bokete", or the name of what was imported
    external_id: Mapped[str] = mapped_column(String(128))
    picture_digest: Mapped[str | None] = mapped_column(ForeignKey("pictures.digest"))  # None: not fetched yet
    picture_url: Mapped[str | None] = mapped_column(String(512))
    category: Mapped[str | None] = mapped_column(String(64))
    title: Mapped[str | None] = mapped_column(Text)  # words that belong to the picture; 穴埋め shows here
    boke_count: Mapped[int | None]  # as the site says
    posted: Mapped[datetime | None]
    first_seen: Mapped[datetime] = mapped_column(default=now)
    last_seen: Mapped[datetime] = mapped_column(default=now)
    missing_since: Mapped[datetime | None]  # the first of the 404s in a row
    missing_count: Mapped[int] = mapped_column(default=0)

    picture: Mapped[Picture | None] = relationship()


class Boke(Base):
    """One joke. It has a picture, or an odai whose picture is still to be fetched."""

    __tablename__ = "boke"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        CheckConstraint("picture_digest IS NOT NULL OR odai_id IS NOT NULL", name="has_picture"),
        # Jokes of a picture; the same joke of the same picture when a file without ids is imported twice.
        Index(None, "picture_digest", "text_hash"),
        Index(None, "odai_id"),
        Index(None, "text_hash"),  # "is this answer somebody's joke?"
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    picture_digest: Mapped[str | None] = mapped_column(ForeignKey("pictures.digest"))
    odai_id: Mapped[int | None] = mapped_column(ForeignKey("odai.id"))
    source: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str | None] = mapped_column(String(128))
    text: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[int] = mapped_column(BigInteger)  # store.text.text_hash: equal for jokes that read the same
    stars: Mapped[float | None]
    ratings: Mapped[int | None]  # how many people gave them
    split: Mapped[str | None] = mapped_column(String(8))  # "train" or "dev" where the file said so
    category: Mapped[str | None] = mapped_column(String(64))
    url: Mapped[str | None] = mapped_column(Text)
    flagged: Mapped[bool] = mapped_column(default=False)  # the site marks it as not for everybody
    posted: Mapped[datetime | None]
    last_rated: Mapped[datetime | None]
    first_seen: Mapped[datetime] = mapped_column(default=now)
    refreshed: Mapped[datetime] = mapped_column(default=now)  # when the stars were last read
    missing_since: Mapped[datetime | None]
    missing_count: Mapped[int] = mapped_column(default=0)

    picture: Mapped[Picture | None] = relationship()
    odai: Mapped[Odai | None] = relationship()


# --- chat -----------------------------------------------------------------------------------------------------------


class Answer(Base):
    """One reply of the bot. The picture itself is not kept, unless a visitor of the page wants it in the feed."""

    __tablename__ = "answers"
    __table_args__ = (
        UniqueConstraint("public_id"),
        Index(None, "platform", "channel_id", "picture_key", "created"),  # what was said about this picture here
        Index(None, "platform", "channel_id", "created"),  # the last answer, today's best
        Index(None, "platform", "channel_id", "message_id"),  # a post was deleted
        Index(None, "platform", "channel_id", "reply_id"),  # a reaction to a reply
        Index(None, "platform", "guild_id", "created"),
        Index(None, "platform", "user"),
        Index(None, "created"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32))  # uuid4 in hex
    platform: Mapped[str] = mapped_column(PLATFORM)  # "discord", "slack", "web"
    guild_id: Mapped[str | None] = mapped_column(PLACE)  # Slack: the workspace
    channel_id: Mapped[str] = mapped_column(PLACE)
    message_id: Mapped[str | None] = mapped_column(PLACE)  # the post with the picture
    position: Mapped[int] = mapped_column(default=0)  # which of the post's pictures, from 0
    reply_id: Mapped[str | None] = mapped_column(PLACE)  # the bot's own message, once it is sent
    picture_key: Mapped[str] = mapped_column(DIGEST)  # digest or perceptual hash
    picture_url: Mapped[str | None] = mapped_column(Text)  # where もう一回 finds it again, where that is no post
    user: Mapped[str | None] = mapped_column(USER)
    text: Mapped[str] = mapped_column(Text)
    candidates: Mapped[list[Any]]  # [{"text": ..., "score": ...}]
    score: Mapped[float]
    mode: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(DIGEST)  # digest of the bundle
    encoder: Mapped[str] = mapped_column(String(64))
    elapsed_ms: Mapped[float | None]
    source_url: Mapped[str | None] = mapped_column(Text)  # where the joke is somebody's, word for word
    consent: Mapped[bool] = mapped_column(default=False)  # may appear in the page's public feed
    again_of: Mapped[str | None] = mapped_column(String(32))  # public id of the answer before it
    created: Mapped[datetime] = mapped_column(default=now)
    deleted: Mapped[datetime | None]


class Vote(Base):
    """One person's opinion of one answer."""

    __tablename__ = "votes"
    __table_args__ = (CheckConstraint("value IN (-1, 1)", name="up_or_down"), Index(None, "voter"))

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    voter: Mapped[str] = mapped_column(USER, primary_key=True)
    value: Mapped[int] = mapped_column(SmallInteger)
    created: Mapped[datetime] = mapped_column(default=now)
    changed: Mapped[datetime] = mapped_column(default=now)

    answer: Mapped[Answer] = relationship()


class AnswerFeature(Base):
    """The picture's feature vector, kept for training where `privacy.store_features` allows it."""

    __tablename__ = "answer_features"

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    encoder: Mapped[str] = mapped_column(String(64))
    weights_digest: Mapped[str] = mapped_column(DIGEST)
    vector: Mapped[bytes] = mapped_column(LargeBinary)  # float32, little endian
    created: Mapped[datetime] = mapped_column(default=now)

    answer: Mapped[Answer] = relationship()


class FeedPicture(Base):
    """A small picture beside an answer in the page's feed, where its visitor agreed to that."""

    __tablename__ = "feed_pictures"

    answer_id: Mapped[int] = mapped_column(ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True)
    jpeg: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(default=now)

    answer: Mapped[Answer] = relationship()


class SeenEvent(Base):
    """What was taken on already: an event that is delivered again is not answered again."""

    __tablename__ = "seen_events"
    __table_args__ = (Index(None, "created"),)

    platform: Mapped[str] = mapped_column(PLATFORM, primary_key=True)
    channel_id: Mapped[str] = mapped_column(PLACE, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)  # Slack: ts; Discord: the message's id
    created: Mapped[datetime] = mapped_column(default=now)


class ChannelSettings(Base):
    """What moderators chose for a channel. None: the configuration's value."""

    __tablename__ = "channel_settings"

    platform: Mapped[str] = mapped_column(PLATFORM, primary_key=True)
    channel_id: Mapped[str] = mapped_column(PLACE, primary_key=True)
    guild_id: Mapped[str | None] = mapped_column(PLACE)
    enabled: Mapped[bool | None]
    automatic: Mapped[bool | None]  # False: only when asked
    probability: Mapped[float | None]  # 0 to 1: how often a picture is answered unasked
    cooldown_s: Mapped[float | None]
    quiet_from: Mapped[str | None] = mapped_column(String(5))  # "23:00"
    quiet_to: Mapped[str | None] = mapped_column(String(5))
    card: Mapped[bool | None]
    language: Mapped[str | None] = mapped_column(String(8))
    changed: Mapped[datetime] = mapped_column(default=now)


class OptOut(Base):
    """Somebody whose posts the bot never answers."""

    __tablename__ = "optouts"

    platform: Mapped[str] = mapped_column(PLATFORM, primary_key=True)
    user: Mapped[str] = mapped_column(USER, primary_key=True)
    created: Mapped[datetime] = mapped_column(default=now)


# --- crawl and training ---------------------------------------------------------------------------------------------


class FrontierPage(Base):
    """An address that the crawl knows: to be fetched, fetched, or given up. `next_try` also brings a page round again."""

    __tablename__ = "frontier"
    __table_args__ = (UniqueConstraint("url"), Index(None, "state", "priority", "next_try"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str] = mapped_column(String(512))
    kind: Mapped[str] = mapped_column(String(16))  # "list", "odai", "boke", "picture"
    state: Mapped[str] = mapped_column(String(16), default="waiting")  # "waiting", "done", "gone", "failed"
    priority: Mapped[int] = mapped_column(default=0)  # lower comes first
    attempts: Mapped[int] = mapped_column(default=0)
    next_try: Mapped[datetime] = mapped_column(default=now)
    etag: Mapped[str | None] = mapped_column(String(256))
    last_modified: Mapped[str | None] = mapped_column(String(64))
    content_digest: Mapped[str | None] = mapped_column(DIGEST)
    found: Mapped[datetime] = mapped_column(default=now)
    fetched: Mapped[datetime | None]
    missing_since: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class Run(Base):
    """One training run, from the crawl to the published model."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "kind", "started"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), default="retrain")
    trigger: Mapped[str] = mapped_column(String(16), default="hand")  # "hand", "schedule", "page"
    # "running", "published", "kept" (nothing published), "failed", "stopped"
    state: Mapped[str] = mapped_column(String(16), default="running")
    recipe: Mapped[str | None] = mapped_column(String(256))
    started: Mapped[datetime] = mapped_column(default=now)
    heartbeat: Mapped[datetime] = mapped_column(default=now)
    ended: Mapped[datetime | None]
    published: Mapped[datetime | None]
    announced: Mapped[datetime | None]  # when the admin channel was told
    stop_requested: Mapped[bool] = mapped_column(default=False)
    host: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[int | None]
    process: Mapped[str | None] = mapped_column(String(64))  # store.processes.name_of_process
    stages: Mapped[list[Any]] = mapped_column(default=list)  # [{"name", "state", "seconds", ...counts}]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)  # keys of training.evaluate
    champion_metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    bundle_digest: Mapped[str | None] = mapped_column(DIGEST)
    champion_digest: Mapped[str | None] = mapped_column(DIGEST)
    message: Mapped[str | None] = mapped_column(Text)  # one line: why it ended as it did
    log: Mapped[str | None] = mapped_column(Text)


class RunEpoch(Base):
    """One pass over the training data."""

    __tablename__ = "run_epochs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[str] = mapped_column(String(16), primary_key=True, default="decoder")  # or "funny"
    epoch: Mapped[int] = mapped_column(primary_key=True)  # from 1
    train_loss: Mapped[float]  # nats per token
    dev_loss: Mapped[float | None]
    learning_rate: Mapped[float | None]
    seconds: Mapped[float | None]
    tokens: Mapped[int | None] = mapped_column(BigInteger)
    samples: Mapped[list[Any]] = mapped_column(default=list)  # [{"picture": digest, "text": ...}]
    created: Mapped[datetime] = mapped_column(default=now)

    run: Mapped[Run] = relationship()


class Lock(Base):
    """Something that only one process may do at a time; a holder that stops renewing it loses it."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128))
    acquired: Mapped[datetime]
    expires: Mapped[datetime]

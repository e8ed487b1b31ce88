"""What front ends and the core hand each other: who asks what, what the answer is, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from bot.messages import Language, say


class BokeRefused(Exception):
    """No answer, and why: `code` for programs, a friendly line for people.

    Attributes:
        code: "no_picture", "not_a_picture", "corrupt", "too_large", "too_many_pixels", "slow_down", "busy", "lost",
            "down", "speechless", "unknown_answer", "unknown_mode", "not_allowed", "not_fetched", "left_alone" or a front
            end's own, such as "no_access".
        retry_after: whole seconds after which it may work; 0 where trying again is no use.
    """

    def __init__(self, code: str, *, retry_after: int = 0, cause: str = "", **values: object) -> None:
        super().__init__(cause or code)
        self.code, self.retry_after, self.values = code, retry_after, values

    def line(self, language: Language = "ja") -> str:
        """What to tell the person."""
        return say(self.code, language, **self.values)


@dataclass(frozen=True)
class Place:
    """Where and by whom a picture was posted, in the platform's own ids."""

    platform: str  # "discord", "slack" or "web"
    channel_id: str
    user_id: str = ""
    guild_id: str | None = None
    message_id: str | None = None
    position: int = 0  # which picture of the message
    parent_id: str | None = None  # the channel around a thread, whose rules hold in it


@dataclass(frozen=True)
class Ask:
    """What is asked of a picture."""

    mode: str | None = None  # None: the configured one
    seed: int | None = None
    consent: bool = False  # to be shown in the page's feed
    again_of: str | None = None  # the answer that this one follows
    picture_url: str | None = None
    limited: bool = True  # chat limits apply; the page has limits of its own
    asked_by: str = ""  # who asked, where it was not the picture's poster: their limits count


@dataclass(frozen=True)
class Candidate:
    """One joke that was offered, made harmless."""

    text: str
    score: float


@dataclass(frozen=True)
class Generated:
    """What a model says about a picture when nobody asks in a chat: best first, nothing of it is kept."""

    candidates: tuple[Candidate, ...]
    model: str


@dataclass(frozen=True)
class Outcome:
    """How one `answer` ended, for whoever counts: `code` is "answered" or the refusal's."""

    platform: str
    mode: str
    code: str
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the bot says about a picture. `id` is "" where the database could not keep it (it cannot be voted on then).

    `source_url` is where the joke stands, if it is somebody's word for word; front ends show it beside the joke.
    """

    id: str
    text: str
    candidates: tuple[Candidate, ...]
    mode: str
    encoder: str
    model: str
    elapsed_ms: float
    source_url: str | None = None

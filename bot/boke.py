"""The one core: picture bytes in, an answer out. It knows no platform; every front end is a thin shell over it.

What two front ends share lives here: limits, the choice among candidates, history, votes, what is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from bot.filter import harmless
from bot.inference import Inference, NoWorker, QueueFull, WorkerLost
from bot.limits import Limit, RateLimits
from bot.messages import Language, say
from bot.worker import Answered, CardJob, Job, Refused
from store import answers, settings, votes
from store.answers import Forgotten, NewAnswer, StoredAnswer, StoredCandidate
from store.config import Config
from store.database import Database
from store.errors import DatabaseError, UnknownAnswer
from store.votes import VoteCounts
from store.words import WordFilter

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MODES = ("boke", "article")
OFFERED = 12  # candidates that a worker sends back, best first; the first that is new and allowed is the answer


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
class Outcome:
    """How one `answer` ended, for whoever counts: `code` is "answered" or the refusal's."""

    platform: str
    mode: str
    code: str
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the bot says about a picture. `id` is "" where the database could not keep it (it cannot be voted on then)."""

    id: str
    text: str
    candidates: tuple[Candidate, ...]
    mode: str
    encoder: str
    model: str
    elapsed_ms: float


_REFUSALS = {
    "EmptyPicture": "no_picture",
    "NotAPicture": "not_a_picture",
    "CorruptPicture": "corrupt",
    "TooManyPixels": "too_many_pixels",
}


class BokeService:
    """Answers pictures, keeps what was said, counts votes."""

    def __init__(self, config: Config, inference: Inference, database: Database) -> None:
        self.config, self.inference, self.database = config, inference, database
        self.limits = RateLimits()
        self.observers: list[Callable[[Outcome], None]] = []
        self.filter = WordFilter.load(
            config.filter.words, config.filter.words_file, shipped=config.filter.shipped_words
        )
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="database")

    async def stored(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of `store` in a thread: the event loop never waits for a disk. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def answer(self, picture: bytes, place: Place, ask: Ask = Ask()) -> Answer:
        """A joke about a picture that was not told about it here before. Raises BokeRefused.

        With a seed it is the same joke every time, told before or not.
        """
        started = time.perf_counter()
        mode = ask.mode or self.config.inference.mode
        code = "bug"
        try:
            answered = await self._answer(picture, place, ask, mode, started)
            code = "answered"
            return answered
        except BokeRefused as refused:
            code = refused.code
            raise
        finally:
            outcome = Outcome(place.platform, mode if mode in MODES else "unknown", code, time.perf_counter() - started)
            for observe in self.observers:
                observe(outcome)

    async def _answer(self, picture: bytes, place: Place, ask: Ask, mode: str, started: float) -> Answer:
        if mode not in MODES:
            raise BokeRefused("unknown_mode", modes="・".join(MODES))
        self._check_size(picture)
        if ask.limited:
            self.check_limits(place, ask.asked_by)
        answered = await self._infer(picture, mode, ask.seed)
        told = await self._told(place, answered.picture_key) if ask.seed is None else frozenset()
        candidates = self._allowed(answered)
        chosen = next((c for c in candidates if c.text not in told), None)
        if chosen is None and ask.seed is None:
            # All of these were told here before, or none may be said: look once more, elsewhere.
            answered = await self._infer(picture, mode, None)
            candidates = self._allowed(answered)
            chosen = next((c for c in candidates if c.text not in told), candidates[0] if candidates else None)
        chosen = chosen or (candidates[0] if candidates else None)
        if chosen is None:
            raise BokeRefused("speechless")
        elapsed = (time.perf_counter() - started) * 1000
        kept = await self._keep(place, ask, mode, answered, candidates, chosen, elapsed)
        return Answer(kept, chosen.text, candidates, mode, answered.encoder, answered.model, round(elapsed, 1))

    async def card(self, picture: bytes, text: str, *, spoiler: bool = False) -> bytes:
        """The picture with the joke under it, as PNG. Raises BokeRefused."""
        self._check_size(picture)
        settings = self.config.card
        font = str(settings.font) if settings.font else None
        job = CardJob(picture, text, spoiler, settings.width, font, self.config.pictures.max_pixels)
        try:
            drawn = await self.inference.draw(job)
        except NoWorker as error:
            raise BokeRefused("down", retry_after=10, cause=str(error)) from None
        except WorkerLost as error:
            raise BokeRefused("lost", cause=str(error)) from None
        if isinstance(drawn, Refused):
            raise BokeRefused(_REFUSALS.get(drawn.error, "corrupt"), cause=drawn.message)
        return drawn

    async def vote(self, answer_id: str, place: Place, value: int) -> VoteCounts:
        """One person's vote, 1 or -1, 0 takes it back. Raises BokeRefused (unknown_answer), DatabaseError."""
        return await self._vote(answer_id, place, lambda _: value)

    async def press(self, answer_id: str, place: Place, value: int) -> VoteCounts:
        """A button's vote: pressed again, it is taken back. Raises BokeRefused (unknown_answer), DatabaseError."""
        return await self._vote(answer_id, place, lambda before: 0 if before == value else value)

    async def unvote(self, answer_id: str, place: Place, value: int) -> VoteCounts:
        """Take one vote back, unless it was changed since. Raises BokeRefused (unknown_answer), DatabaseError."""
        return await self._vote(answer_id, place, lambda before: 0 if before == value else before)

    async def _vote(self, answer_id: str, place: Place, choose: Callable[[int], int]) -> VoteCounts:
        def work() -> VoteCounts:
            user = self._user(place)
            return votes.vote(self.database, answer_id, user, choose(votes.vote_of(self.database, answer_id, user)))

        try:
            return await self.stored(work)
        except UnknownAnswer:
            raise BokeRefused("unknown_answer") from None

    async def find(self, answer_id: str) -> StoredAnswer:
        """An answer by its id. Raises BokeRefused (unknown_answer), DatabaseError."""
        found = await self.stored(answers.get_answer, self.database, answer_id)
        if found is None:
            raise BokeRefused("unknown_answer")
        return found

    async def forget(self, place: Place) -> Forgotten:
        """Erase a person's answers and votes on a platform. Raises DatabaseError."""
        return await self.stored(lambda: answers.forget_user(self.database, place.platform, self._user(place)))

    async def opt_out(self, place: Place, out: bool = True) -> None:
        """Keep away from a person's posts, or come back. Raises DatabaseError."""
        change = settings.opt_out if out else settings.opt_in
        await self.stored(lambda: change(self.database, place.platform, self._user(place)))

    async def is_poster(self, answer: StoredAnswer, place: Place) -> bool:
        """Whether it was this person's picture. Raises DatabaseError."""
        return answer.user == await self.stored(lambda: self._user(place))

    async def opted_out(self, place: Place) -> bool:
        """Whether a person wants to be left alone; yes, where the database cannot say."""
        try:
            return await self.stored(lambda: settings.is_opted_out(self.database, place.platform, self._user(place)))
        except DatabaseError as error:
            log.error("opt-outs cannot be read: %s", error)
            return True

    def check_limits(self, place: Place, asked_by: str = "") -> None:
        """Count one request against the chat's limits. Raises BokeRefused (slow_down)."""
        chat = self.config.chat
        if chat.cooldown_s == 0:
            return
        wait = self.limits.take(
            Limit("user", f"{place.platform}:{asked_by or place.user_id}", chat.user_per_minute),
            Limit("channel", f"{place.platform}:{place.channel_id}", chat.channel_per_minute),
            Limit("all", "", chat.global_per_minute),
        )
        if wait:
            raise BokeRefused("slow_down", retry_after=wait, seconds=wait)

    def close(self) -> None:
        """Let running database work end."""
        self._threads.shutdown(wait=True)

    def _user(self, place: Place) -> str:
        return self.database.hash_user(place.platform, place.user_id)

    def _check_size(self, picture: bytes) -> None:
        if not picture:
            raise BokeRefused("no_picture")
        if len(picture) > self.config.pictures.max_bytes:
            raise BokeRefused("too_large", limit=megabytes(self.config.pictures.max_bytes))

    async def _infer(self, picture: bytes, mode: str, seed: int | None) -> Answered:
        job = Job(picture, OFFERED, mode, seed, self.config.pictures.max_pixels)
        try:
            result = await self.inference.answer(job)
        except QueueFull as error:
            raise BokeRefused("busy", retry_after=5, cause=str(error)) from None
        except NoWorker as error:
            raise BokeRefused("down", retry_after=10, cause=str(error)) from None
        except WorkerLost as error:
            raise BokeRefused("lost", cause=str(error)) from None
        if isinstance(result, Refused):
            raise BokeRefused(_REFUSALS.get(result.error, "corrupt"), cause=result.message)
        return result

    def _allowed(self, answered: Answered) -> tuple[Candidate, ...]:
        found: dict[str, Candidate] = {}
        for text, score in answered.candidates:
            text = harmless(text)
            if text and self.filter.allows(text):
                found.setdefault(text, Candidate(text, score))
        return tuple(found.values())

    async def _told(self, place: Place, picture_key: str) -> frozenset[str]:
        try:
            recent = await self.stored(
                answers.recent_texts, self.database, place.platform, place.channel_id, picture_key
            )
        except DatabaseError as error:
            log.error("what was said before cannot be read: %s", error)
            return frozenset()
        return frozenset(recent)

    async def _keep(
        self,
        place: Place,
        ask: Ask,
        mode: str,
        answered: Answered,
        candidates: tuple[Candidate, ...],
        chosen: Candidate,
        elapsed: float,
    ) -> str:
        try:
            return await self.stored(self._store, place, ask, mode, answered, candidates, chosen, elapsed)
        except DatabaseError as error:
            log.error("an answer could not be kept: %s", error)
            return ""

    def _store(
        self,
        place: Place,
        ask: Ask,
        mode: str,
        answered: Answered,
        candidates: tuple[Candidate, ...],
        chosen: Candidate,
        elapsed: float,
    ) -> str:
        user = self._user(place) if place.user_id else None
        if user is None and ask.again_of:  # another joke about the same picture is the same person's
            before = answers.get_answer(self.database, ask.again_of)
            user = before.user if before else None
        kept = answers.add_answer(
            self.database,
            NewAnswer(
                platform=place.platform,
                guild_id=place.guild_id,
                channel_id=place.channel_id,
                message_id=place.message_id,
                position=place.position,
                user=user,
                picture_key=answered.picture_key,
                picture_url=ask.picture_url,
                text=chosen.text,
                score=chosen.score,
                candidates=tuple(StoredCandidate(c.text, c.score) for c in candidates),
                mode=mode,
                model=answered.model,
                encoder=answered.encoder,
                elapsed_ms=elapsed,
                consent=ask.consent,
                again_of=ask.again_of,
            ),
        )
        if self.config.privacy.store_features:
            answers.save_feature(
                self.database, kept.public_id, answered.encoder, answered.encoder_digest, answered.features
            )
        return kept.public_id


def megabytes(size: int) -> str:
    """Bytes for people: "20 MB"."""
    return f"{size / 2**20:.0f} MB" if size >= 2**20 else f"{max(1, size // 1024)} kB"

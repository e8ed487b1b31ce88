"""The one core: picture bytes in, an answer out. It knows no platform; every front end is a thin shell over it.

What two front ends share lives here: limits, the choice among candidates, history, votes, what is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from bokemodel.modes import ALWAYS, BOKE, BORROWING, MODES
from bot.exchange import Answer, Ask, BokeRefused, Candidate, Generated, Outcome, Place
from bot.filter import harmless
from bot.inference import Inference, NoWorker, QueueFull, WorkerLost
from bot.limits import Limit, RateLimits
from bot.log import PICTURE
from bot.work import Work
from bot.worker import Answered, CardJob, Job, Refused, ThumbnailJob
from store import answers, crawled, settings, votes
from store.answers import Forgotten, NewAnswer, StoredAnswer, StoredCandidate
from store.config import Config
from store.database import Database
from store.errors import DatabaseError, UnknownAnswer
from store.votes import VoteCounts
from store.words import WordFilter

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

OFFERED = 12  # candidates that a worker sends back, best first; the first that is new and allowed is the answer


@dataclass(frozen=True)
class _Offer:
    """What a worker offers for one picture, and what of it may be said.

    told: what was said about the picture here before. known: somebody's jokes among the candidates, with their addresses.
    """

    answered: Answered
    candidates: tuple[Candidate, ...] = ()
    told: frozenset[str] = frozenset()
    known: Mapping[str, str | None] = field(default_factory=dict)
    readable: bool = True  # False: the database could not say any of that

    def choose(self) -> Candidate | None:
        """The best that was not told here before."""
        return next((c for c in self.candidates if c.text not in self.told), None)


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
        self.work = Work()  # pictures that were taken on: from their download to the message about them
        self.observers: list[Callable[[Outcome], None]] = []
        self.filter = WordFilter.load(
            config.filter.words, config.filter.words_file, shipped=config.filter.shipped_words
        )
        self._modes: tuple[str, tuple[str, ...]] = ("", ALWAYS)  # of the model with that digest
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="database")

    async def stored(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of `store` in a thread: the event loop never waits for a disk. Raises what it raises."""
        context = copy_context()  # for the log
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: context.run(function, *args, **kwargs)
        )

    async def answer(self, picture: bytes, place: Place, ask: Ask = Ask()) -> Answer:
        """A joke about a picture that was not told about it here before. Raises BokeRefused.

        With a seed it is the same joke every time, told before or not.
        """
        started = time.perf_counter()
        mode, code = ask.mode or self.config.inference.mode, "bug"
        try:
            mode = ask.mode or await self.usual_mode()
            with self.work:
                answered = await self._answer(picture, place, ask, mode, started)
            code = "answered"
            facts = {"platform": place.platform, "mode": mode, "model": answered.model[:12], "answer": answered.id}
            log.info("%s: answered in %.0f ms", place.platform, answered.elapsed_ms, extra=facts)
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
            raise await self._unknown_mode()
        self._check_size(picture)
        if ask.limited:
            self.check_limits(place, ask.asked_by)
        offer = await self._offer(picture, place, mode, ask.seed)
        chosen = offer.choose()
        if chosen is None and ask.seed is None:
            # All of these were told here before, or none may be said: look once more, elsewhere.
            offer = await self._offer(picture, place, mode, None)
            chosen = offer.choose()
        chosen = chosen or next(iter(offer.candidates), None)
        if chosen is None:
            raise BokeRefused("speechless")
        elapsed = (time.perf_counter() - started) * 1000
        kept = await self._keep(place, ask, mode, offer, chosen, elapsed) if offer.readable else ""
        # Others' jokes are not handed on without their source: only the one that is told has it beside it.
        shown = tuple(c for c in offer.candidates if c == chosen or c.text not in offer.known)
        answered, source = offer.answered, offer.known.get(chosen.text)
        return Answer(kept, chosen.text, shown, mode, answered.encoder, answered.model, round(elapsed, 1), source)

    async def generate(self, picture: bytes) -> Generated:
        """All that the model says about a picture, also what is somebody's joke; nothing is kept. Raises BokeRefused."""
        self._check_size(picture)
        answered = await self._infer(picture, await self.usual_mode(), None)
        return Generated(self._allowed(answered), answered.model)

    async def modes(self) -> tuple[str, ...]:
        """The ways of answering that the live model has; those of every model, while no worker can say."""
        digest, modes = self._modes
        if digest != self.inference.digest or not digest:
            try:
                facts = await self.inference.facts()
            except NoWorker:
                return ALWAYS
            self._modes = facts.model, facts.modes
            modes = facts.modes
        return modes

    async def usual_mode(self) -> str:
        """The configured one; the usual one where that quotes jokes and the live model carries none."""
        mode = self.config.inference.mode
        return BOKE if mode in BORROWING and mode not in await self.modes() else mode

    async def _unknown_mode(self) -> BokeRefused:
        return BokeRefused("unknown_mode", modes="・".join(await self.modes()))

    async def card(self, picture: bytes, text: str, *, spoiler: bool = False) -> bytes:
        """The picture with the joke under it, as PNG. Raises BokeRefused."""
        settings = self.config.card
        font = str(settings.font) if settings.font else None
        return await self._draw(CardJob(picture, text, spoiler, settings.width, font, self.config.pictures.max_pixels))

    async def thumbnail(self, picture: bytes) -> bytes:
        """The picture, small, as JPEG. Raises BokeRefused."""
        return await self._draw(ThumbnailJob(picture, max_pixels=self.config.pictures.max_pixels))

    async def _draw(self, job: CardJob | ThumbnailJob) -> bytes:
        self._check_size(job.picture)
        try:
            drawn = await self.inference.draw(job)
        except NoWorker as error:
            raise BokeRefused("down", retry_after=10, cause=str(error)) from None
        except WorkerLost as error:
            raise BokeRefused("lost", cause=str(error)) from None
        if isinstance(drawn, Refused):
            raise refused_as(drawn)
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
        limit, settings = self.config.pictures.max_pixels, search_settings(self.config)
        job = Job(picture, OFFERED, mode, seed, limit, settings, PICTURE.get())
        try:
            result = await self.inference.answer(job)
        except QueueFull as error:
            raise BokeRefused("busy", retry_after=5, cause=str(error)) from None
        except NoWorker as error:
            raise BokeRefused("down", retry_after=10, cause=str(error)) from None
        except WorkerLost as error:
            raise BokeRefused("lost", cause=str(error)) from None
        if isinstance(result, Refused):
            if result.error == "UnknownMode":
                raise await self._unknown_mode()
            raise refused_as(result)
        return result

    def _allowed(self, answered: Answered) -> tuple[Candidate, ...]:
        found: dict[str, Candidate] = {}
        for text, score in answered.candidates:
            text = harmless(text)
            if text and self.filter.allows(text):
                found.setdefault(text, Candidate(text, score))
        return tuple(found.values())

    async def _offer(self, picture: bytes, place: Place, mode: str, seed: int | None) -> _Offer:
        """Candidates for a picture, without what may not be said. Raises BokeRefused."""
        answered = await self._infer(picture, mode, seed)
        candidates = self._allowed(answered)
        # The way of 2016 gives back what it has read; that is what people try it for.
        texts = [c.text for c in candidates] if mode == BOKE else []
        quoted: dict[str, str | None] = {harmless(text): url for text, url in answered.sources.items()}

        def look_up() -> tuple[frozenset[str], dict[str, str | None]]:
            told = answers.recent_texts(self.database, place.platform, place.channel_id, answered.picture_key)
            return frozenset(told), crawled.find_known(self.database, texts)

        try:
            told, known = await self.stored(look_up)
        except DatabaseError as error:
            log.error("a picture is answered without looking back, nor kept: %s", error)
            return _Offer(answered, candidates, known=quoted, readable=False)
        if mode in BORROWING:  # somebody's jokes are what was asked for
            known = quoted
        elif known and self.config.filter.crawled_jokes == "drop":
            candidates = tuple(c for c in candidates if c.text not in known)
        else:
            candidates = tuple(c for c in candidates if known.get(c.text, "") is not None)
        return _Offer(answered, candidates, told if seed is None else frozenset(), known)

    async def _keep(
        self,
        place: Place,
        ask: Ask,
        mode: str,
        offer: _Offer,
        chosen: Candidate,
        elapsed: float,
    ) -> str:
        try:
            return await self.stored(self._store, place, ask, mode, offer, chosen, elapsed)
        except DatabaseError as error:
            log.error("an answer could not be kept: %s", error)
            return ""

    def _store(
        self,
        place: Place,
        ask: Ask,
        mode: str,
        offer: _Offer,
        chosen: Candidate,
        elapsed: float,
    ) -> str:
        user = self._user(place) if place.user_id else None
        if user is None and ask.again_of:  # another joke about the same picture is the same person's
            before = answers.get_answer(self.database, ask.again_of)
            user = before.user if before else None
        answered = offer.answered
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
                candidates=tuple(StoredCandidate(c.text, c.score) for c in offer.candidates),
                mode=mode,
                model=answered.model,
                encoder=answered.encoder,
                elapsed_ms=elapsed,
                source_url=offer.known.get(chosen.text),
                consent=ask.consent,
                again_of=ask.again_of,
            ),
        )
        if self.config.privacy.store_features:
            answers.save_feature(
                self.database, kept.public_id, answered.encoder, answered.encoder_digest, answered.features
            )
        return kept.public_id


def search_settings(config: Config) -> dict[str, Any]:
    """How jokes are looked for, where the configuration says so; the rest is the model's own."""
    inference = config.inference
    chosen = {
        "candidates": inference.candidates,
        "temperature": inference.temperature,
        "top_p": inference.top_p,
        "mmi_lambda": inference.mmi_lambda,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def refused_as(refused: Refused) -> BokeRefused:
    """A worker's refusal as people read it."""
    return BokeRefused(_REFUSALS.get(refused.error, "corrupt"), cause=refused.message)


def megabytes(size: int) -> str:
    """Bytes for people: "20 MB"."""
    return f"{size / 2**20:.0f} MB" if size >= 2**20 else f"{max(1, size // 1024)} kB"


__all__ = [
    "Answer",
    "Ask",
    "BokeRefused",
    "BokeService",
    "Candidate",
    "Generated",
    "Outcome",
    "Place",
    "megabytes",
    "refused_as",
    "search_settings",
]

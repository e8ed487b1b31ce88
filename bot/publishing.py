"""The owner's choice of the live model: `python -m training.publish` as a child, then the workers take it up."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from bokemodel.registry import current_folder, published
from bot import children
from bot.app import model_place
from bot.inference import Inference, ModelRejected
from store.config import Config

log = logging.getLogger(__name__)

STARTER = "starter"  # the model that ships, by name
PATIENCE_S = 60.0


class PublishingError(Exception):
    """Base of what keeps a model from becoming the live one; what was live still is."""


class Pinned(PublishingError):
    """`model.path` names the model that answers, whatever is published."""


class UnknownModel(PublishingError):
    """The models folder holds no bundle of that name."""


class NothingOlder(PublishingError):
    """The starter is live: there is nothing to roll back."""


class PublishFailed(PublishingError):
    """The command could not do it; the message is its line."""


class Publisher:
    """Changes which model of the models folder is live. One change at a time."""

    def __init__(self, config: Config, inference: Inference) -> None:
        self._config, self._inference = config, inference
        self._one_at_a_time = asyncio.Lock()

    @property
    def live(self) -> str:
        """The name of the published model that is live; `STARTER` where none is."""
        return _name(current_folder(self._models))

    async def use(self, name: str) -> str:
        """Make a bundle live, or the starter; returns its digest. Nothing happens where it is live already.

        Raises: Pinned, UnknownModel, PublishFailed, ModelRejected
        """
        async with self._one_at_a_time:
            self._check_not_pinned()
            if name != STARTER and name not in {bundle.name for bundle in published(self._models)}:
                raise UnknownModel(name)
            return await self._take_up() if name == self.live else await self._change("--use", name)

    async def roll_back(self, expected: str | None = None) -> str:
        """Make the model before the live one live again, or the starter; returns its digest.

        expected: what is to be rolled back. Nothing happens where it is not live any more, so that asking twice goes back
        once only.

        Raises: Pinned, NothingOlder, PublishFailed, ModelRejected
        """
        async with self._one_at_a_time:
            self._check_not_pinned()
            live = self.live
            if expected is not None and expected != live:
                return await self._take_up()
            if live == STARTER:
                raise NothingOlder("the starter is live")
            return await self._change("--rollback")

    async def _change(self, *arguments: str) -> str:
        before = self.live
        await self._run(*arguments)
        try:
            return await self._take_up()
        except ModelRejected:
            await self._run("--use", before)
            raise

    async def _run(self, *arguments: str) -> None:
        process = await children.start_module("training.publish", *arguments, "--models", str(self._models))
        try:
            async with asyncio.timeout(PATIENCE_S):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise PublishFailed("it took too long") from None
        finally:
            await children.end(process)
        lines = printed.decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        if process.returncode:
            raise PublishFailed(last.removeprefix("publish: ") or f"it ended with {process.returncode}")
        log.info("publish: %s", last)

    async def _take_up(self) -> str:
        place = model_place(self._config)
        if place.folder != self._inference.place.folder:
            await self._inference.reload(place)
        return self._inference.digest

    @property
    def _models(self) -> Path:
        return self._config.models.dir

    def _check_not_pinned(self) -> None:
        if self._config.model.path is not None:
            raise Pinned("model.path is set")


def _name(folder: Path | None) -> str:
    return STARTER if folder is None else folder.name

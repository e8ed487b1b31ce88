"""Builds everything from the configuration, starts it, and stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from bot.announcements import Announcements
from bot.boke import BokeService
from bot.inference import EngineSettings, Inference
from bot.reload import reload
from bot.schedule import Schedule
from bot.worker import ModelPlace
from store.config import Config
from store.database import Database, open_database
from store.errors import ConfigError, DatabaseError

log = logging.getLogger(__name__)

FINISH_S = 6.0  # for pictures under way
FRONT_END_STOP_S = 1.5
REST_SHARE = 0.05  # of the wait for a locked database: so long a crowd goes on without it once one has waited in vain
LEAVE_S = 9.5  # after a signal, whatever hangs


class FrontEnd(Protocol):
    """One place where people meet the bot."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class App:
    """The running bot. `front_ends` are started in order and stopped in reverse."""

    def __init__(self, config: Config, config_file: Path | None = None) -> None:
        """`config_file` is where the configuration came from, for child processes."""
        self.config, self.config_file = config, config_file
        self.database: Database = open_database(
            config.database.url,
            pool_size=config.database.pool_size,
            busy_timeout_s=config.database.busy_timeout_s,
        )
        self.database.rest_s = config.database.busy_timeout_s * REST_SHARE
        self.inference = Inference(engine_settings(config), model_place(config), ModelPlace(backend=_backend(config)))
        self.service = BokeService(config, self.inference, self.database)
        self.announcements = Announcements(config.chat.admin_channel)  # front ends register how to post there
        self.schedule = Schedule(
            config, self.database, self.inference, self.announcements, lambda: model_place(config), config_file
        )
        self.front_ends: list[FrontEnd] = front_ends(self)
        self.started = False
        self.leaving = False  # from then on front ends leave what arrives to whoever comes next
        self._started: list[FrontEnd] = []

    async def start(self) -> None:
        """Workers first, then the front ends. Raises ModelRejected, OSError (port taken)."""
        await self.inference.start()
        for front_end in self.front_ends:
            await front_end.start()
            self._started.append(front_end)
        await self.schedule.start()
        self.started = True

    async def why_not_ready(self, patience_s: float = 5.0) -> str:
        """Empty where a picture that comes now is answered and kept; otherwise what is missing."""
        if not self.started or self.leaving:
            return "the bot is leaving" if self.leaving else "the bot is starting"
        if not await self.inference.probe(patience_s):
            return "no worker answers"
        try:
            await asyncio.wait_for(self.service.stored(self.database.ping), patience_s)
        except (DatabaseError, TimeoutError) as error:
            return f"the database does not answer: {error}"
        return ""

    async def stop(self) -> None:
        """Take nothing new, finish what is under way, close."""
        self.leaving = True
        await asyncio.gather(self.schedule.stop(), self._finish())
        await asyncio.gather(*(self._stop(front_end) for front_end in reversed(self._started)))
        await asyncio.to_thread(self.service.close)
        self.database.close()

    async def _finish(self) -> None:
        """Pictures that are being fetched are answered, too; only then the workers go."""
        until = time.monotonic() + FINISH_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.service.work.done(), FINISH_S)
        await self.inference.stop(max(0.0, until - time.monotonic()))

    async def _stop(self, front_end: FrontEnd) -> None:
        try:
            await asyncio.wait_for(front_end.stop(), FRONT_END_STOP_S)
        except TimeoutError:
            log.warning("%s did not stop in time", front_end.name)


async def run(config: Config, config_file: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT, and leave within LEAVE_S of it."""
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if not leave.is_set():
            leave.set()
            threading.Thread(target=_leave_anyway, name="leaving", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    app = App(config, config_file)
    _on_hangup(app, told)
    try:
        starting = asyncio.create_task(app.start())
        leaving = asyncio.create_task(leave.wait())
        await asyncio.wait({starting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            starting.result()
        await leaving
        log.info("stopping")
    finally:
        await app.stop()


def _on_hangup(app: App, leave: Callable[[], None]) -> None:
    """A terminal that is closed says SIGHUP, too: who was started from one leaves with it."""
    loop, reloading = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def reload_all() -> None:
        if app.started and not app.leaving:
            task = asyncio.create_task(reload(app))
            reloading.add(task)
            task.add_done_callback(reloading.discard)

    shown = [number for number in (1, 2) if os.isatty(number)]

    def hang_up() -> None:
        # What is still said would be left in a buffer, and be an error at the very end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in shown:
            os.dup2(nowhere, number)
        os.close(nowhere)
        leave()

    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, hang_up if _has_terminal() else reload_all)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _leave_anyway() -> None:
    """A thread that waits for a disk or a lock would hold the process at its end, and nobody can stop a thread."""
    time.sleep(LEAVE_S)
    log.warning("something did not end in time; leaving without it")
    logging.shutdown()
    os._exit(0)  # the workers notice


def front_ends(app: App) -> list[FrontEnd]:
    """The front ends that the configuration asks for."""
    found: list[FrontEnd] = []
    config = app.config
    if config.web.enabled:
        from bot.chat.web.server import WebFrontEnd

        page = WebFrontEnd(app)
        found.append(page)
    if config.discord.enabled and config.secrets.discord_token is not None:
        from bot.chat.discord import DiscordFrontEnd

        found.append(DiscordFrontEnd(app))
    if config.slack.enabled and config.secrets.slack_bot_token is not None:
        from bot.chat.slack import SlackFrontEnd

        slack = SlackFrontEnd(app)
        if slack.routes:
            if not config.web.enabled:
                raise ConfigError("slack.mode = http needs web.enabled = true: Slack calls the page's server")
            page.add_routes(slack.routes)
        found.append(slack)
    return found


def engine_settings(config: Config) -> EngineSettings:
    """The part of the configuration that is about workers."""
    inference = config.inference
    return EngineSettings(
        workers=config.engine.workers,
        threads=config.engine.threads,
        queue_size=inference.queue_size,
        batch_size=inference.batch_size,
        batch_wait=inference.batch_wait_ms / 1000,
        timeout=inference.timeout_s,
        start_timeout=config.engine.start_timeout_s,
        log_level=config.log.level,
        log_format=config.log.format,
        cluster=config.engine if config.engine.kind == "dask" else None,
    )


def model_place(config: Config) -> ModelPlace:
    """`model.path` if set, else `current` in `models.dir` if there, else the starter."""
    model = config.model
    current = config.models.dir / "current"
    folder: Path | None = model.path or (current.resolve() if current.exists() else None)
    options: tuple[tuple[str, object], ...] = ()
    if model.encoder == "caffenet":
        options = (("blob", model.encoder_blob), ("size", model.encoder_size), ("mean", tuple(model.encoder_mean)))
    return ModelPlace(
        str(folder) if folder else None,
        model.encoder,
        str(model.encoder_path) if model.encoder_path else None,
        options,
        _backend(config),
    )


def _backend(config: Config) -> Literal["auto", "chainer", "onnxruntime"]:
    return "onnxruntime" if config.model.backend == "onnx" else config.model.backend

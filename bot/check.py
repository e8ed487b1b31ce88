"""`python -m bot --check`: looks at everything that the bot needs, and says in a line each what to do where something lacks."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bokemodel.modes import MODES
from bot.app import engine_settings, model_place
from bot.chat.web.callers import Callers
from bot.inference import Inference, InferenceError
from bot.lettering import FontMissing, Lettering, find_fonts
from bot.log import Redactor
from bot.worker import Job, Refused
from store.config import Config, load_config, secret_values
from store.database import open_database
from store.errors import ConfigError, DatabaseError
from store.tables import Meta
from store.words import WordFilter

State = Literal["ok", "failed", "off"]
LEAST_FREE = 200 * 2**20  # bytes on a disk


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    name: str
    state: State
    text: str

    def __str__(self) -> str:
        mark = {"ok": "OK    ", "failed": "FAILED", "off": "off   "}[self.state]
        return f"{mark} {self.name}: {self.text}"


async def check_all(config_file: Path | None = None, say: Callable[[str], None] = print) -> int:
    """Check everything and say a line for each; returns the exit code, 0 where nothing failed."""
    try:
        config = load_config(config_file)
    except ConfigError as error:
        for problem in error.problems:
            say(str(Finding("configuration", "failed", problem)))
        return 1
    redact = Redactor(secret_values(config))
    failed = False
    async for finding in findings(config):
        say(redact(str(finding)))
        failed = failed or finding.state == "failed"
    return 1 if failed else 0


async def findings(config: Config) -> AsyncIterator[Finding]:
    """Everything that is looked at, in the order in which one would set it up."""
    for finding in (*check_configuration(config), *check_folders(config), check_database(config)):
        yield finding
    yield await check_model(config)
    yield check_fonts(config)
    yield check_page(config)
    yield await check_discord(config)
    yield await check_slack(config)


def check_configuration(config: Config) -> Iterator[Finding]:
    """Values that only turn out to be wrong where they are used."""
    problems = []
    if config.inference.mode not in MODES:
        problems.append(f"inference.mode = {config.inference.mode!r}: there are {', '.join(MODES)}")
    try:
        WordFilter.load(config.filter.words, config.filter.words_file)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"filter.words_file: cannot be read: {error}")
    if config.slack.mode == "http" and config.secrets.slack_bot_token is not None and not config.web.enabled:
        problems.append("slack.mode = http needs web.enabled = true: Slack calls the page's server")
    platform, _, channel = config.chat.admin_channel.partition(":")
    tokens = {"discord": config.secrets.discord_token, "slack": config.secrets.slack_bot_token}
    if config.chat.admin_channel and (platform not in tokens or not channel):
        problems.append("chat.admin_channel: should be discord:ID or slack:ID")
    elif config.chat.admin_channel and tokens[platform] is None:
        problems.append(f"chat.admin_channel: is on {platform}, which has no token")
    try:
        Callers(config)
    except ConfigError as error:
        problems += error.problems
    for problem in problems:
        yield Finding("configuration", "failed", problem)
    if not problems:
        yield Finding("configuration", "ok", "every key has a value that can be used")


def check_folders(config: Config) -> Iterator[Finding]:
    """Can they be written, and is there room?"""
    for key, folder in (("data.dir", config.data.dir), ("models.dir", config.models.dir)):
        yield _folder(key, folder.absolute())


def _folder(key: str, folder: Path) -> Finding:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            return Finding(key, "failed", f"{there} is a file: name another folder")
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"bokebot")
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(
            key, "failed", f"{there} cannot be written ({error.strerror}): give {_me()} the right to, or set {key}"
        )
    if free < LEAST_FREE:
        return Finding(key, "failed", f"{there} has {free // 2**20} MB left: make room, or set {key}")
    made = "" if folder == there else ", will be made"
    return Finding(key, "ok", f"{folder} ({free / 2**30:.0f} GB free{made})")


def _me() -> str:
    return f"user {os.getuid()}" if hasattr(os, "getuid") else "the bot's user"


class _OnlyTrying(Exception):
    """Rolls a write back."""


def check_database(config: Config) -> Finding:
    """Opens it, which migrates it, and tries to write."""
    try:
        database = open_database(config.database.url, busy_timeout_s=config.database.busy_timeout_s)
        try:
            with database.session() as session:
                session.merge(Meta(name="check", value={}))
                session.flush()
                raise _OnlyTrying
        except _OnlyTrying:
            return Finding("database", "ok", f"{database.address}, migrated, can be written")
        finally:
            database.close()
    except DatabaseError as error:
        return Finding("database", "failed", str(error))


async def check_model(config: Config) -> Finding:
    """Loads it in a worker, and has it answer a picture."""
    place = model_place(config)
    named = place.folder or "the starter"
    inference = Inference(engine_settings(config), place)
    try:
        await inference.start()
        await inference.answer(Job(_picture()))  # the first one is slower
        began = time.perf_counter()
        answered = await inference.answer(Job(_picture()))
        took = (time.perf_counter() - began) * 1000
    except InferenceError as error:
        return Finding("model", "failed", f"{named}: {error}")
    finally:
        await inference.stop()
    if isinstance(answered, Refused) or not answered.candidates:
        return Finding("model", "failed", f"{named}: it has nothing to say about a picture; train it anew")
    return Finding("model", "ok", f"{named}, {answered.encoder}, answers a picture in {took:.0f} ms")


def _picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "PNG")
    return file.getvalue()


def check_fonts(config: Config) -> Finding:
    """Can cards be lettered?"""
    try:
        fonts = find_fonts()
        if config.card.font is not None:
            fonts = replace(fonts, japanese=config.card.font)
        drawable = Lettering(fonts).drawable("猫の手")
    except FontMissing as error:
        advice = "set card.font" if config.card.font else "install the dependencies again"
        return Finding("fonts", "failed", f"{error}: {advice}")
    if drawable != "猫の手":
        return Finding("fonts", "failed", f"{fonts.japanese} has no Japanese letters: set card.font to one that has")
    if fonts.emoji is None:
        return Finding("fonts", "ok", f"{fonts.japanese.name}; cards leave emoji out (Debian: fonts-noto-color-emoji)")
    return Finding("fonts", "ok", f"{fonts.japanese.name}, {fonts.emoji.name}")


def check_page(config: Config) -> Finding:
    """Is the port free?"""
    host, port = config.web.host, config.web.port
    if not config.web.enabled:
        return Finding("page", "off", "web.enabled is false")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
    except OSError as error:
        return Finding(
            "page",
            "failed",
            f"cannot listen on {host} port {port} ({error.strerror}): is the bot running already? "
            "If not, set web.port or web.host",
        )
    notes = "" if config.secrets.admin_token else "; without BOKE_ADMIN_TOKEN nobody can start a training from there"
    return Finding("page", "ok", f"{host} port {port or 'any that is free'}{notes}")


async def check_discord(config: Config) -> Finding:
    """Token and intent, asked of Discord."""
    if not config.discord.enabled:
        return Finding("Discord", "off", "discord.enabled is false")
    if config.secrets.discord_token is None:
        return Finding("Discord", "off", "DISCORD_TOKEN is not set")
    from bot.chat.discord.check import check

    state = await check(config)
    if state.problems:
        return Finding("Discord", "failed", "; ".join(state.problems))
    return Finding("Discord", "ok", state.name)


async def check_slack(config: Config) -> Finding:
    """Tokens and scopes, asked of Slack."""
    if not config.slack.enabled:
        return Finding("Slack", "off", "slack.enabled is false")
    secrets = config.secrets
    if secrets.slack_bot_token is None and secrets.slack_app_token is None:
        return Finding("Slack", "off", "SLACK_BOT_TOKEN is not set")
    from bot.chat.slack.check import check

    problems = await check(config)
    if problems:
        return Finding("Slack", "failed", "; ".join(problems))
    return Finding("Slack", "ok", f"tokens and scopes are good ({config.slack.mode})")

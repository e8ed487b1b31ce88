"""What SIGHUP does: read the configuration again, take over what can be, and load the model that it names.

A configuration that is wrong, or a model that does not load, is a line in the log, and the bot goes on as before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot import log as logs
from bot.inference import ModelRejected
from store.config import Config, load_config, secret_values
from store.errors import ConfigError
from store.reloading import take_over
from store.words import WordFilter

if TYPE_CHECKING:
    from bot.app import App

log = logging.getLogger(__name__)


async def reload(app: App) -> None:
    """Read everything anew; never raises. `store.reloading` says which keys need a restart instead."""
    from bot.app import model_place

    try:
        fresh, words = await asyncio.to_thread(_read, app)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        log.error("reload: the configuration stays as it is: %s", "; ".join(str(error).splitlines()))
        return
    changed, left = take_over(app.config, fresh)
    app.service.filter = words
    logs.configure(app.config.log.level, app.config.log.format, secret_values(app.config))
    if left:
        log.warning("reload: needs a restart: %s", ", ".join(left))
    try:
        model = await app.inference.reload(model_place(app.config))
    except ModelRejected as error:
        log.error("reload: %s", error)
        return
    log.info("reload: taken over: %s; model %s", ", ".join(changed) or "no key", model[:12])


def _read(app: App) -> tuple[Config, WordFilter]:
    from bot.check import check_configuration

    fresh = load_config(app.config_file)
    problems = [finding.text for finding in check_configuration(fresh) if finding.state == "failed"]
    if problems:
        raise ConfigError(problems)
    return fresh, WordFilter.load(fresh.filter.words, fresh.filter.words_file, shipped=fresh.filter.shipped_words)

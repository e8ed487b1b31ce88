"""`python -m bot [--config FILE] [--check]`: runs the bot until it is told to stop, or looks whether it could run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

# Worker processes import this file under another name: nothing may happen then, and nothing heavy be imported.
if __name__ == "__main__":
    import os
    import signal
    import sys

    def _leave(number: int, frame: object) -> None:
        os._exit(1 if "--check" in sys.argv else 0)  # there is nothing to tidy up yet

    for _number in (signal.SIGTERM, signal.SIGINT):  # until the bot is far enough to take care of them itself
        signal.signal(_number, _leave)

    import typer


def main(
    config: Annotated[
        Path | None, typer.Option(help="A TOML file; otherwise config.toml of the working directory, if there.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look at everything the bot needs, and say what to do where it lacks.")
    ] = False,
) -> None:
    """Answer posted pictures with a one-line Japanese joke."""
    import asyncio

    from bot import log
    from store.config import load_config, secret_values
    from store.errors import StoreError

    if check:
        from bot.check import check_all

        log.configure("error", "text")
        raise SystemExit(asyncio.run(check_all(config)))

    from bot.app import run
    from bot.inference import InferenceError

    redact = log.Redactor()
    try:
        settings = load_config(config)
        redact = log.configure(settings.log.level, settings.log.format, secret_values(settings))
        asyncio.run(run(settings, config))
    except (StoreError, InferenceError, OSError) as error:
        # One line that says what to do; the cause is in the log where there is more to it.
        print(f"bot: {redact(str(error))}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    typer.run(main)

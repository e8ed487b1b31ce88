"""`python -m bot [--config FILE]`: runs the bot until it is told to stop."""

from __future__ import annotations

from pathlib import Path


def main(config: Path | None = None) -> None:
    """Answer posted pictures with a one-line Japanese joke."""
    import asyncio
    import sys

    from bot import log
    from bot.app import run
    from bot.inference import InferenceError
    from store.config import load_config
    from store.errors import StoreError

    try:
        settings = load_config(config)
        log.configure(settings.log.level, settings.log.format)
        asyncio.run(run(settings, config))
    except (StoreError, InferenceError, OSError) as error:
        # One line that says what to do; the cause is in the log where there is more to it.
        print(f"bot: {error}", file=sys.stderr)
        raise SystemExit(1) from None


# Worker processes import this file under another name: nothing may happen then, and nothing heavy be imported.
if __name__ == "__main__":
    import typer

    typer.run(main)

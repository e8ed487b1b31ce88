"""`python -m store.restore FILE [--force] [--config FILE]`: the whole database back from a file, while no bot runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from store.config import load_config
from store.copying import restore
from store.errors import StoreError


def main(
    file: Annotated[Path, typer.Argument(help="A copy that `python -m store.backup` made.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what the database holds.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file; otherwise config.toml of the working directory, if there.")
    ] = None,
) -> None:
    """Fill the database from a copy: whole, or not at all. Stop the bot first."""
    try:
        database = load_config(config).database
        restore(database.url, file, force=force, busy_timeout_s=database.busy_timeout_s)
    except StoreError as error:
        print(f"restore: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"restore: the database is as it was in {file}")


if __name__ == "__main__":
    typer.run(main)

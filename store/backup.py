"""`python -m store.backup FILE [--config FILE]`: the whole database into one file, while the bot runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from store.config import load_config
from store.copying import back_up
from store.errors import StoreError


def main(
    file: Annotated[Path, typer.Argument(help="Where the copy goes; one that is there is replaced.")],
    config: Annotated[
        Path | None, typer.Option(help="A TOML file; otherwise config.toml of the working directory, if there.")
    ] = None,
) -> None:
    """Copy the database into a file: whole, of one moment, or not at all."""
    try:
        size = back_up(load_config(config).database.url, file)
    except StoreError as error:
        print(f"backup: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"backup: {file}, {size:,} bytes")


if __name__ == "__main__":
    typer.run(main)

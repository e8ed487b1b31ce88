"""Fetch the weights that are too large to ship: `python -m bokemodel.download caffenet`.

The only part of this package that touches the network. What has arrived is kept in FILE.part, and a download that broke
off goes on from there; FILE appears only when it is whole and its checksum is right.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from bokemodel.encoders.caffe_weights import FILE_NAME
from bokemodel.encoders.files import cache_folder
from bokemodel.errors import DownloadFailed

PIECE = 1 << 18  # bytes written at once
# No limit on the whole: a slow line may take an hour. A line that is silent for a minute is dead.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
Report = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says so


@dataclass(frozen=True)
class Weights:
    """A published file: its name here, its address, and the SHA-1 (hex) that its authors publish."""

    file_name: str
    url: str
    sha1: str


class What(StrEnum):
    """What can be downloaded."""

    CAFFENET = "caffenet"


PUBLISHED = {
    # BVLC/caffe, models/bvlc_reference_caffenet/readme.md: "unrestricted use"
    What.CAFFENET: Weights(
        FILE_NAME,
        "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
        "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    )
}


async def fetch(weights: Weights, folder: Path, report: Report = lambda done, total: None) -> Path:
    """Bring a file into `folder`, going on where an earlier attempt stopped.

    Args:
        weights: which file.
        folder: made if it is not there.
        report: called with every piece that arrives.

    Returns:
        The path of the file. One that is there already and right is left as it is.

    Raises:
        DownloadFailed: no network, no room, a server that refuses, or another checksum.
    """
    path = folder / weights.file_name
    part = path.with_name(f"{path.name}.part")
    try:
        if path.is_file() and _sha1_of(path) == weights.sha1:
            return path
        os.makedirs(folder, exist_ok=True)
        await _fetch_all(weights.url, part, report)
        found = await asyncio.to_thread(_sha1_of, part)
        if found != weights.sha1:
            os.unlink(part)
            raise DownloadFailed(f"what {weights.url} sent has SHA-1 {found}, not {weights.sha1}; it was thrown away")
        os.replace(part, path)
    except OSError as error:
        kept = f"; what has arrived is kept in {part}" if part.exists() else ""
        raise DownloadFailed(f"{path} cannot be written: {error.strerror or error}{kept}") from error
    return path


async def _fetch_all(url: str, part: Path, report: Report) -> None:
    """Ask again after every break, as long as each attempt brings something."""
    async with aiohttp.ClientSession(timeout=TIMEOUT, auto_decompress=False, trust_env=True) as session:
        while True:
            before = _size(part)
            try:
                await _fetch_rest(session, url, part, report)
            except (aiohttp.ClientError, TimeoutError) as error:
                if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) or _size(part) <= before:
                    hint = f"; {before:,} bytes are kept, the same command goes on from there" if before else ""
                    raise DownloadFailed(f"cannot download {url}: {_reason(error)}{hint}") from error
            else:
                return


async def _fetch_rest(session: aiohttp.ClientSession, url: str, part: Path, report: Report) -> None:
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    async with session.get(url, headers=headers) as response:
        start, total = _range_of(response)
        if response.status == 416:  # nothing after what is here: it is whole, or longer than the file
            if have != total:
                os.unlink(part)
                await _fetch_rest(session, url, part, report)
            return
        response.raise_for_status()
        if start not in (0, have):
            raise aiohttp.ClientPayloadError(f"the server sent bytes from {start}, not from {have}")
        _check_room(part.parent, None if total is None else total - start)
        with part.open("ab" if start else "wb") as file:
            done = start
            report(done, total)
            async for piece in response.content.iter_chunked(PIECE):
                file.write(piece)
                done += len(piece)
                report(done, total)


def _range_of(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """At which byte the answer starts, and how many the whole file has; a server without ranges starts at 0."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if found is None or response.status not in (206, 416):
        return 0, response.content_length
    return int(found[1] or 0), None if found[2] == "*" else int(found[2])


def _check_room(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise DownloadFailed(f"{folder} has {free / 1e6:,.0f} MB left, but {needed / 1e6:,.0f} MB are still to come")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the server answers {error.status} {error.message}"
    if isinstance(error, aiohttp.InvalidURL):
        return "that is no address"
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    return str(error) or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha1_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def main(
    what: Annotated[What, typer.Argument(help="Whose weights.")],
    to: Annotated[Path | None, typer.Option(help="Folder; left out, where the encoder looks by itself.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address, of a mirror.")] = None,
    sha1: Annotated[str | None, typer.Option(help="The SHA-1 of another file.")] = None,
) -> None:
    """Download the weights of an encoder."""
    published = PUBLISHED[what]
    weights = Weights(published.file_name, url or published.url, (sha1 or published.sha1).lower())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(weights.file_name, total=None)
            report: Report = lambda done, total: progress.update(task, completed=done, total=total)  # noqa: E731
            path = asyncio.run(fetch(weights, to if to is not None else cache_folder(), report))
    except DownloadFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    print(path)


if __name__ == "__main__":
    typer.run(main)

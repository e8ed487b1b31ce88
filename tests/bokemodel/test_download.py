"""Downloads from a real server on loopback, one that breaks off, lies, knows no ranges, or is not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bokemodel.download import PUBLISHED, Weights, What, fetch
from bokemodel.errors import DownloadFailed

CONTENT = bytes(range(256)) * 8192  # 2 MB
SHA1 = hashlib.sha1(CONTENT).hexdigest()
NAME = "bvlc_reference_caffenet.caffemodel"


class Server:
    """Serves CONTENT; says what it was asked for; misbehaves as told."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.breaks_after: list[int] = []  # bytes sent before the connection breaks, for each request in turn
        self.knows_ranges = True
        self.status = 200
        self.content = CONTENT
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.status != 200:
            return web.Response(status=self.status)
        start = 0
        headers = {}
        if asked and self.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if start >= len(self.content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        response = web.StreamResponse(status=206 if headers else 200, headers=headers)
        response.content_length = len(self.content) - start
        await response.prepare(request)
        if self.breaks_after:
            await response.write(self.content[start : start + self.breaks_after.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(self.content[start:])
        return response


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    app = web.Application()
    app.router.add_get("/file", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/file"
    yield served
    await runner.cleanup()


def weights(server: Server, sha1: str = SHA1) -> Weights:
    return Weights(NAME, server.url, sha1)


async def command(*arguments: str, cache: Path, limit: int | None = None) -> tuple[int, str, str]:
    """Run `python -m bokemodel.download`; `limit` is the size at which the system refuses to let a file grow."""

    def refuse_to_grow() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-B", "-m", "bokemodel.download", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=refuse_to_grow,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "COLUMNS": "300"},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_whole_file(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = await fetch(weights(server), tmp_path / "new", lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "new" / NAME
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(path.parent.iterdir()) == [path]


async def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [500_000, 100_000]
    path = await fetch(weights(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=500000-", "bytes=600000-"]


async def test_an_earlier_attempt_is_resumed(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:123_456])
    assert (await fetch(weights(server), tmp_path)).read_bytes() == CONTENT
    assert server.ranges == ["bytes=123456-"]


async def test_a_server_that_brings_nothing_more_is_given_up(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1000, 0, 1000]
    with pytest.raises(DownloadFailed, match="1,000 bytes are kept, the same command goes on from there"):
        await fetch(weights(server), tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:1000]
    assert not (tmp_path / NAME).exists()


async def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks_after = [500_000]
    assert (await fetch(weights(server), tmp_path)).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=500000-"]


@pytest.mark.parametrize("extra", [0, 5])
async def test_a_part_as_long_as_the_file_or_longer(server: Server, tmp_path: Path, extra: int) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + bytes(extra))
    assert (await fetch(weights(server), tmp_path)).read_bytes() == CONTENT
    assert server.ranges == ([f"bytes={len(CONTENT)}-"] if not extra else [f"bytes={len(CONTENT) + 5}-", None])


async def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=f"SHA-1 {SHA1}, not {'0' * 40}"):
        await fetch(weights(server, "0" * 40), tmp_path)
    assert os.listdir(tmp_path) == []


async def test_a_part_of_something_else_is_found_out(server: Server, tmp_path: Path) -> None:
    """The next run starts anew."""
    (tmp_path / f"{NAME}.part").write_bytes(b"something else")
    with pytest.raises(DownloadFailed, match="SHA-1"):
        await fetch(weights(server), tmp_path)
    assert (await fetch(weights(server), tmp_path)).read_bytes() == CONTENT


async def test_a_file_that_is_there_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    await fetch(weights(server), tmp_path)
    assert server.ranges == []
    (tmp_path / NAME).write_bytes(b"an older one")
    assert (await fetch(weights(server), tmp_path)).read_bytes() == CONTENT


async def test_a_disk_without_room_is_noticed_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 1_000_000})
    monkeypatch.setattr("bokemodel.download.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(DownloadFailed, match="1 MB left, but 2 MB are still to come"):
        await fetch(weights(server), tmp_path)


async def test_the_command(server: Server, tmp_path: Path) -> None:
    options = ("--url", server.url, "--sha1", SHA1.upper())
    code, out, _ = await command("caffenet", *options, "--to", str(tmp_path / "here"), cache=tmp_path)
    assert (code, out) == (0, f"{tmp_path / 'here' / NAME}\n")
    code, out, _ = await command("caffenet", *options, cache=tmp_path)
    assert (code, out) == (0, f"{tmp_path / 'bokemodel' / NAME}\n")  # where CaffeNet() looks
    assert (tmp_path / "bokemodel" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["checksum", "refused", "not found", "no address", "no server", "full", "folder"])
async def test_failures_are_one_line(server: Server, tmp_path: Path, fault: str) -> None:
    url, sha1, to, limit = server.url, SHA1, tmp_path, None
    if fault == "checksum":
        sha1, expected = "0" * 40, "it was thrown away"
    elif fault == "refused":
        server.status, expected = 403, "the server answers 403 Forbidden"
    elif fault == "not found":
        url, expected = f"{server.url}/else", "the server answers 404 Not Found"
    elif fault == "no address":
        url, expected = "caffenet", "that is no address"
    elif fault == "no server":
        url, expected = "http://127.0.0.1:1/file", "Cannot connect"
    elif fault == "full":
        limit, expected = 700_000, "what has arrived is kept in"
    else:
        (tmp_path / "file").touch()
        to, expected = tmp_path / "file" / "below", "cannot be written"
    code, out, err = await command(
        "caffenet", "--url", url, "--sha1", sha1, "--to", str(to), cache=tmp_path, limit=limit
    )
    assert code == 1
    assert out == ""
    assert err.count("\n") == 1
    assert expected in err
    if fault == "full":
        assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:700_000]


def test_what_is_published() -> None:
    """The address and the checksum of BVLC's model zoo."""
    published = PUBLISHED[What.CAFFENET]
    assert published.url == "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel"
    assert published.sha1 == "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"
    assert published.file_name == NAME

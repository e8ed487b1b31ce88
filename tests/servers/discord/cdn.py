"""The CDN: attachments and other people's pictures, served well or as badly as a test asks for."""

from __future__ import annotations

import asyncio
import mimetypes
import struct
import warnings
import zlib
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import TypeAlias

from aiohttp import web
from PIL import Image

from .model import Upload
from .world import World

Serving: TypeAlias = Callable[[web.Request, Upload], Awaitable[web.StreamResponse]]

CHUNK = 64 * 1024
SENT = web.RequestKey("sent", int)


def make_upload(
    filename: str,
    data: bytes,
    *,
    spoiler: bool = False,
    content_type: str | None = None,
    size: int | None = None,
    description: str | None = None,
    serving: Serving | None = None,
) -> Upload:
    """A file to post. `content_type` and `size` may lie; by default they are what Discord would find.

    Pictures get their width and height; other files get none, as on Discord.
    """
    width: int | None = None
    height: int | None = None
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as picture:
            width, height = picture.size
    except Exception:  # whatever Pillow says of a broken or monstrous picture, Discord just shows a file
        pass
    return Upload(
        filename=f"SPOILER_{filename}" if spoiler else filename,
        data=data,
        content_type=content_type or mimetypes.guess_type(filename)[0],
        size=len(data) if size is None else size,
        width=width,
        height=height,
        description=description,
        serving=serving,
    )


class Cdn:
    """Serves /cdn and /media (attachments) and /files (pictures that a test hosts elsewhere, to be linked)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosted: dict[str, Upload] = {}
        self.hits: dict[str, int] = {}
        self.sent: dict[str, int] = {}  # bytes of the last streamed serving of a file

    def routes(self) -> list[web.RouteDef]:
        attachment = "attachments/{folder}/{number}/{filename}"
        return [
            web.get("/cdn/" + attachment, self._attachment),
            web.get("/media/" + attachment, self._attachment),
            web.get("/files/{path:.+}", self._file),
        ]

    async def _attachment(self, request: web.Request) -> web.StreamResponse:
        attachment = self.world.files.get(int(request.match_info["number"]))
        signed = {"ex", "is", "hm"} <= set(request.query)
        if attachment is None or not signed or attachment.filename != request.match_info["filename"]:
            return web.Response(status=404, text="This content is no longer available.")
        return await self._serve(request, attachment.upload)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        upload = self.hosted.get(request.match_info["path"])
        if upload is None:
            return web.Response(status=404, text="not here")
        return await self._serve(request, upload)

    async def _serve(self, request: web.Request, upload: Upload) -> web.StreamResponse:
        self.hits[upload.filename] = self.hits.get(upload.filename, 0) + 1
        request[SENT] = 0
        try:
            return await (upload.serving or plainly)(request, upload)
        finally:
            self.sent[upload.filename] = request[SENT]


async def plainly(request: web.Request, upload: Upload) -> web.StreamResponse:
    """Whole, with its length and type."""
    return web.Response(body=upload.data, content_type=upload.content_type or "application/octet-stream")


def status(code: int, headers: dict[str, str] | None = None) -> Serving:
    """An error, or with `Location` a redirect, instead of the file."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return serve


def redirect(location: str) -> Serving:
    return status(302, {"Location": location})


def hanging() -> Serving:
    """Accepts the request and says nothing until the client gives up."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    return serve


def slow(chunk: int, pause_s: float) -> Serving:
    """`chunk` bytes at a time, with a pause before each."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(upload, len(upload.data)))
        await response.prepare(request)
        for start in range(0, len(upload.data), chunk):
            await asyncio.sleep(pause_s)
            await _write(request, response, upload.data[start : start + chunk])
        return response

    return serve


def stalled(after: int) -> Serving:
    """The first `after` bytes, then silence until the client gives up."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(upload, len(upload.data)))
        await response.prepare(request)
        await _write(request, response, upload.data[:after])
        await asyncio.Event().wait()
        return response

    return serve


def cut_off(after: int) -> Serving:
    """The first `after` bytes of a promised whole, then a closed connection."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(upload, len(upload.data)))
        await response.prepare(request)
        await _write(request, response, upload.data[:after])
        assert request.transport
        request.transport.close()
        return response

    return serve


def endless(content_type: str = "image/png") -> Serving:
    """The file, and then more and more bytes, without a length, until the client has had enough."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        await _write(request, response, upload.data)
        while True:
            await _write(request, response, bytes(CHUNK))

    return serve


def gzip_bomb(megabytes: int) -> Serving:
    """A small body that grows to `megabytes` when its content encoding is undone."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        packer = zlib.compressobj(9, wbits=31)
        body = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(megabytes)) + packer.flush()
        headers = {"Content-Encoding": "gzip", "Content-Type": upload.content_type or "image/png"}
        return web.Response(body=body, headers=headers)

    return serve


def as_type(content_type: str) -> Serving:
    """The file under another content type than it has."""

    async def serve(request: web.Request, upload: Upload) -> web.StreamResponse:
        return web.Response(body=upload.data, headers={"Content-Type": content_type})

    return serve


def png_bomb(side: int) -> bytes:
    """A valid black PNG of `side` x `side` pixels in a small file: 30,000 make 900 million pixels of 110 kB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    packed = b"".join(packer.compress(row * 256) for _ in range(side // 256)) + packer.compress(row * (side % 256))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    await response.write(data)
    request[SENT] += len(data)


def _headers(upload: Upload, length: int) -> dict[str, str]:
    return {"Content-Type": upload.content_type or "application/octet-stream", "Content-Length": str(length)}

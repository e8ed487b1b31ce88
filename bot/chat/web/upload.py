"""Reads what is posted to /api/boke: a multipart form, streamed under the byte limit, or a link in JSON."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import BodyPartReader, web

from bot.boke import BokeRefused, megabytes

CHUNK = 64 * 1024
MAX_FIELD = 1024  # bytes of a field that is no picture
MAX_PARTS = 16
MAX_JSON = 64 * 1024
UPLOAD_S = 180.0  # a phone on a bad line takes its time, an open connection may not be held for ever
MAX_SEED = 2**63 - 1
_ID = re.compile(r"[0-9a-f]{32}")
_TRUE, _FALSE = frozenset({"1", "true", "on", "yes"}), frozenset({"", "0", "false", "off", "no"})


@dataclass(frozen=True)
class Post:
    """What was posted: the picture's bytes (b"" where a link was given), and what is asked of it."""

    picture: bytes = b""
    url: str | None = None
    mode: str | None = None
    seed: int | None = None
    consent: bool = False
    again_of: str | None = None


@dataclass
class _Form:
    picture: bytes | None = None
    fields: dict[str, Any] = field(default_factory=dict)


async def read_post(request: web.Request, max_bytes: int) -> Post:
    """The post in a request. Raises BokeRefused: no_picture, too_large, bad_request, too_slow."""
    try:
        async with asyncio.timeout(UPLOAD_S):
            if request.content_type.startswith("multipart/"):
                form = await _read_form(request, max_bytes)
                if form.picture is None:
                    raise BokeRefused("no_picture")
                return _post(form.fields, picture=form.picture)
            if request.content_type == "application/json":
                content = await read_json(request)
                if "url" not in content:
                    raise BokeRefused("no_picture")
                url = content["url"]
                if not isinstance(url, str) or not url or len(url) > 4096:
                    raise bad("url")
                return _post(content, url=url)
    except TimeoutError:
        raise BokeRefused("too_slow") from None
    raise BokeRefused("no_picture")


async def read_picture(request: web.Request, max_bytes: int) -> tuple[bytes, dict[str, str]]:
    """A form's picture, and what else is in it. Raises BokeRefused: no_picture, too_large, bad_request, too_slow."""
    try:
        async with asyncio.timeout(UPLOAD_S):
            form = await _read_form(request, max_bytes) if request.content_type.startswith("multipart/") else _Form()
    except TimeoutError:
        raise BokeRefused("too_slow") from None
    if form.picture is None:
        raise BokeRefused("no_picture")
    return form.picture, form.fields


async def read_json(request: web.Request) -> dict[str, Any]:
    """A JSON object of at most 64 kB. Raises BokeRefused (bad_request, too_large)."""
    data = bytearray()
    async for chunk in request.content.iter_chunked(CHUNK):
        data += chunk
        if len(data) > MAX_JSON:
            raise BokeRefused("too_large", limit=megabytes(MAX_JSON))
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise bad("JSON") from None
    if not isinstance(content, dict):
        raise bad("JSON")
    return content


def bad(what: str) -> BokeRefused:
    """A refusal that names the part of the request that cannot be read."""
    return BokeRefused("bad_request", what=what)


async def _read_form(request: web.Request, max_bytes: int) -> _Form:
    limit = max_bytes + MAX_PARTS * MAX_FIELD + CHUNK  # of the whole body, boundaries and headers included
    if request.content_length is not None and request.content_length > limit:
        raise BokeRefused("too_large", limit=megabytes(max_bytes))
    form = _Form()
    try:
        reader = await request.multipart()
        for _ in range(MAX_PARTS):
            part = await reader.next()
            if part is None:
                return form
            if not isinstance(part, BodyPartReader):
                raise bad("multipart")
            if part.name == "image" and form.picture is None:
                form.picture = await _read_part(part, max_bytes, BokeRefused("too_large", limit=megabytes(max_bytes)))
            else:
                value = await _read_part(part, MAX_FIELD, bad(part.name or "multipart"))
                form.fields.setdefault(part.name or "", value.decode("utf-8", "replace").strip())
    except (ValueError, AssertionError, aiohttp.ClientPayloadError, aiohttp.http.HttpProcessingError):
        raise bad("multipart") from None
    raise bad("multipart")


async def _read_part(part: BodyPartReader, limit: int, refusal: BokeRefused) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK):
        data += chunk
        if len(data) > limit:
            raise refusal
    return bytes(data)


def _post(fields: dict[str, Any], *, picture: bytes = b"", url: str | None = None) -> Post:
    mode = fields.get("mode") or None
    if mode is not None and not isinstance(mode, str):
        raise bad("mode")
    again_of = fields.get("again_of") or None
    if again_of is not None and not (isinstance(again_of, str) and _ID.fullmatch(again_of)):
        raise bad("again_of")
    return Post(picture, url, mode, _seed(fields.get("seed")), _yes(fields.get("consent")), again_of)


def _seed(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_SEED:
        raise bad("seed")
    return value


def _yes(value: Any) -> bool:
    word = "" if value is None else str(value).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise bad("consent")

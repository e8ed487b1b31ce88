"""Slack's file host (private downloads, uploads) and a host that is not Slack's; both write down who asked with what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.servers.slack.waiting import Happenings
from tests.servers.slack.workspace import FileFault, Workspace

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head>"
    '<body><form id="signin_form" action="/signin">Sign in to your workspace</form></body></html>'
)
TRICKLE_BYTES = 64


@dataclass
class HostRequest:
    """A request for a file as it came: `authorization` is the header's text, or None."""

    host: str
    path: str
    authorization: str | None
    cookie: str | None
    status: int = 0
    sent: int = 0  # bytes of the body that went out
    broken: bool = False  # the connection ended before the body did
    done: bool = False


class FileHost:
    """Serves `/files-pri/` to who shows the bot's token, and Slack's login page, with status 200, to everybody else."""

    def __init__(self, workspace: Workspace, happenings: Happenings, allows: Callable[[str | None], bool]) -> None:
        """`allows` says of an Authorization header whether it opens files."""
        self.workspace = workspace
        self.happenings = happenings
        self.allows = allows
        self.requests: list[HostRequest] = []
        self.ending = asyncio.Event()  # ends whatever stalls

    async def download(self, request: web.Request) -> web.StreamResponse:
        seen = self._note(request)
        file = self.workspace.files.get(request.match_info["file_id"])
        if not self.allows(seen.authorization):
            return await serve(request, seen, LOGIN_PAGE.encode(), "text/html", FileFault(), self)
        if file is None or not file.uploaded:
            return await serve(request, seen, b"not found", "text/plain", FileFault(status=404), self)
        return await serve(request, seen, file.data, file.mimetype, file.fault, self)

    async def upload(self, request: web.Request) -> web.Response:
        """The address that files.getUploadURLExternal gave out: raw bytes, or a form's one file."""
        file = self.workspace.files.get(request.match_info["file_id"])
        if file is None or file.uploaded:
            return web.Response(status=404, text="unknown upload")
        if request.content_type == "multipart/form-data":
            fields = [f for f in (await request.post()).values() if isinstance(f, web.FileField)]
            file.data = fields[0].file.read() if fields else b""
        else:
            file.data = await request.read()
        if len(file.data) != file.size:
            return web.Response(status=400, text=f"expected {file.size} bytes")
        file.uploaded = True
        self.happenings.tell()
        return web.Response(text=f"OK - {len(file.data)}")

    def _note(self, request: web.Request) -> HostRequest:
        seen = HostRequest(
            request.host, request.path, request.headers.get("Authorization"), request.headers.get("Cookie")
        )
        self.requests.append(seen)
        self.happenings.tell()
        return seen


class Elsewhere(FileHost):
    """A host that is none of Slack's: what it gets of the bot's token is a leak."""

    def __init__(self, workspace: Workspace, happenings: Happenings) -> None:
        super().__init__(workspace, happenings, lambda _: True)
        self.base = ""
        self._pages: dict[str, tuple[bytes, str, FileFault]] = {}

    def put(self, path: str, data: bytes, content_type: str = "image/png", fault: FileFault | None = None) -> str:
        """Serve `data` under `path`; the address."""
        self._pages[path] = (data, content_type, fault or FileFault())
        return self.base + path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        seen = self._note(request)
        data, content_type, fault = self._pages.get(request.path, (b"not found", "text/plain", FileFault(status=404)))
        return await serve(request, seen, data, content_type, fault, self)


async def serve(
    request: web.Request, seen: HostRequest, data: bytes, content_type: str, fault: FileFault, host: FileHost
) -> web.StreamResponse:
    """Answer with `data`, spoiled by `fault`; `seen` learns how it went."""
    seen.status = 302 if fault.redirect_to else fault.status
    if fault.redirect_to:
        response: web.StreamResponse = web.Response(status=302, headers={"Location": fault.redirect_to})
    else:
        response = await _stream(request, seen, content_type, data if fault.body is None else fault.body, fault, host)
    seen.done = True
    host.happenings.tell()
    return response


async def _stream(
    request: web.Request, seen: HostRequest, content_type: str, body: bytes, fault: FileFault, host: FileHost
) -> web.StreamResponse:
    response = web.StreamResponse(status=fault.status, headers={"Content-Type": fault.content_type or content_type})
    if fault.declares is not None or not fault.endless:
        response.content_length = len(body) if fault.declares is None else fault.declares
    await response.prepare(request)
    try:
        await _write(request, response, seen, body, fault, host)
    except ConnectionError:
        seen.broken = True
    return response


async def _write(
    request: web.Request,
    response: web.StreamResponse,
    seen: HostRequest,
    body: bytes,
    fault: FileFault,
    host: FileHost,
) -> None:
    async def send(piece: bytes) -> None:
        await response.write(piece)
        seen.sent += len(piece)

    limits = [limit for limit in (fault.stall_after, fault.cut_after) if limit is not None]
    body = body[: min(limits)] if limits else body
    if fault.trickle_s is None:
        await send(body)
    else:
        for start in range(0, len(body), TRICKLE_BYTES):
            await send(body[start : start + TRICKLE_BYTES])
            await asyncio.sleep(fault.trickle_s)
    while fault.endless and not host.ending.is_set():
        await send(bytes(65536))
    if fault.cut_after is not None and request.transport is not None:
        request.transport.abort()
        raise ConnectionResetError
    elif fault.stall_after is not None or fault.declares is not None:
        host.happenings.tell()
        await host.ending.wait()  # says nothing more, and keeps the connection
        raise ConnectionResetError

"""The Web API's door: parameters, tokens, scopes, faults on request, and the record of every call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.slack.feed import KINDS
from tests.servers.slack.methods import METHOD_SCOPES, Methods, SlackError
from tests.servers.slack.waiting import Gate, Happenings
from tests.servers.slack.workspace import Workspace

JSON_FIELDS = ("blocks", "attachments", "files", "metadata", "view", "user_auth_blocks")


@dataclass(frozen=True)
class ApiCall:
    """One call as it came and as it was answered."""

    method: str
    params: dict[str, Any]
    token: str | None
    status: int
    response: dict[str, Any]

    @property
    def error(self) -> str | None:
        return self.response.get("error")


@dataclass
class ApiFault:
    """How the next `times` calls of a method go wrong."""

    method: str
    error: str | None = None
    status: int = 200
    retry_after: int | None = None  # seconds
    drop: bool = False  # the connection breaks without an answer
    after_effect: bool = False  # the call takes effect, and only its answer is lost
    gate: Gate | None = None
    times: int = 1
    extra: dict[str, Any] = field(default_factory=dict)


class WebApi:
    def __init__(
        self,
        workspace: Workspace,
        happenings: Happenings,
        methods: Methods,
        scopes: set[str],
        bot_token: str,
        app_token: str,
    ) -> None:
        self.workspace = workspace
        self.happenings = happenings
        self.methods = methods
        self.scopes = scopes
        self.bot_token = bot_token
        self.app_token = app_token
        self.calls: list[ApiCall] = []
        self.faults: list[ApiFault] = []
        self.refused: dict[str, str] = {}  # token -> the error that it gets

    def allows_files(self, authorization: str | None) -> bool:
        """Whether this Authorization header opens private files."""
        good = authorization == f"Bearer {self.bot_token}" and self.bot_token not in self.refused
        return good and "files:read" in self.scopes

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        params = await _params(request)
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else params.get("token")
        params.pop("token", None)
        fault = self._fault(method)
        if fault is not None and fault.gate is not None:
            await fault.gate.passed()
            fault = None
        if fault is not None and not fault.after_effect:
            return self._fail(request, fault, ApiCall(method, params, token, 0, {}))
        try:
            self._authorize(method, token)
            self._check_scope(method, params)
            response = {"ok": True, **await self.methods.call(method, params)}
        except SlackError as error:
            response = {"ok": False, "error": error.code, **error.extra}
        call = ApiCall(method, params, token, 200, response)
        if fault is not None:
            return self._fail(request, fault, call)
        self._record(call)
        needed = METHOD_SCOPES.get(method, "")
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes)), "X-Accepted-OAuth-Scopes": needed}
        return web.json_response(response, headers=headers)

    def _authorize(self, method: str, token: str | None) -> None:
        if not token:
            raise SlackError("not_authed")
        if token in self.refused:
            raise SlackError(self.refused[token])
        wanted = self.app_token if method == "apps.connections.open" else self.bot_token
        if token == wanted:
            return
        raise SlackError("not_allowed_token_type" if token in (self.app_token, self.bot_token) else "invalid_auth")

    def _check_scope(self, method: str, params: dict[str, Any]) -> None:
        needed = METHOD_SCOPES.get(method, "")
        if "{kind}" in needed:
            channel = self.workspace.channels.get(str(params.get("channel")))
            needed = needed.format(kind=KINDS[channel.kind if channel else "channel"])
        if needed and needed not in self.scopes:
            raise SlackError("missing_scope", needed=needed, provided=",".join(sorted(self.scopes)))

    def _fault(self, method: str) -> ApiFault | None:
        for fault in self.faults:
            if fault.method in (method, "*") and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _fail(self, request: web.Request, fault: ApiFault, call: ApiCall) -> web.StreamResponse:
        if fault.retry_after is not None:
            status, body = 429, {"ok": False, "error": "ratelimited"}
        else:
            status, body = fault.status, {"ok": False, "error": fault.error or "internal_error", **fault.extra}
        self._record(ApiCall(call.method, call.params, call.token, 0 if fault.drop else status, body))
        if fault.drop:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault.retry_after is not None:
            return web.json_response(body, status=429, headers={"Retry-After": str(fault.retry_after)})
        if status >= 500:  # the balancer in front of Slack answers in HTML
            return web.Response(status=status, text="<html><h1>Server Error</h1></html>", content_type="text/html")
        return web.json_response(body, status=status)

    def _record(self, call: ApiCall) -> None:
        self.calls.append(call)
        self.happenings.tell()


async def _params(request: web.Request) -> dict[str, Any]:
    """Query, form and JSON body in one; the fields that hold JSON as text in a form are read."""
    params: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        loaded = json.loads(body) if body else {}
        params |= loaded if isinstance(loaded, dict) else {}
    elif request.method == "POST":
        params |= dict(await request.post())
    for name in JSON_FIELDS:
        if isinstance(params.get(name), str):
            try:
                params[name] = json.loads(params[name])
            except ValueError:
                params[name] = None
    return params

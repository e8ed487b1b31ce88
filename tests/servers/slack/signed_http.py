"""Slack's HTTP mode: events, commands and interactions as signed requests to the app's request URL."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.servers.slack.delivery import Delivery


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """X-Slack-Signature, version 0: HMAC-SHA256 over `v0:timestamp:body`."""
    return "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    text: str

    @property
    def payload(self) -> dict[str, Any]:
        """The body as an acknowledgement's payload: JSON, or text, or nothing."""
        if not self.text:
            return {}
        try:
            payload = json.loads(self.text)
        except ValueError:
            return {"text": self.text}
        return payload if isinstance(payload, dict) else {}


@dataclass
class SignedHttp:
    """Sends to one request URL. `timeout_s` is how long it waits for an answer, in seconds."""

    url: str
    signing_secret: str
    session: aiohttp.ClientSession
    timeout_s: float
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def post(
        self,
        body: bytes,
        content_type: str = "application/json",
        *,
        secret: str | None = None,
        timestamp: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpAnswer:
        """Post `body`, signed; a wrong `secret` or an old `timestamp` makes a request that must be refused."""
        stamp = str(int(time.time()) if timestamp is None else timestamp)
        signed = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature(secret or self.signing_secret, stamp, body),
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        limit = aiohttp.ClientTimeout(total=self.timeout_s)
        async with self.session.post(self.url, data=body, headers=signed | (headers or {}), timeout=limit) as answer:
            return HttpAnswer(answer.status, await answer.text())

    async def verify_url(self) -> bool:
        """Slack's question when the request URL is entered: the challenge must come back."""
        body = {"token": "verification-token", "challenge": "3eZbrw1aBm2rZgRN", "type": "url_verification"}
        answer = await self.post(json.dumps(body).encode())
        return answer.status == 200 and body["challenge"] in answer.text

    async def send(self, delivery: Delivery) -> bool:
        """Start the request; its answer acknowledges the delivery, anything but 200 in time loses it."""
        delivery.sent = True
        task = asyncio.create_task(self._send(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """End what is still on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, delivery: Delivery) -> None:
        headers = {}
        content_type = "application/x-www-form-urlencoded"
        if delivery.type == "events_api":
            body, content_type = json.dumps(delivery.payload).encode(), "application/json"
            if delivery.retry_attempt:
                headers = {
                    "X-Slack-Retry-Num": str(delivery.retry_attempt),
                    "X-Slack-Retry-Reason": delivery.retry_reason,
                }
        elif delivery.type == "slash_commands":
            body = urlencode(delivery.payload).encode()
        else:
            body = urlencode({"payload": json.dumps(delivery.payload)}).encode()
        try:
            answer = await self.post(body, content_type, headers=headers)
        except (aiohttp.ClientError, TimeoutError):
            delivery.lose()
            return
        if answer.status == 200:
            delivery.acknowledge(answer.payload)
        else:
            delivery.lose()

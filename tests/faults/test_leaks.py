"""Tokens and the database's password stay out of everything that the bot writes, says and answers, whatever goes wrong.

The platforms' addresses lead to a server that refuses everything and sends back, in its error, what it was sent.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp
from aiohttp import web
from sqlalchemy import make_url

from tests.bot.conftest import photo
from tests.bot.running import start_bot
from tests.bot.test_app import running

TOKENS = {
    "DISCORD_TOKEN": f"MTA0.{secrets.token_hex(10)}",
    "SLACK_BOT_TOKEN": f"xoxb-{secrets.token_hex(10)}",
    "SLACK_APP_TOKEN": f"xapp-{secrets.token_hex(10)}",
    "SLACK_SIGNING_SECRET": secrets.token_hex(16),
    "BOKE_ADMIN_TOKEN": f"admin/{secrets.token_hex(10)}+==",
}


ENDLESS = ("/api/runs/events",)  # goes on until the caller leaves


class Mirror:
    """Refuses every request with a status of its list in turn, and says why in the words of the request itself."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode(errors="replace")
        told = f"{request.rel_url} {dict(request.headers)} {body}"
        self.seen.append(told)
        status = (500, 403, 429, 400)[len(self.seen) % 4]
        return web.json_response({"message": told, "error": told, "ok": False, "retry_after": 0.1}, status=status)

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}


def assert_nothing_leaks(texts: list[str], hidden: list[str]) -> None:
    for text in texts:
        for secret in hidden:
            for form in forms(secret):
                assert form not in text, text[max(0, text.index(form) - 300) : text.index(form)]


async def everything_answered(url: str) -> list[str]:
    """What the pages and the API answer to all sorts of requests, right ones and wrong ones."""
    answers = []
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(30)) as session:

        async def ask(method: str, path: str, **options: object) -> None:
            async with session.request(method, path, **options) as response:  # type: ignore[arg-type]
                answers.append(f"{response.status} {dict(response.headers)} {await response.text(errors='replace')}")

        async with session.get("/api/openapi.json") as response:
            paths = list((await response.json())["paths"])
        for path in ["/", "/nowhere", *(path for path in paths if path not in ENDLESS)]:
            for method in ("GET", "POST", "PUT"):
                await ask(method, path.replace("{id}", "0" * 32), json={"value": 1})
        form = aiohttp.FormData()
        form.add_field("image", photo(), filename="photo.jpg")
        await ask("POST", "/api/boke", data=form)
        await ask("POST", "/api/boke", json={"url": "http://127.0.0.1/a.jpg"})
        for given in ("", "wrong", f"Bearer {TOKENS['BOKE_ADMIN_TOKEN']}"):
            await ask("POST", "/api/model/reload", headers={"Authorization": given})
    return answers


async def test_platforms_that_refuse_and_repeat_what_they_were_sent(
    tmp_path: Path, tiny_model: Path, postgres_url: str
) -> None:
    password = str(make_url(postgres_url).password)
    mirror = Mirror()
    async with mirror as address:
        variables = {
            **TOKENS,
            "BOKE__DISCORD__API_BASE": f"{address}/api/v10",
            "BOKE__SLACK__BASE_URL": f"{address}/api",
            "BOKE__DATABASE__URL": postgres_url,
            "BOKE__MODEL__PATH": str(tiny_model),
            "BOKE__LOG__LEVEL": "debug",
            "BOKE__LOG__FORMAT": "json",
        }
        async with running(tmp_path, **variables) as bot:
            async with asyncio.timeout(120):
                while not (  # noqa: ASYNC110 - both libraries have tried and failed
                    any(TOKENS["SLACK_BOT_TOKEN"] in told for told in mirror.seen)
                    and any(TOKENS["DISCORD_TOKEN"] in told for told in mirror.seen)
                    and "***" in bot.log
                ):
                    await asyncio.sleep(0.05)
            answers = await everything_answered(bot.url)
            assert len(answers) > 30
            await asyncio.to_thread(bot.stop)
            assert_nothing_leaks([bot.log, *bot.lines, *answers], [*TOKENS.values(), password])


async def test_a_ticket_to_slack_that_is_refused_at_the_door(tmp_path: Path, tiny_model: Path) -> None:
    """Slack hands out an address with a ticket in it, which the library repeats in its error."""
    ticket = secrets.token_hex(16)

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("apps.connections.open"):
            door = request.url.with_scheme("ws").with_path("/link/").with_query(ticket=ticket, app_id="1")
            return web.json_response({"ok": True, "url": str(door)})
        if request.path == "/link/":
            return web.Response(status=403)
        return web.json_response({"ok": True, "team": "T", "team_id": "T1", "user_id": "U1", "bot_id": "B1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    variables = {name: TOKENS[name] for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")}
    variables |= {"BOKE__SLACK__BASE_URL": f"http://{host}:{port}/api", "BOKE__MODEL__PATH": str(tiny_model)}
    try:
        async with running(tmp_path, **variables) as bot:
            async with asyncio.timeout(60):
                while "ticket=" not in bot.log:  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
            assert_nothing_leaks([bot.log], [ticket, *TOKENS.values()])
    finally:
        await runner.cleanup()


def test_a_database_that_refuses_the_password(tmp_path: Path, postgres_url: str) -> None:
    wrong = f"w/ng@{secrets.token_hex(8)}"
    url = make_url(postgres_url).set(password=wrong).render_as_string(hide_password=False)
    process = start_bot(tmp_path, BOKE__DATABASE__URL=url, BOKE__LOG__LEVEL="debug", **TOKENS)
    assert process.wait(60) == 1
    said = (tmp_path / "stderr").read_text(encoding="utf-8")
    assert "bot: postgresql://" in said
    assert_nothing_leaks([said], [*TOKENS.values(), wrong])


def test_a_configuration_with_a_token_in_the_wrong_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'[discord]\ntoken = "{TOKENS["DISCORD_TOKEN"]}"\n', encoding="utf-8")
    process = start_bot(tmp_path, "--config", "config.toml", BOKE__SECRETS__ADMIN_TOKEN=TOKENS["BOKE_ADMIN_TOKEN"])
    assert process.wait(60) == 1
    said = (tmp_path / "stderr").read_text(encoding="utf-8")
    assert "set DISCORD_TOKEN" in said
    assert_nothing_leaks([said], list(TOKENS.values()))

"""Running bots with a small model, and ways to talk to them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.bot.chat.web.browser import run_browser
from tests.bot.chat.web.stock import stock
from tests.bot.running import RunningBot, run_bot
from tests.bundles import QUOTES, tiny_bundle

DATA = Path(__file__).resolve().parents[3] / "data"
ADMIN_TOKEN = "an-admin-token"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model's folder."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle"), quotes=QUOTES)


@pytest.fixture(scope="session")
def bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[RunningBot]:
    """A bot with defaults, but for the limit of posts and an admin token."""
    folder = tmp_path_factory.mktemp("bot")
    with run_bot(
        folder, BOKE__MODEL__PATH=str(bundle), BOKE__WEB__POSTS_PER_MINUTE="0", BOKE_ADMIN_TOKEN=ADMIN_TOKEN
    ) as running:
        yield running
        assert "Traceback" not in running.log
        assert len(running.lines) == 1


@pytest.fixture(scope="session")
def strict_bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[RunningBot]:
    """A bot with low limits, behind a proxy: X-Forwarded-For says who is calling. It takes links to this machine."""
    with run_bot(
        tmp_path_factory.mktemp("strict"),
        BOKE__MODEL__PATH=str(bundle),
        BOKE__WEB__POSTS_PER_MINUTE="3",
        BOKE__WEB__TRUSTED_PROXIES="127.0.0.1",
        BOKE__WEB__METRICS="false",
        BOKE__WEB__FEED_CONSENT="false",
        BOKE__PICTURES__MAX_BYTES="60000",
        BOKE__PICTURES__MAX_PIXELS="1000000",
        BOKE__PICTURES__ALLOW_URL_POSTS="true",
        BOKE__PICTURES__ALLOWED_HOSTS="127.0.0.1",
    ) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture(scope="session")
def stocked_bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[RunningBot]:
    """A bot with the corpus of `tests.bot.chat.web.stock`."""
    folder = tmp_path_factory.mktemp("stocked")
    stock(folder / "data", folder / "corpus")
    with run_bot(folder, BOKE__MODEL__PATH=str(bundle), BOKE__WEB__POSTS_PER_MINUTE="0") as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
async def http(bot: RunningBot) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `bot` that keeps no cookies, as a program does."""
    async with aiohttp.ClientSession(bot.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
async def strict(strict_bot: RunningBot) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `strict_bot` with an address of its own."""
    address = f"203.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    async with aiohttp.ClientSession(
        strict_bot.url, cookie_jar=aiohttp.DummyCookieJar(), headers={"X-Forwarded-For": address}
    ) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium for a module whose tests run in one event loop."""
    async with run_browser() as running:
        yield running


def photo(name: str = "cat") -> bytes:
    """A photo's file."""
    return (DATA / f"{name}.jpg").read_bytes()


def form(image: bytes | None = None, filename: str = "picture.jpg", **fields: str) -> aiohttp.FormData:
    """A form as a program posts it."""
    data = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        data.add_field(name, value)
    if image is not None:
        data.add_field("image", image, filename=filename, content_type="application/octet-stream")
    return data


async def ask(session: aiohttp.ClientSession, image: bytes, **fields: str) -> dict[str, Any]:
    """Post a picture that is answered."""
    async with session.post("/api/boke", data=form(image, **fields)) as response:
        content: dict[str, Any] = await response.json()
        assert response.status == 200, content
        return content


async def error_of(response: aiohttp.ClientResponse) -> str:
    """The code of a refusal, which is made as the contract says."""
    content = await response.json()
    assert set(content) == {"error", "message"}
    assert content["message"]
    assert "Traceback" not in content["message"]
    if response.status in (429, 503):
        assert int(response.headers["Retry-After"]) >= 1
    code: str = content["error"]
    return code

"""What holds for every address alike: other sites' pages change nothing, owners' calls need the token, limits count."""

from __future__ import annotations

import json
from collections.abc import Iterator

import aiohttp
import pytest

from bot.chat.web import api
from tests.bot.chat.web.conftest import error_of

METHODS = ("get", "post", "put", "patch", "delete")
DESCRIBED = json.loads(api.OPENAPI.read_bytes())["paths"]


def operations(*, changing: bool = False, admin: bool = False) -> Iterator[tuple[str, str]]:
    """(method, path) of the API's operations, with something in place of parameters."""
    for path, item in DESCRIBED.items():
        for method in METHODS:
            operation = item.get(method)
            if operation is None or (changing and method == "get"):
                continue
            if admin and operation.get("security") != [{"admin": []}]:
                continue
            yield method.upper(), path.replace("{id}", "0" * 32).replace("{digest}", "0" * 64)


@pytest.mark.parametrize(("method", "path"), operations(changing=True))
async def test_other_sites_may_change_nothing(http: aiohttp.ClientSession, method: str, path: str) -> None:
    for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
        async with http.request(method, path, headers={"Origin": origin}, json={}) as response:
            assert (response.status, await error_of(response)) == (403, "wrong_origin"), origin


@pytest.mark.parametrize(("method", "path"), operations(admin=True))
async def test_owners_calls_need_the_token(
    http: aiohttp.ClientSession, strict: aiohttp.ClientSession, method: str, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic YTpi"}):
        async with http.request(method, path, headers=headers, json={}) as response:
            assert (response.status, await error_of(response)) == (401, "token_needed")
    async with strict.request(method, path, headers={"Authorization": "Bearer "}, json={}) as response:
        assert (response.status, await error_of(response)) == (403, "token_unset")


def test_there_are_such_calls() -> None:
    assert len(list(operations(changing=True))) > len(list(operations(admin=True))) > 3

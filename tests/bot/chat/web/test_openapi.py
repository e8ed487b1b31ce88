"""The API's description and the running server say the same."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bot.chat.web import api
from bot.chat.web.refusals import STATUS
from tests.bot.running import RunningBot


def described() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(api.OPENAPI.read_bytes())
    return content


async def test_it_is_served(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == described()


def test_every_route_is_described_and_nothing_else() -> None:
    router = web.UrlDispatcher()
    api.add_routes(router)
    routes = {(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None}
    methods = {"get", "post", "put", "patch", "delete"}
    documented = {
        (method.upper(), path) for path, item in described()["paths"].items() for method in item if method in methods
    }
    assert {(method, path) for method, path in routes if method != "HEAD"} == documented


def test_every_error_is_described_with_its_status() -> None:
    found: dict[str, set[int]] = {}
    for item in described()["paths"].values():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for status, response in operation["responses"].items():
                for rule in response.get("content", {}).get("application/json", {}).get("schema", {}).get("allOf", []):
                    for code in rule.get("properties", {}).get("error", {}).get("enum", []):
                        found.setdefault(code, set()).add(int(status))
    assert found.pop("not_found") == {404}
    assert found == {
        code: {status} for code, status in STATUS.items() if code not in ("not_found", "method_not_allowed")
    }


SCHEMA = schemathesis.openapi.from_dict(described())
ENDLESS = "/api/runs/events"  # has tests of its own
OPERATIONS = [operation for result in SCHEMA.get_all_operations() if (operation := result.ok()).path != ENDLESS]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_the_server_keeps_what_is_promised(bot: RunningBot, operation: schemathesis.APIOperation) -> None:
    """Calls made up from the description, right ones and wrong ones, get what it describes."""
    # No description of a form says which bytes are a picture.
    excluded = [positive_data_acceptance] if operation.path == "/api/boke" else []

    @settings(max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def call(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=bot.url, excluded_checks=excluded)

    call()

"""Who is calling, as read from requests with all their headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bot.chat.web.callers import Callers, preferred
from store.config import Config
from store.errors import ConfigError

MakeConfig = Callable[..., Config]


def request(remote: str = "192.0.2.1", method: str = "GET", path: str = "/", **headers: str) -> web.Request:
    """A request from an address; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, path, headers={"Host": "boke.example", **named}).clone(remote=remote)


def callers(make_config: MakeConfig, **keys: Any) -> Callers:
    return Callers(make_config(web=keys))


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # no proxy of ours: it may say what it likes
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),  # what comes first may be invented
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_address(make_config: MakeConfig, remote: str, forwarded: str, address: str) -> None:
    headers = {"X_Forwarded_For": forwarded} if forwarded else {}
    assert callers(make_config, trusted_proxies=["10.0.0.0/8"]).address(request(remote, **headers)) == address


def test_whom_limits_count(make_config: MakeConfig) -> None:
    mine = callers(make_config)
    assert mine.counted_as(request("2001:db8:1:2:aaaa::1")) == mine.counted_as(request("2001:db8:1:2:bbbb::2"))
    assert mine.counted_as(request("2001:db8:1:2::1")) != mine.counted_as(request("2001:db8:1:3::1"))
    assert mine.counted_as(request("::ffff:192.0.2.1")) == mine.counted_as(request("192.0.2.1"))


def test_proxies_that_cannot_be_read(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match="'proxy' should be an address"):
        callers(make_config, trusted_proxies=["10.0.0.0/8", "proxy"])


@pytest.mark.parametrize(
    ("keys", "headers", "https"),
    [
        ({}, {}, False),
        ({}, {"X_Forwarded_Proto": "https"}, False),
        ({"trusted_proxies": ["192.0.2.1"]}, {"X_Forwarded_Proto": "https"}, True),
        ({"trusted_proxies": ["192.0.2.1"]}, {"X_Forwarded_Proto": "http"}, False),
        ({"public_url": "https://boke.example"}, {}, True),
    ],
)
def test_https(make_config: MakeConfig, keys: dict[str, Any], headers: Mapping[str, str], https: bool) -> None:
    mine = callers(make_config, **keys)
    response = web.Response()
    mine.welcome(request(**headers), response)
    assert bool(response.cookies["boke_visitor"]["secure"]) == mine.is_https(request(**headers)) == https


@pytest.mark.parametrize(
    ("method", "headers", "keys", "elsewhere"),
    [
        ("POST", {}, {}, False),
        ("POST", {"Origin": "https://boke.example"}, {}, False),
        ("POST", {"Origin": "https://BOKE.example"}, {}, False),
        ("POST", {"Origin": "https://evil.example"}, {}, True),
        ("POST", {"Origin": "https://boke.example:8443"}, {}, True),
        ("POST", {"Origin": "null"}, {}, True),
        ("POST", {"Origin": ""}, {}, True),
        ("POST", {"Origin": "https://[boke"}, {}, True),
        ("GET", {"Origin": "https://evil.example"}, {}, False),
        ("POST", {"Origin": "https://world.example"}, {"public_url": "https://world.example/boke"}, False),
        ("POST", {"Origin": "https://world.example", "X_Forwarded_Host": "world.example"}, {}, True),
        (
            "POST",
            {"Origin": "https://world.example", "X_Forwarded_Host": "world.example"},
            {"trusted_proxies": ["192.0.2.1"]},
            False,
        ),
        ("POST", {"Origin": "null"}, {"trusted_proxies": ["192.0.2.1"]}, True),
    ],
)
def test_other_sites(
    make_config: MakeConfig, method: str, headers: dict[str, str], keys: dict[str, Any], elsewhere: bool
) -> None:
    assert callers(make_config, **keys).from_elsewhere(request(method=method, **headers)) == elsewhere


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (None, "ja"),
        ("", "ja"),
        ("*", "ja"),
        ("ja", "ja"),
        ("JA-jp", "ja"),
        ("en", "en"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("en;q=0.3,ja;q=0.7", "ja"),
        ("en,ja", "ja"),
        ("ja;q=0,en;q=0.1", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("fr,*;q=0.1", "ja"),
        ("en;q=nonsense", "en"),
        (",;,", "ja"),
    ],
)
def test_languages(asked: str | None, language: str) -> None:
    assert preferred(asked) == language


def test_chosen_and_configured_languages(make_config: MakeConfig) -> None:
    mine, fixed = callers(make_config), callers(make_config, language="en")
    assert fixed.language(request(Accept_Language="ja")) == "en"
    assert fixed.language(request(Accept_Language="ja", Cookie="boke_lang=ja")) == "ja"
    assert mine.language(request(Accept_Language="ja", Cookie="boke_lang=en")) == "en"
    assert mine.language(request(Accept_Language="ja", Cookie="boke_lang=xx")) == "ja"
    assert mine.language(request(path="/api/boke", Accept_Language="ja", Cookie="boke_lang=en")) == "ja"

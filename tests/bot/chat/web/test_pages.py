"""What the server sends as pages and files, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import aiohttp
import pytest
from yarl import URL

from bot.chat.web import pages
from bot.chat.web.texts import base, texts
from bot.chat.web.views import VIEWS, joke
from bot.chat.web.views.base import View
from tests.bot.running import RunningBot

FIRST_VIEW = 150_000  # bytes


class Links(HTMLParser):
    """Collects what a page makes the browser load, and what it says inline."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        address = named.get("href") if tag == "link" else named.get("src")
        if address:
            self.loads.append(address)


def sources() -> Iterator[tuple[str, str]]:
    """All that is our own of templates, styles and scripts."""
    for folder in (pages.STATIC, pages.TEMPLATES):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "vendor" not in path.parts:
                yield path.name, path.read_text(encoding="utf-8")


def imported(script: str) -> set[str]:
    """Names of the modules that a script in static/js needs, its own among them."""
    found, waiting = set(), [script]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'^import .*"\./([\w-]+\.js)"', (pages.STATIC / "js" / name).read_text(), re.M)
    return found


each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


@each_view
async def test_the_first_view_is_small_and_comes_from_here_alone(http: aiohttp.ClientSession, view: View) -> None:
    async with http.get(view.path) as response:
        assert response.status == 200
        html = await response.text()
    loads = set(Links(html).loads)
    named = {address.split("/", 3)[3] for address in loads}
    assert {"css/base.css", f"css/{view.name}.css", f"js/{view.name}.js"} <= named
    # Modules are named on the page, so that the browser need not find one by reading the other.
    assert {f"js/{name}" for name in imported(f"{view.name}.js")} == {name for name in named if name.startswith("js/")}
    total = len(html.encode())
    for address in loads:
        assert address.startswith("/static/")
        async with http.get(address) as response:
            assert response.status == 200
            total += len(await response.read())
    assert total < FIRST_VIEW


@each_view
async def test_each_view_has_a_tab_and_a_title_of_its_own(http: aiohttp.ClientSession, view: View) -> None:
    for language in ("ja", "en"):
        async with http.get(view.path, headers={"Accept-Language": language}) as response:
            html = await response.text()
        assert html.count("<title>") == 1
        title = html.split("<title>")[1].split("</title>")[0]
        assert title == texts(language, view.texts)["title"]
        assert "bokebot" in title
        assert [other.name for other in VIEWS if texts(language, other.texts)["title"] == title] == [view.name]
        tabs = re.findall(r'<a href="([^"]*)"( aria-current="page")?>([^<]*)</a>', html)
        if len(VIEWS) > 1:
            assert [(path, label) for path, _, label in tabs] == [(v.path, v.tab(language)) for v in VIEWS]
            assert [path for path, current, _ in tabs if current] == [view.path]


@each_view
async def test_no_inline_script_or_style(http: aiohttp.ClientSession, view: View) -> None:
    async with http.get(view.path) as response:
        policy = response.headers["Content-Security-Policy"]
        tags = Links(await response.text()).tags
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    for tag, named in tags:
        assert "style" not in named
        assert tag != "style"
        assert not [name for name in named if name.startswith("on")]
        if tag == "script":
            assert "src" in named or named["type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/stats", "/api/nothing", "/healthz"])
async def test_every_answer_is_guarded(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert "aiohttp" not in response.headers["Server"].lower()


async def test_files_are_kept_for_ever_under_an_address_that_changes_with_them(http: aiohttp.ClientSession) -> None:
    address = f"/static/{pages.static_version()}/css/base.css"
    async with http.get(address) as response:
        assert response.content_type == "text/css"
        assert "immutable" in response.headers["Cache-Control"]
        tag = response.headers["ETag"]
    async with http.get(address, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    async with http.get("/static/000000000000/css/base.css") as response:
        assert response.status == 404
        assert "immutable" not in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/../server.py", "/..%2fserver.py", "/js/../../server.py", "/js", "/"])
async def test_no_way_out_of_the_folder(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(URL(f"/static/{pages.static_version()}{path}", encoded=True)) as response:
        assert response.status in (403, 404)
        assert "WebFrontEnd" not in await response.text()


async def test_a_page_that_there_is_not(http: aiohttp.ClientSession) -> None:
    async with http.get("/nothing") as response:
        assert response.status == 404
        assert response.content_type == "text/html"
        assert "ここには何もありません。" in await response.text()


async def test_a_visitor_gets_a_name_that_scripts_cannot_read(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        cookie = response.cookies["boke_visitor"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert not cookie["secure"]
    async with http.get("/", headers={"Cookie": f"boke_visitor={cookie.value}"}) as response:
        assert response.cookies["boke_visitor"].value == cookie.value
    async with http.get("/", headers={"Cookie": "boke_visitor=<script>"}) as response:
        assert response.cookies["boke_visitor"].value not in ("<script>", cookie.value)
    async with http.get("/api/stats") as response:
        assert not response.cookies


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "ja"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("en-US,en;q=0.9", "en"),
        ("en;q=0.4,ja;q=0.5", "ja"),
        ("fr", "en"),
    ],
)
async def test_the_page_speaks_the_browsers_language(http: aiohttp.ClientSession, asked: str, language: str) -> None:
    async with http.get("/", headers={"Accept-Language": asked} if asked else {}) as response:
        assert f'<html lang="{language}"' in await response.text()
        assert "Accept-Language" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("path", "there"),
    [("/?lang=en", "/"), ("/?split=dev&lang=en&n=2", "/?split=dev&n=2"), ("//elsewhere.example/?lang=en", "/")],
)
async def test_the_switch_of_languages_is_remembered(bot: RunningBot, path: str, there: str) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.get(URL(bot.url + path, encoded=True), allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, there)
            assert response.cookies["boke_lang"].value == "en"
        headers = {"Cookie": "boke_lang=en", "Accept-Language": "ja"}
        async with session.get(bot.url + there, headers=headers) as response:
            assert '<html lang="en"' in await response.text()


async def test_the_theme_is_there_from_the_first_byte(http: aiohttp.ClientSession) -> None:
    for cookie, theme in (("dark", "dark"), ("light", "light"), ('"><script>', "auto")):
        async with http.get("/", headers={"Cookie": f"boke_theme={cookie}"}) as response:
            assert f'data-theme="{theme}"' in await response.text()


@pytest.mark.parametrize("view", [None, *VIEWS, joke.VIEW], ids=lambda view: view.name if view else "base")
def test_every_word_is_there_in_both_languages_and_used(view: View | None) -> None:
    own, said_by_scripts = (view.texts, view.for_scripts) if view else (base.TEXTS, base.FOR_SCRIPTS)
    for name, (japanese, english) in own.items():
        assert japanese, name
        assert english, name
        assert sorted(re.findall(r"\{\w+\}", japanese)) == sorted(re.findall(r"\{\w+\}", english)), name
    assert set(said_by_scripts) <= set(own)
    everything = "".join(text for _, text in sources())
    for name in own:
        spoken = f'"{name}"' in everything if name in said_by_scripts else f"t.{name}" in everything
        assert spoken or name == "tab", f"nobody says {name}"

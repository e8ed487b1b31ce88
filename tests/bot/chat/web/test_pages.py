"""What the server sends as pages and files, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import aiohttp
import pytest
from yarl import URL

from bot.chat.web import pages
from bot.chat.web.texts import FOR_SCRIPTS, texts

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
    for folder in (pages.STATIC, pages.TEMPLATES):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.name, path.read_text(encoding="utf-8")


async def test_the_first_view_is_small_and_comes_from_here_alone(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        html = await response.text()
    loads = set(Links(html).loads)
    assert any(address.endswith("style.css") for address in loads)
    assert {address.rsplit("/", 1)[1] for address in loads if address.endswith(".js")} == {
        path.name for path in (pages.STATIC / "js").glob("*.js")
    }
    total = len(html.encode())
    for address in loads:
        assert address.startswith("/static/")
        async with http.get(address) as response:
            assert response.status == 200
            total += len(await response.read())
    assert total < FIRST_VIEW


def test_nothing_points_to_another_machine() -> None:
    for name, text in sources():
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[^\s\"')]*", text))
        assert found <= {"http://www.w3.org/2000/svg"}, name


async def test_no_inline_script_or_style(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
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
    address = f"/static/{pages.static_version()}/style.css"
    async with http.get(address) as response:
        assert response.content_type == "text/css"
        assert "immutable" in response.headers["Cache-Control"]
        tag = response.headers["ETag"]
    async with http.get(address, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    async with http.get("/static/000000000000/style.css") as response:
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


async def test_the_switch_of_languages_is_remembered(http: aiohttp.ClientSession) -> None:
    async with http.get("/?lang=en", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/")
        assert response.cookies["boke_lang"].value == "en"
    async with http.get("/", headers={"Cookie": "boke_lang=en", "Accept-Language": "ja"}) as response:
        assert '<html lang="en"' in await response.text()


async def test_the_theme_is_there_from_the_first_byte(http: aiohttp.ClientSession) -> None:
    for cookie, theme in (("dark", "dark"), ("light", "light"), ('"><script>', "auto")):
        async with http.get("/", headers={"Cookie": f"boke_theme={cookie}"}) as response:
            assert f'data-theme="{theme}"' in await response.text()


def test_every_word_is_there_in_both_languages_and_used() -> None:
    japanese, english = texts("ja"), texts("en")
    assert set(japanese) == set(english)
    assert all(japanese.values())
    assert all(english.values())
    for name in FOR_SCRIPTS:
        assert re.findall(r"\{\w+\}", japanese[name]) == re.findall(r"\{\w+\}", english[name])
    everything = "".join(text for _, text in sources())
    views = {view.text for view in pages.VIEWS}
    for name in japanese:
        assert name in FOR_SCRIPTS or name in views or f"t.{name}" in everything, f"nobody says {name}"
    scripts = "".join((pages.STATIC / "js" / path.name).read_text() for path in (pages.STATIC / "js").glob("*.js"))
    for name in FOR_SCRIPTS:
        assert f'"{name}"' in scripts, f"no script says {name}"

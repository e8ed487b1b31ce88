"""The feed: what visitors agreed to show, their pictures, taking them back; modes beside each other; nothing of a chat."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from PIL import Image

from store.answers import NewAnswer, add_answer
from store.database import open_database
from store.tables import Answer, FeedPicture
from tests.bot.chat.web.conftest import ADMIN_TOKEN, ask, error_of, form, photo
from tests.bot.running import RunningBot
from tests.bundles import LINES, QUOTES


@pytest.fixture
async def visitor(bot: RunningBot) -> AsyncIterator[aiohttp.ClientSession]:
    """A visitor of the page, with a name of its own."""
    async with new_visitor(bot) as session:
        await named(session)
        yield session


def new_visitor(bot: RunningBot) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(bot.url, cookie_jar=aiohttp.CookieJar(unsafe=True))


async def named(session: aiohttp.ClientSession) -> None:
    async with session.get("/") as response:
        assert response.status == 200


async def feed(session: aiohttp.ClientSession, **query: str) -> dict[str, Any]:
    async with session.get("/api/feed", params=query) as response:
        assert response.status == 200
        content: dict[str, Any] = await response.json()
        return content


async def ids(session: aiohttp.ClientSession) -> list[str]:
    return [item["id"] for item in (await feed(session, limit="50"))["items"]]


async def status_of(session: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, str]:
    async with session.request(method, path, **options) as response:
        return response.status, "" if response.status == 200 else await error_of(response)


async def test_it_shows_what_a_visitor_agreed_to(visitor: aiohttp.ClientSession, http: aiohttp.ClientSession) -> None:
    quiet = await ask(visitor, photo())
    assert "shown" not in quiet
    shown = await ask(visitor, photo("rocket"), consent="true")
    assert shown["shown"] is True
    item = (await feed(visitor))["items"][0]
    assert (item["id"], item["boke"], item["mine"]) == (shown["id"], shown["boke"], True)
    assert datetime.fromisoformat(item["created"]).tzinfo is not None
    assert (await feed(http))["items"][0] == {**item, "mine": False}
    assert quiet["id"] not in await ids(http)
    async with http.get(item["picture"]) as response:
        assert response.content_type == "image/jpeg"
        with Image.open(io.BytesIO(await response.read())) as picture:
            assert max(picture.size) <= 960


async def test_page_after_page(visitor: aiohttp.ClientSession) -> None:
    posted = [(await ask(visitor, photo(), consent="1"))["id"] for _ in range(3)]
    first = await feed(visitor, limit="2")
    assert [item["id"] for item in first["items"]] == posted[:0:-1]
    assert first["next"] == posted[1]
    assert (await feed(visitor, limit="1", before=first["next"]))["items"][0]["id"] == posted[0]
    for query in ({"limit": "0"}, {"limit": "51"}, {"limit": "x"}, {"before": "x"}):
        assert await status_of(visitor, "GET", "/api/feed", params=query) == (400, "bad_request")


async def test_another_joke_about_the_same_post_takes_its_place(visitor: aiohttp.ClientSession) -> None:
    first = await ask(visitor, photo(), consent="true")
    second = await ask(visitor, photo(), consent="true", again_of=first["id"])
    shown = await ids(visitor)
    assert second["id"] in shown
    assert first["id"] not in shown


async def test_a_picture_is_its_posters_alone(bot: RunningBot, visitor: aiohttp.ClientSession) -> None:
    answer = await ask(visitor, photo())
    paths = [f"/api/boke/{answer['id']}/{name}" for name in ("picture.jpg", "card.png")]
    async with new_visitor(bot) as other:
        await named(other)
        for path in paths:
            assert await status_of(visitor, "GET", path) == (200, "")
            assert await status_of(other, "GET", path) == (404, "card_gone")
        assert await status_of(other, "POST", f"/api/boke/{answer['id']}/modes") == (404, "picture_gone")
        shown = await ask(visitor, photo(), consent="true")
        for name in ("picture.jpg", "card.png"):
            assert await status_of(other, "GET", f"/api/boke/{shown['id']}/{name}") == (200, "")


async def test_taken_back_by_whoever_posted_it(bot: RunningBot, visitor: aiohttp.ClientSession) -> None:
    answer = await ask(visitor, photo(), consent="true")
    item, picture = f"/api/feed/{answer['id']}", f"/api/boke/{answer['id']}/picture.jpg"
    async with new_visitor(bot) as other:
        await named(other)
        assert await status_of(other, "DELETE", item) == (403, "not_yours")
        wrong = {"Authorization": "Bearer guess"}
        assert await status_of(other, "DELETE", item, headers=wrong) == (401, "token_needed")
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert await status_of(visitor, "DELETE", item, headers=elsewhere) == (403, "wrong_origin")
        assert answer["id"] in await ids(other)
        assert await status_of(visitor, "DELETE", item) == (200, "")
        assert answer["id"] not in await ids(visitor)
        assert await status_of(other, "GET", picture) == (404, "card_gone")
    assert await status_of(visitor, "DELETE", "/api/feed/" + "0" * 32) == (404, "unknown_answer")


async def test_taken_out_by_the_owner(visitor: aiohttp.ClientSession, http: aiohttp.ClientSession) -> None:
    answer = await ask(visitor, photo(), consent="true")
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    assert await status_of(http, "DELETE", f"/api/feed/{answer['id']}", headers=token) == (200, "")
    assert answer["id"] not in await ids(http)


@pytest.mark.parametrize("platform", ["discord", "slack"])
async def test_nothing_of_a_chat_is_ever_shown(bot: RunningBot, http: aiohttp.ClientSession, platform: str) -> None:
    database = open_database(f"sqlite:///{bot.folder}/data/boke.db")
    secret = NewAnswer(
        platform=platform, channel_id="c", picture_key="k", text="社外秘です", score=0.0, mode="boke", model="f" * 64,
        encoder="e", consent=True,
    )  # fmt: skip
    kept = add_answer(database, secret)
    with database.session() as session:  # as if something had gone wrong
        row = session.query(Answer.id).filter_by(public_id=kept.public_id).scalar()
        session.add(FeedPicture(answer_id=row, jpeg=b"secret"))
    database.close()
    assert kept.public_id not in await ids(http)
    for method, path in (
        ("GET", f"/api/boke/{kept.public_id}/picture.jpg"),
        ("GET", f"/api/boke/{kept.public_id}/card.png"),
        ("POST", f"/api/boke/{kept.public_id}/modes"),
        ("DELETE", f"/api/feed/{kept.public_id}"),
    ):
        assert await status_of(http, method, path) == (404, "unknown_answer")
    async with http.get(f"/boke/{kept.public_id}") as response:
        assert response.status == 404
        assert "社外秘" not in await response.text()


async def test_an_owner_may_do_without_a_feed(strict: aiohttp.ClientSession) -> None:
    answer = await ask(strict, photo(), consent="true")
    assert "shown" not in answer
    assert await feed(strict) == {"items": [], "next": None}


async def test_every_mode_on_one_picture(visitor: aiohttp.ClientSession) -> None:
    answer = await ask(visitor, photo())
    async with visitor.post(f"/api/boke/{answer['id']}/modes") as response:
        assert response.status == 200
        told = (await response.json())["answers"]
    assert [one["mode"] for one in told] == ["boke", "mismatch", "retrieve", "article"]
    assert told[0] == {"id": answer["id"], "boke": answer["boke"], "mode": "boke"}
    by_mode = {one["mode"]: one for one in told}
    assert by_mode["article"]["boke"] in LINES
    assert by_mode["retrieve"]["boke"] in QUOTES
    assert by_mode["retrieve"]["source_url"].startswith("https://jokes.example/")
    async with visitor.post(f"/api/boke/{told[1]['id']}/vote", json={"value": 1}) as response:
        assert response.status == 200


async def test_comparing_counts_as_posting(strict: aiohttp.ClientSession) -> None:
    answer = await ask(strict, photo())
    async with strict.post(f"/api/boke/{answer['id']}/modes") as response:
        assert response.status == 429
        assert await error_of(response) == "slow_down"


async def test_too_many_pictures_a_minute(strict: aiohttp.ClientSession) -> None:
    async with strict.post("/api/boke", data=form(photo())) as response:
        answer = await response.json()
    statuses = set()
    for _ in range(121):
        async with strict.get(f"/api/boke/{'0' * 32}/picture.jpg") as response:
            statuses.add(response.status)
    assert statuses == {404, 429}
    assert await status_of(strict, "GET", f"/api/boke/{answer['id']}/card.png") == (429, "slow_down")

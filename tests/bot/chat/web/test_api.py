"""The HTTP API of a real process over a real socket."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jsonschema_rs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from store.answers import answer_stats, get_answer
from store.database import open_database
from store.tables import Run, RunEpoch
from tests.bokemodel import formats
from tests.bokemodel.formats import encode
from tests.bot.chat.web.conftest import ADMIN_TOKEN, ask, error_of, form, photo
from tests.bot.running import RunningBot
from tests.bundles import LINES, QUOTES, quoted_at


async def check(http: aiohttp.ClientSession, schema: str, content: Any) -> None:
    """Is this what the API's own description promises?"""
    async with http.get("/api/openapi.json") as response:
        described = await response.json()
    rule = {"$ref": f"#/components/schemas/{schema}", "components": described["components"]}
    jsonschema_rs.Draft202012Validator(rule).validate(content)


async def test_a_picture_is_answered(http: aiohttp.ClientSession) -> None:
    answer = await ask(http, photo())
    assert list(answer) == ["id", "boke", "candidates", "mode", "encoder", "model", "elapsed_ms"]
    await check(http, "Answer", answer)
    assert answer["boke"] in LINES
    texts = [candidate["text"] for candidate in answer["candidates"]]
    assert answer["boke"] in texts
    assert len(set(texts)) == len(texts) > 1
    scores = [candidate["score"] for candidate in answer["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert (answer["mode"], answer["encoder"]) == ("boke", "efficientnet-lite0")


async def test_json_is_readable_utf8(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/boke", data=form(photo())) as response:
        assert response.content_type == "application/json"
        text = await response.text(encoding="utf-8")
    assert json.loads(text)["boke"] in text


async def test_the_same_picture_gets_another_joke(http: aiohttp.ClientSession) -> None:
    picture = photo("temple")
    told = [(await ask(http, picture))["boke"] for _ in range(4)]
    assert len(set(told)) == 4


async def test_a_seed_gives_the_same_joke(http: aiohttp.ClientSession) -> None:
    picture = photo("coffee")
    first, second = await ask(http, picture, seed="7"), await ask(http, picture, seed="7")
    assert first["candidates"] == second["candidates"]
    assert first["boke"] == second["boke"]
    others = [(await ask(http, picture, seed=str(seed)))["candidates"] for seed in range(8, 11)]
    assert any(other != first["candidates"] for other in others)


async def test_a_quoted_joke_comes_with_its_source(http: aiohttp.ClientSession) -> None:
    for mode in ("retrieve", "mismatch"):
        answer = await ask(http, photo(), mode=mode)
        assert answer["mode"] == mode
        assert answer["source_url"] == quoted_at(QUOTES.index(answer["boke"]))
    assert "source_url" not in await ask(http, photo())


async def test_modes(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, photo(), mode="article"))["mode"] == "article"
    async with http.post("/api/boke", data=form(photo(), mode="haiku")) as response:
        assert (response.status, await error_of(response)) == (400, "unknown_mode")


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "TIFF"])
async def test_formats(http: aiohttp.ClientSession, format: str) -> None:
    assert (await ask(http, encode(formats.photo(), format)))["boke"] in LINES


async def test_many_at_once(http: aiohttp.ClientSession) -> None:
    answers = await asyncio.gather(*(ask(http, photo(name)) for name in ("cat", "rocket", "flower", "galaxies") * 4))
    assert len({answer["id"] for answer in answers}) == 16


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (None, 400, "no_picture"),
        (b"", 400, "no_picture"),
        (b"just words, no picture", 415, "not_a_picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "not_a_picture"),
        (photo()[:9000], 415, "corrupt"),
    ],
)
async def test_what_is_no_picture(http: aiohttp.ClientSession, image: bytes | None, status: int, code: str) -> None:
    async with http.post("/api/boke", data=form(image, consent="1")) as response:
        assert (response.status, await error_of(response)) == (status, code)


@pytest.mark.parametrize(
    "fields", [{"seed": "-1"}, {"seed": "many"}, {"seed": "9" * 30}, {"consent": "perhaps"}, {"again_of": "x"}]
)
async def test_fields_that_cannot_be_read(http: aiohttp.ClientSession, fields: dict[str, str]) -> None:
    async with http.post("/api/boke", data=form(photo(), **fields)) as response:
        assert (response.status, await error_of(response)) == (400, "bad_request")
        assert next(iter(fields)) in (await response.json())["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "bad_request"),
        (b"[1]", "application/json", "bad_request"),
        (b'"' + b"[" * 50_000, "application/json", "bad_request"),
        (b"[" * 50_000, "application/json", "bad_request"),
        (b"{}", "application/json", "no_picture"),
        (b'{"url": 3}', "application/json", "bad_request"),
        (b"image=cat", "application/x-www-form-urlencoded", "no_picture"),
        (b"", "text/plain", "no_picture"),
        (b"nonsense", "multipart/form-data; boundary=x", "bad_request"),
        (b"nonsense", "multipart/form-data", "bad_request"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", "bad_request"),
        (
            b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\nabc",
            "multipart/form-data; boundary=x",
            "bad_request",
        ),
    ],
)
async def test_bodies_that_cannot_be_read(
    http: aiohttp.ClientSession, body: bytes, content_type: str, code: str
) -> None:
    async with http.post("/api/boke", data=body, headers={"Content-Type": content_type}) as response:
        assert (response.status, await error_of(response)) == (400, code)


async def test_too_many_bytes(strict: aiohttp.ClientSession) -> None:
    async with strict.post("/api/boke", data=form(b"\xff\xd8\xff" + bytes(60_000))) as response:
        assert (response.status, await error_of(response)) == (413, "too_large")
        assert "58 kB" in (await response.json())["message"]


async def test_the_limit_holds_while_a_body_without_a_length_is_still_coming(strict_bot: RunningBot) -> None:
    where = urlsplit(strict_bot.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(
        b"POST /api/boke HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.1.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    for chunk in (head, bytes(100_000), bytes(100_000)):
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    await writer.drain()
    status = await reader.readline()  # though the last chunk never came
    assert b" 413 " in status
    writer.close()


async def test_too_many_pixels(strict: aiohttp.ClientSession) -> None:
    huge = encode(Image.new("1", (1001, 1000)), "PNG")
    async with strict.post("/api/boke", data=form(huge)) as response:
        assert (response.status, await error_of(response)) == (422, "too_many_pixels")


async def test_slow_down(strict: aiohttp.ClientSession) -> None:
    for _ in range(3):
        await ask(strict, photo())
    async with strict.post("/api/boke", data=form(photo())) as response:
        assert (response.status, await error_of(response)) == (429, "slow_down")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    async with strict.post("/api/boke", data=form(photo()), headers={"X-Forwarded-For": "198.51.100.1"}) as response:
        assert response.status == 200


async def test_links_are_off_unless_the_owner_wants_them(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/boke", json={"url": "https://example.org/cat.jpg"}) as response:
        assert (response.status, await error_of(response)) == (403, "not_allowed")


async def test_links_to_allowed_hosts(strict: aiohttp.ClientSession) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=photo()) if request.path == "/cat.jpg" else web.Response(status=410)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with TestServer(app, host="127.0.0.1") as server:
        async with strict.post("/api/boke", json={"url": str(server.make_url("/cat.jpg")), "seed": 1}) as response:
            assert response.status == 200
            assert (await response.json())["boke"] in LINES
        async with strict.post("/api/boke", json={"url": str(server.make_url("/gone.jpg"))}) as response:
            assert (response.status, await error_of(response)) == (502, "not_fetched")
        other = server.make_url("/cat.jpg").with_host("localhost")
        async with strict.post("/api/boke", json={"url": str(other)}) as response:
            assert (response.status, await error_of(response)) == (403, "not_allowed")


async def vote(http: aiohttp.ClientSession, answer_id: str, value: Any, person: str = "") -> dict[str, Any]:
    cookies = {"boke_visitor": person} if person else {}
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    async with http.post(f"/api/boke/{answer_id}/vote", json={"value": value}, headers=headers) as response:
        content: dict[str, Any] = await response.json()
        assert response.status == 200, content
        return content


async def test_votes(http: aiohttp.ClientSession) -> None:
    answer_id = (await ask(http, photo()))["id"]
    one, other = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    assert await vote(http, answer_id, 1, one) == {"id": answer_id, "up": 1, "down": 0, "value": 1}
    assert (await vote(http, answer_id, 1, one))["up"] == 1, "one person has one vote"
    counts = await vote(http, answer_id, -1, other)
    assert (counts["up"], counts["down"]) == (1, 1)
    counts = await vote(http, answer_id, -1, one)
    assert (counts["up"], counts["down"]) == (0, 2)
    counts = await vote(http, answer_id, 0, one)
    assert (counts["up"], counts["down"]) == (0, 1)


async def test_without_a_cookie_the_address_has_one_vote(http: aiohttp.ClientSession) -> None:
    answer_id = (await ask(http, photo()))["id"]
    assert (await vote(http, answer_id, 1))["up"] == 1
    assert (await vote(http, answer_id, 1))["up"] == 1
    assert (await vote(http, answer_id, 1, "not-one-of-our-cookies"))["up"] == 1


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"value": 2}', b'{"value": true}', b'{"value": "1"}', b'{"value": 1.0}', b"\xff"]
)
async def test_what_is_no_vote(http: aiohttp.ClientSession, body: bytes) -> None:
    answer_id = (await ask(http, photo()))["id"]
    async with http.post(f"/api/boke/{answer_id}/vote", data=body) as response:
        assert (response.status, await error_of(response)) == (400, "bad_request")


@pytest.mark.parametrize("answer_id", ["0" * 32, "nothing", "..%2F..", "'; DROP TABLE votes; --"])
async def test_an_answer_that_there_is_not(http: aiohttp.ClientSession, answer_id: str) -> None:
    async with http.post(f"/api/boke/{answer_id}/vote", json={"value": 1}) as response:
        assert response.status == 404
        assert await error_of(response) in ("unknown_answer", "not_found")
    async with http.get(f"/api/boke/{answer_id}/card.png") as response:
        assert response.status == 404


async def test_card(http: aiohttp.ClientSession) -> None:
    answer_id = (await ask(http, photo("rocket")))["id"]
    async with http.get(f"/api/boke/{answer_id}/card.png") as response:
        assert (response.status, response.content_type) == (200, "image/png")
        card = Image.open(io.BytesIO(await response.read()))
    assert card.width == 1080
    assert card.height > 720  # the photo, and a line below it


async def test_stats(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    answer = await ask(http, photo())
    await vote(http, answer["id"], 1)
    async with http.get("/api/stats") as response:
        stats = await response.json()
    await check(http, "Stats", stats)
    assert (stats["model"], stats["encoder"]) == (answer["model"], answer["encoder"])
    database = open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)
    kept = answer_stats(database)
    assert (stats["answers"], stats["votes"]["up"]) == (kept.answers, kept.up)
    stored = get_answer(database, answer["id"])
    database.close()
    assert stored is not None
    assert (stored.platform, stored.text) == ("web", answer["boke"])
    assert "127.0.0.1" not in f"{stored.channel_id}{stored.user}"


async def test_runs(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    async with http.get("/api/runs") as response:
        assert (await response.json()) == {"runs": []}
    database = open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)
    with database.session() as session:
        for recipe in ("first", "second"):
            run = Run(state="published", recipe=recipe, stages=[{"name": "train"}], metrics={"nats_per_token": 2.5})
            session.add(run)
            session.flush()
            session.add_all(RunEpoch(run_id=run.id, epoch=n, train_loss=3.0 - n, dev_loss=3.5 - n) for n in (1, 2))
    database.close()
    async with http.get("/api/runs") as response:
        runs = await response.json()
    await check(http, "Runs", runs)
    assert [run["recipe"] for run in runs["runs"]] == ["second", "first"]
    assert [(e["epoch"], e["train_loss"], e["dev_loss"]) for e in runs["runs"][0]["epochs"]] == [
        (1, 2.0, 2.5),
        (2, 1.0, 1.5),
    ]
    async with http.get("/api/runs", params={"limit": "1"}) as response:
        assert len((await response.json())["runs"]) == 1
    async with http.get("/api/runs", params={"limit": "all"}) as response:
        assert (response.status, await error_of(response)) == (400, "bad_request")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", f"Basic {ADMIN_TOKEN}", f"Bearer {ADMIN_TOKEN}x", "Bearer é"]
)
async def test_reload_needs_the_token(http: aiohttp.ClientSession, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with http.post("/api/model/reload", headers=headers) as response:
        assert (response.status, await error_of(response)) == (401, "token_needed")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_reload_is_closed_where_no_token_is_set(strict: aiohttp.ClientSession) -> None:
    async with strict.post("/api/model/reload", headers={"Authorization": "Bearer "}) as response:
        assert (response.status, await error_of(response)) == (403, "token_unset")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/boke", 405, "method_not_allowed"),
        ("DELETE", "/api/stats", 405, "method_not_allowed"),
    ],
)
async def test_wrong_addresses(http: aiohttp.ClientSession, method: str, path: str, status: int, code: str) -> None:
    async with http.request(method, path) as response:
        assert (response.status, await error_of(response)) == (status, code)
        assert (status == 405) == ("Allow" in response.headers)


async def test_other_sites_may_change_nothing(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", ""):
        async with http.post("/api/boke", data=form(photo()), headers={"Origin": origin}) as response:
            assert (response.status, await error_of(response)) == (403, "wrong_origin"), origin
    async with http.post("/api/boke", data=form(photo()), headers={"Origin": bot.url}) as response:
        assert response.status == 200


async def test_messages_are_in_the_callers_language(http: aiohttp.ClientSession) -> None:
    said = {}
    for asked in ("", "ja", "en-GB,en;q=0.8,ja;q=0.2"):
        headers = {"Accept-Language": asked} if asked else {}
        async with http.post("/api/boke", data=form(b""), headers=headers) as response:
            said[asked] = (await response.json())["message"]
    assert said[""] == said["ja"]
    assert said["en-GB,en;q=0.8,ja;q=0.2"].isascii()


async def test_a_caller_who_goes_away_takes_nothing_along(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    where = urlsplit(bot.url)
    for sent in (5_000, 30_000):
        with socket.create_connection((where.hostname, where.port)) as line:
            line.sendall(
                b"POST /api/boke HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
                b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + photo()[:sent]
            )
    assert (await ask(http, photo()))["boke"] in LINES
    assert "Traceback" not in bot.log
    assert "Unclosed" not in bot.log


async def test_metrics(http: aiohttp.ClientSession, strict: aiohttp.ClientSession) -> None:
    async def value(name: str) -> float:
        async with http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)

    answered = 'boke_answers_total{mode="boke",outcome="answered",platform="web"}'
    refused = 'boke_answers_total{mode="boke",outcome="not_a_picture",platform="web"}'
    before = await value(answered), await value(refused)
    await ask(http, photo())
    async with http.post("/api/boke", data=form(b"words")):
        pass
    assert (await value(answered), await value(refused)) == (before[0] + 1, before[1] + 1)
    assert await value("boke_answer_seconds_count") >= 1
    assert await value("boke_workers_up") == 1
    for name in ("boke_queue_length", "boke_worker_restarts_total", "boke_event_loop_lag_seconds_count"):
        async with http.get("/metrics") as response:
            assert f"\n{name} " in await response.text(), name
    async with strict.get("/metrics") as response:
        assert response.status == 404


async def test_consent_is_kept(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    ids = [(await ask(http, photo(), consent=word))["id"] for word in ("1", "true", "0", "")]
    database = open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)
    kept = [get_answer(database, answer_id) for answer_id in ids]
    database.close()
    assert [answer.consent for answer in kept if answer is not None] == [True, True, False, False]


async def test_another_one_names_the_answer_before(http: aiohttp.ClientSession, bot: RunningBot) -> None:
    first = (await ask(http, photo()))["id"]
    second = (await ask(http, photo(), again_of=first))["id"]
    database = open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)
    stored = get_answer(database, second)
    database.close()
    assert stored is not None
    assert stored.again_of == first

"""A bot with a corpus of eight photos: its pictures, jokes beside jokes, numbers, and a training run from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from sqlalchemy import func, select, update

from store.database import open_database
from store.tables import Answer, Picture
from tests.bot.chat.web.conftest import ADMIN_TOKEN, error_of
from tests.bot.chat.web.test_api import check
from tests.bot.running import RunningBot, run_bot
from tests.bundles import LINES
from tests.training.small import JOKES, PHOTOS, write_corpus
from training.importers import import_files

DEV = 2  # photos that the corpus file holds out
UNWANTED = "最後の星は内緒。"
PHOTO_OF = {hashlib.sha256(photo.read_bytes()).hexdigest(): photo for photo in PHOTOS}


@pytest.fixture(scope="module")
def corpus_bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[RunningBot]:
    """Its corpus says of each joke how many stars it has, the first none and the last the most; that one is unwanted."""
    folder = tmp_path_factory.mktemp("corpus-bot")
    file = write_corpus(folder / "corpus")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["stars"] == 0:
            del line["stars"]
        elif line["stars"] == JOKES - 1:
            line["text"] = UNWANTED
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    database = open_database(f"sqlite:///{folder / 'data' / 'boke.db'}")
    import_files(database, folder / "data", [file])
    database.close()
    with run_bot(
        folder,
        BOKE__MODEL__PATH=str(bundle),
        BOKE__FILTER__WORDS='["内緒"]',
        BOKE__WEB__POSTS_PER_MINUTE="5",
        BOKE__WEB__TRUSTED_PROXIES="127.0.0.1",
        BOKE__RETRAIN__NICE="0",  # a run that gives way to a whole test suite takes minutes to start
        BOKE_ADMIN_TOKEN=ADMIN_TOKEN,
    ) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
async def visitor(corpus_bot: RunningBot, request: pytest.FixtureRequest) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with an address of the test's own."""
    address = "2001:db8:" + ":".join(hashlib.sha256(request.node.name.encode()).hexdigest()[i : i + 4] for i in (0, 4))
    async with aiohttp.ClientSession(corpus_bot.url, headers={"X-Forwarded-For": f"{address}::1"}) as session:
        yield session


async def generate(session: aiohttp.ClientSession, split: str, count: int, **more: Any) -> dict[str, Any]:
    async with session.post("/api/generate", json={"split": split, "count": count, **more}) as response:
        content: dict[str, Any] = await response.json()
        assert response.status == 200, content
    await check(session, "Generated", content)
    return content


def stored(bot: RunningBot) -> dict[str, str]:
    """Where the pictures lie, by digest."""
    database = open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)
    with database.reader() as session:
        found = {row.digest: row.path for row in session.execute(select(Picture.digest, Picture.path))}
    database.close()
    return found


async def test_the_models_jokes_beside_peoples(visitor: aiohttp.ClientSession, corpus_bot: RunningBot) -> None:
    content = await generate(visitor, "train", 20)
    held_out = await generate(visitor, "dev", 20)
    assert (content["split"], held_out["split"]) == ("train", "dev")
    digests = [picture["digest"] for picture in content["pictures"]]
    dev = [picture["digest"] for picture in held_out["pictures"]]
    assert (len(digests), len(dev)) == (len(PHOTOS) - DEV, DEV)
    assert {*digests, *dev} == set(stored(corpus_bot))
    async with visitor.get("/api/stats") as response:
        assert content["model"] == (await response.json())["model"]
    for picture in content["pictures"] + held_out["pictures"]:
        said = [joke["text"] for joke in picture["generated"]]
        assert len(set(said)) == 5
        assert set(said) <= set(LINES)
        assert [joke["stars"] for joke in picture["written"]] == [6, 5, 4, 3, 2], "but for the unwanted one, the best"
    assert len((await generate(visitor, "train", 1))["pictures"]) == 1


async def test_going_on_shows_every_picture_once(visitor: aiohttp.ClientSession, corpus_bot: RunningBot) -> None:
    first = await generate(visitor, "train", 4)
    assert first["matching"] == len(PHOTOS) - DEV
    rest = await generate(visitor, "train", 4, after=first["next"])
    assert rest["next"] is None
    digests = [picture["digest"] for answer in (first, rest) for picture in answer["pictures"]]
    assert len(digests) == len(set(digests)) == len(PHOTOS) - DEV
    assert (await generate(visitor, "dev", DEV))["next"] is None
    orders = {tuple(p["digest"] for p in (await generate(visitor, "train", 6))["pictures"]) for _ in range(5)}
    assert len(orders) > 1, "whoever begins anew sees another order"


async def test_pictures_are_chosen_by_words_and_stars(visitor: aiohttp.ClientSession) -> None:
    everything = (await generate(visitor, "train", 6))["pictures"]
    word = everything[0]["written"][-1]["text"]
    found = await generate(visitor, "train", 6, query=f" {word}\u3000")
    assert everything[0]["digest"] in [picture["digest"] for picture in found["pictures"]]
    assert len(found["pictures"]) == found["matching"]
    assert all(picture["written"][0]["text"] == word for picture in found["pictures"])
    for more, matching in [({"query": "そんな言葉"}, 0), ({"min_stars": JOKES - 1}, 6), ({"min_stars": JOKES}, 0)]:
        answer = await generate(visitor, "train", 1, **more)
        assert (answer["matching"], len(answer["pictures"])) == (matching, min(matching, 1))


async def test_another_joke_about_the_same_picture(visitor: aiohttp.ClientSession) -> None:
    [picture] = (await generate(visitor, "train", 1))["pictures"]
    again = await generate(visitor, "train", 3, picture=picture["digest"])
    assert [each["digest"] for each in again["pictures"]] == [picture["digest"]]
    assert (picture["width"], picture["height"]) == Image.open(PHOTO_OF[picture["digest"]]).size
    for split, digest in (("dev", picture["digest"]), ("train", "0" * 64), ("train", "")):
        assert (await generate(visitor, split, 1, picture=digest))["pictures"] == []


async def test_nothing_of_it_is_kept(visitor: aiohttp.ClientSession, corpus_bot: RunningBot) -> None:
    await generate(visitor, "dev", 2)
    database = open_database(f"sqlite:///{corpus_bot.folder / 'data' / 'boke.db'}", migrate=False)
    with database.reader() as session:
        assert session.scalars(select(func.count()).select_from(Answer)).one() == 0
    database.close()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"split": "train"},
        {"count": 3},
        {"split": "test", "count": 3},
        {"split": ["train"], "count": 3},
        *[{"split": "dev", "count": count} for count in (0, 51, -1, 1.5, True, "3", None)],
        *[{"split": "dev", "count": 1, "query": query} for query in (1, ["a"], "a" * 101, "\0", "\ud800")],
        *[{"split": "dev", "count": 1, "min_stars": stars} for stars in ("1", True, 1e10, float("nan"), 10**400)],
        *[{"split": "dev", "count": 1, "after": after} for after in ("", 1, "0" * 16, f"{'0' * 16}-{'0' * 63}x")],
        {"split": "dev", "count": 1, "picture": 1},
    ],
)
async def test_what_cannot_be_generated(visitor: aiohttp.ClientSession, body: dict[str, Any]) -> None:
    async with visitor.post("/api/generate", json=body) as response:
        assert (response.status, await error_of(response)) == (400, "bad_request")


async def test_every_picture_counts_against_the_limit(visitor: aiohttp.ClientSession) -> None:
    for count in (48, 1):
        await generate(visitor, "dev", count)
    async with visitor.post("/api/generate", json={"split": "dev", "count": 2}) as response:
        assert (response.status, await error_of(response)) == (429, "slow_down")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    await generate(visitor, "dev", 1)


async def test_an_empty_corpus_has_no_pictures(http: aiohttp.ClientSession) -> None:
    assert (await generate(http, "train", 5))["pictures"] == []


async def test_a_picture_is_served_as_it_came(visitor: aiohttp.ClientSession) -> None:
    [picture] = (await generate(visitor, "train", 1))["pictures"]
    async with visitor.get(picture["url"]) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert hashlib.sha256(await response.read()).hexdigest() == picture["digest"]


@pytest.mark.parametrize("digest", ["0" * 64, "x", "..%2F..%2Fboke.db", "A" * 64, "0" * 63 + "%00"])
async def test_a_picture_that_there_is_not(visitor: aiohttp.ClientSession, digest: str) -> None:
    async with visitor.get(f"/api/corpus/{digest}") as response:
        assert (response.status, await error_of(response)) == (404, "not_found")


@pytest.mark.parametrize("path", ["pictures/gone.jpg", "../outside.jpg", "pictures"])
async def test_a_file_that_is_gone_or_elsewhere(
    visitor: aiohttp.ClientSession, corpus_bot: RunningBot, path: str
) -> None:
    """The picture is left out, the others are there."""
    (corpus_bot.folder / "outside.jpg").write_bytes(PHOTOS[0].read_bytes())
    digest, before = next(iter(stored(corpus_bot).items()))
    database = open_database(f"sqlite:///{corpus_bot.folder / 'data' / 'boke.db'}", migrate=False)

    def move(to: str) -> None:
        with database.session() as session:
            session.execute(update(Picture).where(Picture.digest == digest).values(path=to))

    move(path)
    try:
        async with visitor.get(f"/api/corpus/{digest}") as response:
            assert (response.status, await error_of(response)) == (404, "not_found")
        shown = [p["digest"] for split in ("train", "dev") for p in (await generate(visitor, split, 20))["pictures"]]
        assert sorted([*shown, digest]) == sorted(stored(corpus_bot))
    finally:
        move(before)
        database.close()


async def test_stats_count_both_sides(visitor: aiohttp.ClientSession, corpus_bot: RunningBot) -> None:
    async with visitor.get("/api/stats") as response:
        stats = await response.json()
    await check(visitor, "Stats", stats)
    pictures = len(PHOTOS)
    assert stats["corpus"] == {
        "pictures": pictures,
        "jokes": pictures * JOKES,
        "train": {"pictures": pictures - DEV, "jokes": (pictures - DEV) * JOKES},
        "dev": {"pictures": DEV, "jokes": DEV * JOKES},
    }


async def data(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get("/api/data") as response:
        content: dict[str, Any] = await response.json()
        assert response.status == 200, content
    await check(session, "Data", content)
    return content


async def test_the_corpus_in_numbers(visitor: aiohttp.ClientSession) -> None:
    content = await data(visitor)
    corpus = content["corpus"]
    pictures, jokes = len(PHOTOS), len(PHOTOS) * JOKES
    async with visitor.get("/api/stats") as response:
        stats = await response.json()
    assert {name: corpus[name] for name in ("pictures", "jokes", "train", "dev")} == stats["corpus"]
    assert content["model"]["vocabulary"] == stats["vocabulary"]
    assert corpus["per_picture"]["bins"] == [{"from": JOKES, "to": JOKES + 1, "count": pictures}]
    assert corpus["lengths"]["count"] == jokes
    stars = corpus["stars"]
    assert [each["count"] for each in stars["bins"]] == [pictures] * (JOKES - 1)
    assert (stars["unknown"], stars["min"], stars["max"]) == (pictures, 1, JOKES - 1)
    [day] = corpus["growth"]["days"]
    assert (day["jokes"], day["pictures"], corpus["growth"]["before"]) == (jokes, pictures, {"jokes": 0, "pictures": 0})


async def test_an_empty_corpus_in_numbers(http: aiohttp.ClientSession) -> None:
    corpus = (await data(http))["corpus"]
    assert (corpus["jokes"], corpus["growth"]["days"], corpus["filtered"]) == (0, [], None)
    assert corpus["lengths"]["bins"] == []


@pytest.mark.parametrize("authorization", ["", "Bearer wrong"])
async def test_a_run_needs_the_token(visitor: aiohttp.ClientSession, authorization: str) -> None:
    async with visitor.post("/api/retrain", headers={"Authorization": authorization}) as response:
        assert (response.status, await error_of(response)) == (401, "token_needed")


async def test_a_run_is_started_once(visitor: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with visitor.post("/api/retrain", headers=headers) as response:
        assert (response.status, await response.json()) == (202, {"started": True})
    async with visitor.post("/api/retrain", headers=headers) as response:
        assert (response.status, await error_of(response)) == (409, "already_running")
    while True:
        async with visitor.get("/api/runs") as response:
            runs = (await response.json())["runs"]
        if runs and runs[0]["ended"]:
            break
        await asyncio.sleep(0.05)  # another process sets no event
    assert [(run["trigger"], run["state"]) for run in runs] == [("page", "kept")], "fewer jokes than it needs"
    while True:
        filtered = (await data(visitor))["corpus"]["filtered"]
        if filtered:
            break
        await asyncio.sleep(1)  # the numbers are kept for a while
    dropped = {each["filter"]: each["jokes"] for each in filtered["dropped"]}
    assert filtered["run"] == runs[0]["id"]
    assert filtered["read"] == filtered["kept"] + sum(dropped.values()) == len(PHOTOS) * JOKES
    assert dropped["duplicates"] == 0

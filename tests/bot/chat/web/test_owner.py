"""What the owner does over a real socket: real runs are started, watched and stopped, real models published."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bokemodel.bundle import load_bundle, save_bundle
from bot.chat.web import live
from store.runs import RUN_KILLED, EpochRecord, save_epochs, start_run, update_run
from store.types import now
from tests.bot.chat.web.conftest import ADMIN_TOKEN, error_of, form, photo
from tests.bot.chat.web.learning import ENDLESS, NEW, OLD, OWNER, Listener, database_of, events, post, run_learner
from tests.bot.chat.web.test_api import check
from tests.bot.running import RunningBot, run_bot
from tests.bundles import LINES, QUOTES
from tests.training.small import finish, start, write_recipe


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBot]:
    with run_learner(tmp_path_factory.mktemp("learner")) as running:
        yield running


@pytest.fixture
async def owner(learner: RunningBot) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(learner.url) as session:
        yield session


async def run_of(http: aiohttp.ClientSession, run: int) -> dict[str, Any]:
    async with http.get(f"/api/runs/{run}") as response:
        assert response.status == 200
        content: dict[str, Any] = await response.json()
        return content


# --- runs ---


async def test_a_run_is_started_watched_stopped_and_gone_on_with(owner: aiohttp.ClientSession) -> None:
    async with owner.get("/api/runs/events") as response:
        assert response.content_type == "text/event-stream"
        heard = Listener(response)
        assert await post(owner, "/api/retrain") == (202, {"started": True})
        assert (await post(owner, "/api/retrain"))[1]["error"] == "already_running"
        await heard.until(lambda it: len(it.epochs) >= 3)
        assert heard.state["here"]
        assert await post(owner, "/api/retrain/stop") == (202, {"stopping": True, "here": True})
        assert (await post(owner, "/api/retrain/stop"))[0] in (202, 200), "asked again while it ends, or just after"
        await heard.until(lambda it: it.run["state"] == "stopped" and not it.state["here"])
        assert await post(owner, "/api/retrain/stop") == (200, {"stopping": False, "here": False})
        first = (await run_of(owner, heard.run["id"]))["run"]
        await check(owner, "Run", first)
        assert (first["trigger"], first["stages"][-1]["state"]) == ("page", "stopped")
        assert first["epochs"] == heard.epochs
        assert [epoch["epoch"] for epoch in first["epochs"]] == list(range(1, len(first["epochs"]) + 1))
        assert all(epoch["train_loss"] > 0 and epoch["dev_loss"] > 0 for epoch in first["epochs"])

        assert await post(owner, "/api/retrain") == (202, {"started": True})
        await heard.until(lambda it: it.run["id"] != first["id"] and len(it.epochs) > len(first["epochs"]))
        second = heard.run["id"]
        await post(owner, "/api/retrain/stop")
        await heard.until(lambda it: it.run["state"] == "stopped" and not it.state["here"])
    stages = {stage["name"]: stage for stage in (await run_of(owner, second))["run"]["stages"]}
    assert stages["corpus"]["note"].startswith(f"going on with run {first['id']}, which had trained")


async def test_another_process_learns(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    recipe = write_recipe(learner.folder / "other", epochs=ENDLESS)
    process = start(learner.folder, "--recipe", str(recipe))
    async with owner.get("/api/runs/events") as response:
        heard = Listener(response)
        await heard.until(lambda it: it.run.get("state") == "running" and len(it.run["stages"]) > 2)
        assert not heard.state["here"]
    status, refused = await post(owner, "/api/retrain")
    assert (status, refused["error"]) == (409, "already_running")
    assert await post(owner, "/api/retrain/stop") == (202, {"stopping": True, "here": False})
    code, _, err = await asyncio.to_thread(finish, process)
    assert code == 1
    assert "stopped on request" in err


async def test_after_another_process_was_killed_a_run_can_be_started_at_once(
    owner: aiohttp.ClientSession, learner: RunningBot
) -> None:
    recipe = write_recipe(learner.folder / "killed", epochs=ENDLESS)
    process = start(learner.folder, "--recipe", str(recipe))
    async with owner.get("/api/runs/events") as response:
        heard = Listener(response)
        await heard.until(lambda it: it.run.get("state") == "running" and len(it.run["stages"]) > 2)
        killed = heard.run["id"]
        process.kill()
        await asyncio.to_thread(finish, process)
        assert await post(owner, "/api/retrain") == (202, {"started": True})
        await heard.until(lambda it: it.run["id"] != killed and len(it.run["stages"]) > 2)
        await post(owner, "/api/retrain/stop")
        await heard.until(lambda it: it.run["state"] == "stopped" and not it.state["here"])
    found = (await run_of(owner, killed))["run"]
    assert (found["state"], found["message"]) == ("stopped", RUN_KILLED)


async def test_a_late_listener_gets_the_whole_run(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    async with owner.get("/api/runs/events") as one:
        told = events(one)
        first = [await anext(told), await anext(told)]
        async with owner.get("/api/runs/events") as other:
            later = events(other)
            assert [await anext(later), await anext(later)] == first
    assert [kind for kind, _ in first] == ["state", "run"]
    assert first[0][1]["next_run"]
    run = first[1][1]
    assert run == (await run_of(owner, run["id"]))["run"]


async def test_only_so_many_listen_from_one_address(owner: aiohttp.ClientSession) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}
    listening = [await owner.get("/api/runs/events", headers=headers) for _ in range(live.MAX_OF_ADDRESS)]
    async with owner.get("/api/runs/events", headers=headers) as response:
        assert (response.status, await error_of(response)) == (503, "busy")
    async with owner.get("/api/runs/events") as response:
        assert response.status == 200, "others still may"
    for response in listening:
        response.close()


async def test_a_run_beside_the_one_that_it_has_to_beat(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    database = database_of(learner)
    beaten, running = start_run(database, "hand", "small"), start_run(database, "hand", "small")
    save_epochs(database, beaten, [EpochRecord(1, 3.0, 3.5)])
    update_run(database, beaten, state="published", bundle_digest="a" * 64, published=now(), ended=now())
    found = await run_of(owner, running)
    await check(owner, "RunBesideChampion", found)
    assert (found["champion"]["id"], len(found["champion"]["epochs"])) == (beaten, 1), "the last that was published"
    for digest, champion in (("a" * 64, beaten), ("b" * 64, None), (None, None)):
        update_run(database, running, state="kept", champion_digest=digest, ended=now())
        found = (await run_of(owner, running))["champion"]
        assert (found and found["id"]) == champion
    database.close()


async def test_a_run_that_there_is_not(owner: aiohttp.ClientSession) -> None:
    for path in ("/api/runs/999999", "/api/runs/x", "/api/runs/9999999999999"):
        async with owner.get(path) as response:
            assert (response.status, await error_of(response)) == (404, "not_found")
    async with owner.get("/api/runs", params={"epochs": "some"}) as response:
        assert (response.status, await error_of(response)) == (400, "bad_request")
    async with owner.get("/api/runs", params={"epochs": "false"}) as response:
        assert all("epochs" not in run for run in (await response.json())["runs"])


# --- models ---


async def answers(http: aiohttp.ClientSession) -> str:
    async with http.post("/api/boke", data=form(photo())) as response:
        return str((await response.json())["model"])


async def live_model(http: aiohttp.ClientSession) -> str:
    async with http.get("/api/models") as response:
        told = await response.json()
    await check(http, "Models", told)
    [name] = [model["name"] for model in told["models"] if model["live"]]
    [digest] = [model["digest"] for model in told["models"] if model["live"]]
    assert digest == told["answers"]
    return str(name)


async def test_another_model_is_published_and_answers(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    models = learner.folder / "models"
    for name in (OLD, OLD, NEW):
        digest = load_bundle(models / name).digest
        assert await post(owner, "/api/model/publish", {"name": name}) == (200, {"live": name, "model": digest})
        assert await answers(owner) == digest
        assert await live_model(owner) == name


async def test_rolled_back_once_however_often_it_is_asked(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    await post(owner, "/api/model/publish", {"name": NEW})
    digest = load_bundle(learner.folder / "models" / OLD).digest
    for _ in range(2):
        assert await post(owner, "/api/model/rollback", {"live": NEW}) == (200, {"live": OLD, "model": digest})
    assert await answers(owner) == digest
    async with owner.get("/api/models") as response:
        back = {model["name"] for model in (await response.json())["models"] if model["withdrawn"]}
    assert back == {NEW}
    assert (await post(owner, "/api/model/rollback"))[1]["live"] == "starter"
    status, refused = await post(owner, "/api/model/rollback")
    assert (status, refused["error"]) == (409, "nothing_older")
    assert await live_model(owner) == "starter"


async def test_what_cannot_be_published_changes_nothing(owner: aiohttp.ClientSession, learner: RunningBot) -> None:
    await post(owner, "/api/model/publish", {"name": NEW})
    damaged = learner.folder / "models" / OLD / "decoder.npz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:99])
    try:
        for content, expected in (
            ({"name": OLD}, (409, "not_published")),
            ({"name": "../data"}, (404, "unknown_model")),
            ({"name": 3}, (400, "bad_request")),
            ({}, (400, "bad_request")),
        ):
            status, refused = await post(owner, "/api/model/publish", content)
            assert (status, refused["error"]) == expected
            assert await live_model(owner) == NEW
    finally:
        damaged.write_bytes(whole)


async def test_a_model_that_does_not_load_gives_way_to_the_one_before(
    owner: aiohttp.ClientSession, learner: RunningBot
) -> None:
    """Whole on the disk, but it needs a vision network that is not there."""
    models, name = learner.folder / "models", "20240103-000000-00000000"
    made = load_bundle(models / NEW)
    save_bundle(replace(made, manifest=replace(made.manifest, encoder="caffenet")), models / name)
    try:
        status, refused = await post(owner, "/api/model/publish", {"name": name})
        assert (status, refused["error"]) == (409, "model_rejected")
        assert (models / "current").resolve().name == NEW
        assert await answers(owner) == made.digest
        status, refused = await compare(owner, photo(), name, NEW)
        assert (status, refused["error"]) == (409, "model_rejected")
    finally:
        shutil.rmtree(models / name)


async def test_a_configured_model_is_not_changed(http: aiohttp.ClientSession, bundle: Path) -> None:
    for path, content in (("/api/model/publish", {"name": "starter"}), ("/api/model/rollback", None)):
        status, refused = await post(http, path, content)
        assert (status, refused["error"]) == (409, "model_pinned")
    async with http.get("/api/models") as response:
        told = await response.json()
    assert told["pinned"]
    assert [(model["name"], model["live"]) for model in told["models"]] == [("model.path", True), ("starter", False)]
    assert told["answers"] == load_bundle(bundle).digest


async def compare(http: aiohttp.ClientSession, image: bytes | None, a: str, b: str) -> tuple[int, dict[str, Any]]:
    async with http.post("/api/models/compare", data=form(image, a=a, b=b), headers=OWNER) as response:
        return response.status, await response.json()


async def test_two_models_on_one_picture(owner: aiohttp.ClientSession) -> None:
    before = await live_model(owner)
    status, told = await compare(owner, photo(), OLD, NEW)
    assert status == 200, told
    await check(owner, "Compared", told)
    old, new = told["models"]
    assert (old["name"], new["name"]) == (OLD, NEW)
    assert {said["text"] for model in (old, new) for said in model["said"]} <= set(LINES)
    assert {joke for near in new["near"] for joke in near["jokes"]} == set(QUOTES)
    assert await live_model(owner) == before
    assert await compare(owner, photo(), OLD, NEW) == (200, told), "the same again"


@pytest.mark.parametrize(
    ("image", "name", "status", "code"),
    [
        (photo(), "20990101-000000-00000000", 404, "unknown_model"),
        (photo(), "", 404, "unknown_model"),
        (None, OLD, 400, "no_picture"),
        (b"words", OLD, 415, "not_a_picture"),
        (photo()[:9000], OLD, 415, "corrupt"),
    ],
)
async def test_what_cannot_be_compared(
    owner: aiohttp.ClientSession, image: bytes | None, name: str, status: int, code: str
) -> None:
    got, refused = await compare(owner, image, name, NEW)
    assert (got, refused["error"]) == (status, code)


# --- the token ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin"),
        ("POST", "/api/retrain"),
        ("POST", "/api/retrain/stop"),
        ("POST", "/api/model/reload"),
        ("POST", "/api/model/publish"),
        ("POST", "/api/model/rollback"),
        ("POST", "/api/models/compare"),
    ],
)
async def test_the_owner_only(
    owner: aiohttp.ClientSession, strict: aiohttp.ClientSession, method: str, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        async with owner.request(method, path, headers=headers) as response:
            assert (response.status, await error_of(response)) == (401, "token_needed")
    async with owner.request(method, path, headers={**OWNER, "Origin": "https://evil.example"}) as response:
        assert response.status == (403 if method == "POST" else 200)
    async with strict.request(method, path, headers=OWNER) as response:
        assert (response.status, await error_of(response)) == (403, "token_unset")


async def test_nobody_guesses_the_token(owner: aiohttp.ClientSession) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer guess"}
    codes = []
    for _ in range(121):
        async with owner.get("/api/admin", headers=headers) as response:
            codes.append(await error_of(response))
    assert codes == ["token_needed"] * 120 + ["slow_down"]
    async with owner.get("/api/admin", headers={**headers, "Authorization": f"Bearer {ADMIN_TOKEN}"}) as response:
        assert response.status == 429, "not even the right one"


# --- the end ---


async def test_whoever_listens_is_let_go_when_the_bot_leaves(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as leaving:
        async with aiohttp.ClientSession(leaving.url) as http, http.get("/api/runs/events") as response:
            stream = events(response)
            assert (await anext(stream))[0] == "state"
            assert await asyncio.to_thread(leaving.stop) == 0
            assert [kind async for kind, _ in stream] == ["run"]

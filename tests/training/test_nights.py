"""Whole nights: the site's copy is crawled, a model trained and published, and a running bot answers from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from benchmarks.caffemodel_writer import caffenet, write_caffemodel
from bokemodel.bundle import load_bundle
from store.database import open_database
from store.runs import RunRecord, last_runs
from tests.bot.running import RunningBot, run_bot
from tests.bundles import tiny_bundle
from tests.servers.bokete_server import BoketeSite
from tests.training.small import PHOTOS, finish, start, write_corpus, write_recipe
from training.publish import publish


async def posted(bot: RunningBot) -> dict[str, str]:
    """What the bot answers to a picture."""
    form = aiohttp.FormData()
    form.add_field("image", PHOTOS[0].read_bytes(), filename="photo.jpg")
    async with aiohttp.ClientSession() as client, client.post(f"{bot.url}/api/boke", data=form) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, str] = await answer.json()
        return found


async def retrain(folder: Path, *arguments: str, **variables: str) -> tuple[int, RunRecord]:
    """`python -m training.retrain`, and what it wrote down."""
    process = start(folder, *arguments, crawl=bool(variables), **variables)
    code, _, err = await asyncio.to_thread(finish, process)
    assert "Traceback" not in err
    database = open_database(f"sqlite:///{folder / 'data' / 'boke.db'}")
    (run,) = last_runs(database, 1)
    database.close()
    return code, run


async def until_live(bot: RunningBot, folder: Path) -> dict[str, str]:
    wanted = load_bundle(folder / "models" / "current").digest
    while (answer := await posted(bot))["model"] != wanted:  # noqa: ASYNC110  another process sets no event
        await asyncio.sleep(0.1)
    return answer


def counts(run: RunRecord, stage: str) -> dict[str, int]:
    return next(found for found in run.stages if found["name"] == stage)


@pytest.fixture
def with_a_model(tmp_path: Path) -> Iterator[Path]:
    """A folder in which the tiny model is live."""
    publish(tmp_path / "models", load_bundle(tiny_bundle(tmp_path / "made", 0)), "20240101-000000-00000000", 5)
    return tmp_path


async def test_a_night_and_the_next(with_a_model: Path) -> None:
    folder = with_a_model
    recipe = ("--recipe", str(write_recipe(folder, more="\n[filters]\nunwanted_words = false\n")), "--force-publish")
    async with BoketeSite(odai=30, generation=2, jokes=4) as site:
        crawl = {
            "BOKE__CRAWL__ENABLED": "true",
            "BOKE__CRAWL__BASE_URL": site.url,
            "BOKE__CRAWL__DELAY_S": "0",
            "BOKE__CRAWL__CONTACT": "owner@example.org",
        }
        with run_bot(folder, BOKE__INFERENCE__RELOAD_CHECK_S="0.1", BOKE__WEB__POSTS_PER_MINUTE="0", **crawl) as bot:
            first_answer = await posted(bot)
            code, first = await retrain(folder, *recipe, **crawl)
            assert (code, first.state) == (0, "published"), first.message
            jokes = len(site.world.boke)
            assert counts(first, "crawl")["new_boke"] == counts(first, "corpus")["read"] == jokes
            answer = await until_live(bot, folder)
            assert answer["model"] != first_answer["model"]

            # The site changes its pages, and a day brings a few new pictures.
            new_odai, new_boke = site.world.grow(3, jokes=2)
            site.generation = 3
            site.served.clear()
            code, second = await retrain(folder, *recipe, **crawl)
            assert (code, second.state) == (0, "published"), second.message
            assert counts(second, "crawl")["new_odai"] == len(new_odai)
            assert counts(second, "crawl")["new_boke"] == len(new_boke)
            assert 0 < counts(second, "features")["computed"] <= counts(second, "crawl")["pictures"]
            pages = {f"/odai/{odai.id}" for odai in new_odai}
            assert pages <= set(site.served)
            assert not {path for path in site.served if "/photo/" in path} - {
                path for path in site.served if any(odai.picture in path for odai in new_odai)
            }
            assert (await until_live(bot, folder))["model"] == second.bundle_digest
            assert bot.stop() == 0


async def test_a_site_that_changed_beyond_knowledge_fails_the_run_loudly(with_a_model: Path) -> None:
    folder, before = with_a_model, load_bundle(with_a_model / "models" / "current").digest
    async with BoketeSite(odai=30, generation=0) as site:
        crawl = {"BOKE__CRAWL__ENABLED": "true", "BOKE__CRAWL__BASE_URL": site.url, "BOKE__CRAWL__DELAY_S": "0"}
        code, run = await retrain(folder, "--recipe", str(write_recipe(folder)), **crawl)
    assert (code, run.state) == (1, "failed")
    assert "known layout" in (run.message or "")
    assert load_bundle(folder / "models" / "current").digest == before


async def test_a_site_that_says_stop_is_left_alone_and_training_goes_on(with_a_model: Path) -> None:
    folder = with_a_model
    async with BoketeSite(odai=5, robots="User-agent: *\nDisallow: /\n") as site:
        crawl = {"BOKE__CRAWL__ENABLED": "true", "BOKE__CRAWL__BASE_URL": site.url, "BOKE__CRAWL__DELAY_S": "0"}
        arguments = ("--import", str(write_corpus(folder)), "--recipe", str(write_recipe(folder)), "--force-publish")
        code, run = await retrain(folder, *arguments, **crawl)
        assert set(site.served) <= {"/robots.txt"}
    assert (code, run.state) == (0, "published"), run.message
    assert "robots.txt" in str(counts(run, "crawl")["note"])


async def test_caffenet_from_its_file_to_an_answered_picture(tmp_path: Path) -> None:
    """The request as it was made: a CaffeNet of full size, its LSTM trained on a corpus, a picture answered by both."""
    weights = tmp_path / "bvlc_reference_caffenet.caffemodel"
    write_caffemodel(weights, caffenet())
    model = {
        "BOKE__MODEL__ENCODER": "caffenet",
        "BOKE__MODEL__ENCODER_PATH": str(weights),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    process = start(tmp_path, "--import", str(write_corpus(tmp_path)), "--recipe", str(write_recipe(tmp_path)), **model)
    code, out, err = await asyncio.to_thread(finish, process)
    assert code == 0, out + err
    manifest = load_bundle(tmp_path / "models" / "current").manifest
    assert (manifest.encoder, manifest.feature_dim) == ("caffenet", 4096)
    with run_bot(tmp_path, **model) as bot:
        answer = await posted(bot)
        assert (answer["encoder"], answer["model"]) == ("caffenet", load_bundle(tmp_path / "models" / "current").digest)
        assert answer["boke"]
        assert bot.stop() == 0
    weights.unlink()

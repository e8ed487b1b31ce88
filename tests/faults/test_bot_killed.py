"""The bot killed with kill -9, in the middle of an answer or while it trains, and started again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
import pytest

from store.database import open_database
from store.runs import last_runs
from tests.bot.chat.discord.bots import as_owner, joke_to, post_picture, town
from tests.bot.chat.slack.conftest import manifest
from tests.bot.conftest import photo
from tests.bot.running import RunningBot
from tests.bot.test_app import all_gone, family, running
from tests.servers.discord_server import DiscordServer
from tests.servers.slack_server import Message, SlackServer
from tests.training.small import environment, finish, start, write_corpus, write_recipe


async def kill(bot: RunningBot) -> None:
    workers = [child for child in family(bot) if "training.retrain" not in child.cmdline()]
    bot.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(bot.process.wait, 30)
    assert all_gone(workers)


@pytest.mark.parametrize("sent", [False, True], ids=["before it is sent", "after it is sent"])
async def test_in_the_middle_of_an_answer(tmp_path: Path, tiny_model: Path, sent: bool) -> None:
    async with DiscordServer(timeout_s=60) as server:
        here = town(server)
        variables = as_owner(server, tiny_model, here.channel)
        async with running(tmp_path, **variables) as bot:
            await server.ready()
            voted = await joke_to(server, await post_picture(server, here.channel, here.taro, photo()))
            await server.click(voted, "👍", here.hanako)
            await server.until(lambda: voted.button("👍").label == "1")
            hold = None if sent else server.hold_next("POST", r"/messages$")
            broken = await post_picture(server, here.channel, here.taro, photo("coffee"))
            if hold is None:
                await joke_to(server, broken)
            else:
                await hold.reached()
            await kill(bot)
            if hold is not None:
                hold.release()
        async with running(tmp_path, **variables):
            await server.ready()
            await server.redeliver(broken)
            after = await joke_to(server, await post_picture(server, here.channel, here.taro, photo("temple")))
            await server.sync()
            said = [message.reply_to for message in server.said(here.channel)]
            assert said.count(broken) == (1 if sent else 0)  # once, or not at all: never twice
            if sent:
                cut_short = next(message for message in server.said(here.channel) if message.reply_to is broken)
                await server.click(cut_short, "👎", here.hanako)
                await server.until(lambda: cut_short.button("👎").label == "1")
            await server.click(voted, "👍", here.taro)
            await server.until(lambda: voted.button("👍").label == "2")  # the vote from before is there
            assert after in server.said(here.channel)


@pytest.mark.parametrize("sent", [False, True], ids=["on its way", "after it is sent"])
async def test_in_the_middle_of_an_answer_in_slack_which_tells_of_the_post_again(
    tmp_path: Path, tiny_model: Path, sent: bool
) -> None:
    async with SlackServer(manifest=manifest(), timeout=60) as slack:
        hanako, taro, channel = slack.add_user("U1", "hanako"), slack.add_user("U2", "taro"), slack.add_channel("C1")
        variables = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "BOKE__SLACK__BASE_URL": slack.base_url,
            "BOKE__MODEL__PATH": str(tiny_model),
            "BOKE__CHAT__COOLDOWN_S": "0",
            "BOKE__CHAT__ENABLED_CHANNELS": '["C1"]',
        }

        async def joke_to_a_post(name: str) -> tuple[Message, Message]:
            posted = await slack.post(channel, hanako, files=[slack.upload("photo.jpg", photo(name))])
            return posted, await slack.wait_for_message(channel, thread=posted)

        async with running(tmp_path, **variables) as bot:
            await slack.wait_for_socket()
            _, voted = await joke_to_a_post("cat")
            await slack.click(voted, "boke_up", taro)
            await slack.wait_for_edit(voted)
            if sent:
                broken, _ = await joke_to_a_post("coffee")
            else:
                gate = slack.hold_next("chat.postMessage")
                broken = await slack.post(channel, hanako, files=[slack.upload("photo.jpg", photo("coffee"))])
                await gate.reached()
            await kill(bot)
            if not sent:
                gate.open()
        async with running(tmp_path, **variables):
            await slack.wait_for_socket()
            await (await slack.redeliver(broken)).acked()
            await joke_to_a_post("temple")
            await slack.click(voted, "boke_up", hanako)
            await slack.wait_for_edit(voted)
            assert voted.element("boke_up")["text"]["text"] == "👍 2"  # the vote from before is there
        # It has left, and finished what was under way: what was on its way to Slack has arrived, and no other.
        assert len([answer for answer in slack.answers(channel) if answer.thread_ts == broken.ts]) == 1


async def test_while_it_trains_the_run_goes_on_and_the_next_bot_starts_no_second(
    tmp_path: Path, tiny_model: Path
) -> None:
    corpus, recipe = write_corpus(tmp_path), write_recipe(tmp_path, epochs=100_000)
    command = [sys.executable, "-m", "training.corpus", "import", str(corpus)]
    await asyncio.to_thread(subprocess.run, command, env=environment(tmp_path), check=True, capture_output=True)
    variables = {
        "BOKE__MODEL__PATH": str(tiny_model),
        "BOKE__RETRAIN__RECIPE": str(recipe),
        "BOKE__RETRAIN__MIN_JOKES": "20",
        "BOKE_ADMIN_TOKEN": "secret",
    }
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'boke.db'}")

    async def begin(bot: RunningBot) -> int:
        headers = {"Authorization": "Bearer secret"}
        async with aiohttp.ClientSession(bot.url) as session, session.post("/api/retrain", headers=headers) as answer:
            return answer.status

    try:
        async with running(tmp_path, **variables) as bot:
            assert await begin(bot) == 202
            async with asyncio.timeout(120):
                while not last_runs(database, 1) or len(last_runs(database, 1)[0].stages) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            (child,) = [found for found in family(bot) if "training.retrain" in found.cmdline()]
            await kill(bot)
        try:
            async with running(tmp_path, **variables) as bot:
                assert child.is_running()
                assert await begin(bot) == 409
                code, _, err = await asyncio.to_thread(finish, start(tmp_path, "--recipe", str(recipe)))
                assert code == 1, err  # as the clock starts it
                assert "already going on" in err
                assert child.is_running()
                assert [run.state for run in last_runs(database, 5)].count("running") == 1
                child.send_signal(signal.SIGTERM)
                assert all_gone([child])
        finally:
            if child.is_running():
                child.kill()
                psutil.wait_procs([child])
        (run,) = last_runs(database, 5)
        assert run.state == "stopped"
    finally:
        database.close()

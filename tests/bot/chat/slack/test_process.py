"""The whole bot as its owner starts it, with Slack's tokens in its environment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.bot.chat.slack.conftest import is_joke, manifest, picture
from tests.bot.running import run_bot
from tests.bundles import tiny_bundle
from tests.servers.slack_server import SlackServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_answers_leaves_in_peace_and_answers_later_what_came_meanwhile(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path)
    async with SlackServer(manifest=manifest(), timeout=60) as slack:
        hanako, channel = slack.add_user("U1", "hanako"), slack.add_channel("C1")
        variables = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "BOKE__SLACK__BASE_URL": slack.base_url,
            "BOKE__MODEL__PATH": str(model),
            "BOKE__CHAT__COOLDOWN_S": "0",
            "BOKE__CHAT__ENABLED_CHANNELS": '["C1"]',
        }

        def run_once() -> str:
            with run_bot(tmp_path, **variables) as bot:
                wait(slack.wait_for_socket())
                post = wait(slack.post(channel, hanako, files=[slack.upload("cat.jpg", picture())]))
                assert is_joke(wait(slack.wait_for_message(channel, thread=post)))
                assert bot.stop() == 0
                return bot.log

        loop = asyncio.get_running_loop()

        def wait(awaitable):  # type: ignore[no-untyped-def]
            return asyncio.run_coroutine_threadsafe(awaitable, loop).result(90)

        log = await asyncio.to_thread(run_once)
        assert "Traceback" not in log
        assert log.count("Slack: boke is in Testers") == 1
        assert slack.sockets.open == []
        missed = await slack.post(channel, hanako, files=[slack.upload("coffee.jpg", picture("coffee.jpg"))])

        def run_again() -> None:
            with run_bot(tmp_path, **variables) as bot:
                wait(slack.redeliver_until_acked(missed))
                assert is_joke(wait(slack.wait_for_message(channel, thread=missed)))
                assert bot.stop() == 0

        await asyncio.to_thread(run_again)
        assert len(slack.answers(channel)) == 2

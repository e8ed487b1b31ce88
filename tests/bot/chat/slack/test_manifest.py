"""The manifest that ships: within Slack's limits, and in step with what the bot listens to."""

from __future__ import annotations

import pytest

from bot.chat.slack.client import SCOPES
from bot.chat.slack.posts import COMMANDS
from tests.bot.chat.slack.conftest import Talk, manifest
from tests.servers.slack.feed import EVENT_SCOPES

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_scopes_are_those_that_the_bot_looks_for() -> None:
    assert manifest()["oauth_config"]["scopes"]["bot"] == sorted(SCOPES)


async def test_every_event_has_its_scope() -> None:
    for event in manifest()["settings"]["event_subscriptions"]["bot_events"]:
        assert EVENT_SCOPES[event] in SCOPES


async def test_texts_fit() -> None:
    whole = manifest()
    assert len(whole["display_information"]["name"]) <= 35
    assert len(whole["display_information"]["description"]) <= 140
    (shortcut,) = whole["features"]["shortcuts"]
    assert shortcut["name"] == COMMANDS["shortcut"]
    assert len(shortcut["name"]) <= 24
    assert len(shortcut["description"]) <= 150
    assert all(len(command["description"]) <= 2000 for command in whole["features"]["slash_commands"])


async def test_the_bot_answers_every_command_in_it(talk: Talk) -> None:
    for command in manifest()["features"]["slash_commands"]:
        await talk.slack.command(command["command"], user=talk.taro, channel=talk.channel)
    assert [type(delivery) for delivery in talk.slack.interactions.all]


async def test_no_call_lacks_a_scope(talk: Talk) -> None:
    """Every method that the bot uses works with the manifest's scopes."""
    posted, answer = await talk.joke()
    for button in ("boke_again", "boke_up", "boke_card"):
        await talk.slack.click(answer, button, talk.taro)
    await talk.slack.react(answer, "+1", talk.hanako)
    await talk.slack.command("/boke-settings", user=talk.taro, channel=talk.channel)
    await talk.slack.command("/boke", user=talk.taro, channel=talk.channel)
    await talk.idle()
    await talk.slack.command("/boke-stats", user=talk.taro, channel=talk.channel)
    await talk.slack.delete(posted)
    await talk.idle()
    assert {call.error for call in talk.slack.api.calls} <= {None, "thread_not_found"}

"""The form in which a channel's people set how the bot behaves there."""

from __future__ import annotations

from typing import Any

import pytest

from bot.chat.slack.settings import read_form
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke
from tests.servers.slack.interactions import View
from tests.servers.slack_server import Channel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(talk: Talk, channel: Channel | None = None, command: str = "/boke-settings", text: str = "") -> View:
    await talk.slack.command(command, text, user=talk.taro, channel=channel or talk.channel)
    return await talk.slack.wait_for_view(talk.taro)


def filled(view: View, **changes: str) -> dict[str, dict[str, Any]]:
    """The form's state as it was opened, with other options chosen."""
    state = {}
    for block in view.body["blocks"]:
        if block["type"] != "input":
            continue
        name, element = block["block_id"], block["element"]
        option = element.get("initial_option")
        if name in changes:
            wanted = changes.pop(name)
            (option,) = (option for option in element["options"] if option["value"] == wanted)
        state[name] = {name: {"type": element["type"], "selected_option": option}}
    assert not changes, f"the form has no {changes}"
    return state


def shown(view: View) -> dict[str, str]:
    """What is chosen in the form when it opens, as people read it."""
    inputs = [block for block in view.body["blocks"] if block["type"] == "input"]
    return {block["label"]["text"]: block["element"]["initial_option"]["text"]["text"] for block in inputs}


async def test_the_form_shows_what_holds(talk: Talk) -> None:
    view = await opened(talk)
    assert view.body["title"]["text"] == "ボケの設定"
    assert shown(view) == {
        "このチャンネルで": "ボケる",
        "いつボケるか": "写真が投稿されたら",
        "どのくらいの割合で": "すべての写真に",
        "同じ人に次にボケるまで": "すぐにでも",
        "静かにする時間（ここから）": "なし",
        "静かにする時間（ここまで）": "なし",
        "ボケのほかに": "文字だけにする",
        "ことば": "日本語",
    }


async def test_values_that_are_not_offered_stay(talking: Talking) -> None:
    section = {"probability": 0.3, "cooldown_s": 90, "quiet_hours": "22:30-24:00", "language": "en"}
    async with talking(chat=section) as talk:
        view = await opened(talk, command="/boke", text="settings")
        assert view.body["title"]["text"] == "Boke settings"
        assert shown(view)["How often"] == "About 30% of the pictures"
        assert shown(view)["Before the same person's next one"] == "Wait 90 s"
        assert (shown(view)["Quiet hours from"], shown(view)["Quiet hours until"]) == ("22:30", "24:00")
        assert read_form(filled(view)) == {
            "enabled": True,
            "automatic": True,
            "probability": 0.3,
            "cooldown_s": 90.0,
            "quiet_from": "22:30",
            "quiet_to": "24:00",
            "card": False,
            "language": "en",
        }


async def test_a_channel_is_enabled_and_disabled(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    view = await opened(talk, other)
    assert shown(view)["このチャンネルで"] == "ボケない"
    await talk.slack.submit(view, filled(view, enabled="yes"))
    assert view.closed
    saved = await talk.slack.wait_for_ephemeral(talk.taro, other)
    assert saved.plain == "設定を保存しました。ここでは、写真が投稿されたらボケます。"
    assert (await talk.slack.wait_for_message(other)).plain.startswith("こんにちは！")
    await talk.slack.post(other, talk.hanako, files=[talk.file()])
    assert is_joke(await talk.slack.wait_for_message(other))
    view = await opened(talk, other)
    await talk.slack.submit(view, filled(view, enabled="no"))
    saved = await talk.slack.wait_for_ephemeral(talk.taro, other)
    assert saved.plain == "設定を保存しました。ここでは、呼ばれたときだけボケます。"
    await talk.slack.post(other, talk.hanako, files=[talk.file("coffee.jpg")])
    await talk.idle()
    assert len(talk.slack.answers(other)) == 2


async def test_answers_with_cards_and_in_english_only_when_asked(talk: Talk) -> None:
    view = await opened(talk)
    await talk.slack.submit(view, filled(view, automatic="no", card="yes", language="en"))
    saved = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    assert saved.plain == "Settings saved. Here I answer only when asked."
    await talk.post()
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []
    await talk.restart()
    posted = await talk.post(talk.slack.bot.mention, name="coffee.jpg")
    answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert [element["text"]["text"] for element in answer.elements] == ["Again", "👍", "👎", "Card"]
    card = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert card.files[0].alt_txt == answer.plain
    await talk.slack.command("/boke-stats", user=talk.taro, channel=talk.channel)
    assert (await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)).plain.startswith("No joke has votes yet")


async def test_quiet_hours_need_both_ends(talk: Talk) -> None:
    view = await opened(talk)
    answer = await talk.slack.submit(view, filled(view, quiet_from="23:00"))
    message = "始まりと終わりを両方選ぶか、両方「なし」にしてください。"
    assert answer.ack["errors"] == {"quiet_to": message}
    assert not view.closed
    await talk.slack.submit(view, filled(view, quiet_from="23:00", quiet_to="07:00", probability="0.5", cooldown="60"))
    await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    again = shown(await opened(talk))
    assert (again["静かにする時間（ここから）"], again["静かにする時間（ここまで）"]) == ("23:00", "07:00")
    assert again["どのくらいの割合で"] == "写真の50%くらいに"
    assert again["同じ人に次にボケるまで"] == "1分あける"


async def test_where_the_bot_is_no_member_the_form_says_so(talk: Talk) -> None:
    for kind in ("channel", "group"):
        other = talk.slack.add_channel(f"C_{kind}", kind=kind, bot=False)
        view = await opened(talk, other)
        assert view.body["blocks"][0]["text"]["text"].endswith("/invite @boke で呼んでください。")
        await talk.slack.submit(view, filled(view, enabled="yes"))
        assert "設定を保存しました。" in (await talk.slack.wait_for_ephemeral(talk.taro, other)).plain


async def test_direct_messages_have_only_what_has_a_meaning_there(talk: Talk) -> None:
    direct = talk.slack.dm(talk.taro)
    view = await opened(talk, direct)
    assert shown(view) == {"ボケのほかに": "文字だけにする", "ことば": "日本語"}
    await talk.slack.submit(view, filled(view, language="en"))
    assert (await talk.slack.wait_for_ephemeral(talk.taro, direct)).plain == "Settings saved. "
    await talk.slack.post(direct, talk.taro, "hello")
    assert (await talk.slack.wait_for_message(direct)).plain == "Send me a picture and I answer with a one-line joke."

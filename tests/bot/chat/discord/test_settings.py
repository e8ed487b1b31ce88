"""Conversations: /boke-settings, the panel of a channel."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.boke import Place
from bot.chat.discord.settings import time_of
from bot.conversation import ChannelRules
from tests.bot.chat.discord.bots import Bot, Town, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.servers.discord.interactions import Interaction
from tests.servers.discord.model import walk_components
from tests.servers.discord_server import DiscordServer, Message, NotAllowed, Permission

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def rules(bot: Bot, here: Town) -> ChannelRules:
    return await bot.front_end.conversation.rules(Place("discord", str(here.channel.id)))


async def open_panel(discord: DiscordServer, here: Town) -> tuple[Interaction, Message]:
    """花子, who may manage channels, opens the panel."""
    here.guild.add_member(here.hanako, Permission.MANAGE_CHANNELS)
    used = await discord.slash("boke-settings", here.hanako, here.channel)
    return used, await used.answer()


async def switched(discord: DiscordServer, here: Town, panel: Message, button: str, then: str) -> None:
    """Press a button of the panel and wait until the panel has another one in its place."""
    await discord.click(panel, button, here.hanako)
    await discord.until(lambda: then in [b.label for b in panel.buttons], what=f"{then} in {panel.buttons}")


async def chosen(discord: DiscordServer, here: Town, panel: Message, menu: str, value: str, then: str) -> None:
    """Choose in a menu of the panel and wait until the panel says it."""
    await discord.choose(panel, menu, [value], here.hanako)
    await discord.until(lambda: then in panel.content, what=f"{then} in {panel.content}")


async def test_only_people_who_may_manage_channels_see_it(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord):
        with pytest.raises(NotAllowed):
            await discord.slash("boke-settings", here.taro, here.channel)
        with pytest.raises(NotAllowed):
            await discord.slash("boke-settings", here.hanako, discord.dm(here.hanako))
        used, panel = await open_panel(discord, here)
        assert used.ephemeral
        assert panel.content.split("\n")[0] == f"**<#{here.channel.id}> でのボケの設定**"


async def test_a_channel_is_enabled_and_disabled(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat={"cooldown_s": 0}) as bot:
        _, panel = await open_panel(discord, here)
        assert "このチャンネルで：ボケない" in panel.content
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        assert "このチャンネルで：ボケる" in panel.content
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await switched(discord, here, panel, "呼ばれたときだけにする", "投稿されたらボケる")
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        await switched(discord, here, panel, "投稿されたらボケる", "呼ばれたときだけにする")
        await switched(discord, here, panel, "ここではボケない", "ここでボケる")
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        assert len([m for m in discord.said(here.channel) if m.reply_to]) == 1


async def test_how_often_is_chosen_from_menus(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        _, panel = await open_panel(discord, here)
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        assert "どのくらいの割合で：すべての写真に" in panel.content
        assert "同じ人に次にボケるまで：5秒あける" in panel.content
        assert "静かにする時間：なし" in panel.content
        await chosen(discord, here, panel, "boke:choose:probability", "30", "どのくらいの割合で：写真の30%くらいに")
        await chosen(discord, here, panel, "boke:choose:cooldown", "60", "同じ人に次にボケるまで：1分あける")
        await chosen(discord, here, panel, "boke:choose:quiet", "23:00-07:00", "静かにする時間：23:00〜07:00")
        now = await rules(bot, here)
        assert (now.probability, now.cooldown_s, now.quiet_from, now.quiet_to) == (0.3, 60.0, "23:00", "07:00")
        defaults = [
            o["value"] for part in walk_components(panel.components) for o in part.get("options", []) if o["default"]
        ]
        assert defaults == ["30", "60", "23:00-07:00"]
        await chosen(discord, here, panel, "boke:choose:quiet", "-", "静かにする時間：なし")
        assert (await rules(bot, here)).quiet_from == ""


async def test_in_quiet_hours_nobody_is_answered_unasked(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat={"cooldown_s": 0}) as bot:
        _, panel = await open_panel(discord, here)
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        now = datetime.datetime.now(ZoneInfo("Asia/Tokyo"))
        start, end = (now + datetime.timedelta(hours=hours) for hours in (-1, 1))
        modal = await discord.choose(panel, "boke:choose:quiet", ["own:ja"], here.hanako)
        assert modal.modal
        assert modal.modal["title"] == "静かにする時間"
        fields = [part["custom_id"] for part in walk_components(modal.modal["components"]) if "custom_id" in part]
        await discord.submit(modal, dict(zip(fields, [f"{start:%H:%M}", f"{end.hour}時{end.minute}"], strict=True)))
        await discord.until(lambda: f"静かにする時間：{start:%H:%M}〜{end:%H:%M}" in panel.content)
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        upload = discord.upload("cat.jpg", cat)
        await joke_to(discord, await discord.post(here.channel, here.taro, discord.bot.mention, attachments=[upload]))


async def test_hours_that_make_no_sense_change_nothing(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        _, panel = await open_panel(discord, here)
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        modal = await discord.choose(panel, "boke:choose:quiet", ["own:ja"], here.hanako)
        assert modal.modal
        fields = [part["custom_id"] for part in walk_components(modal.modal["components"]) if "custom_id" in part]
        sent = await discord.submit(modal, dict(zip(fields, ["よる", "7:00"], strict=True)))
        assert (await sent.answer()).content == "時刻は「23:00」のように書いてください。設定は変えていません。"
        assert (await rules(bot, here)).quiet_to == ""


@pytest.mark.parametrize(
    ("typed", "time"),
    [
        ("23:00", "23:00"), ("7:05", "07:05"), ("２３：３０", "23:30"), ("23時", "23:00"), ("9時半", "09:30"), (" 6 ", "06:00"),
        ("24:00", "00:00"), ("", ""), ("25:00", None), ("7:60", None), ("よる", None), ("1:2:3", None),
    ],
)  # fmt: skip
async def test_times_are_read_as_people_write_them(typed: str, time: str | None) -> None:
    assert time_of(typed) == time


async def test_cards_and_language(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat={"cooldown_s": 0}):
        _, panel = await open_panel(discord, here)
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        await switched(discord, here, panel, "カードもつける", "カードはつけない")
        assert "写真つきのカード：つける" in panel.content
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert [a.filename for a in answer.attachments] == ["card.png"]
        await switched(discord, here, panel, "English", "日本語にする")
        assert panel.content.split("\n")[1] == "In this channel: Answer pictures"
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.buttons[0].label == "Again"
        call = await discord.post(here.channel, here.taro, discord.bot.mention)
        told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is call)
        assert told.content.startswith("Mention me with a picture, or in a reply to one.")
        await switched(discord, here, panel, "日本語にする", "English")


async def test_a_panel_works_after_a_restart_and_only_for_people_who_may(
    discord: DiscordServer, start_bot: StartBot
) -> None:
    here = town(discord)
    async with start_bot(discord):
        _, panel = await open_panel(discord, here)
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
    async with start_bot(discord) as bot:
        await chosen(discord, here, panel, "boke:choose:probability", "50", "写真の50%くらいに")
        here.guild.members[here.hanako.id].roles.clear()
        pressed = await discord.click(panel, "ここではボケない", here.hanako)
        assert (await pressed.answer()).content == "これができるのは、チャンネルを管理できる方だけです。"
        assert (await rules(bot, here)).enabled


async def test_a_thread_s_panel_is_its_channel_s(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat={"cooldown_s": 0}) as bot:
        thread = here.channel.add_thread("猫だけ", here.taro)
        here.guild.add_member(here.hanako, Permission.MANAGE_CHANNELS)
        panel = await (await discord.slash("boke-settings", here.hanako, thread)).answer()
        assert f"<#{here.channel.id}>" in panel.content
        await switched(discord, here, panel, "ここでボケる", "ここではボケない")
        assert (await rules(bot, here)).enabled

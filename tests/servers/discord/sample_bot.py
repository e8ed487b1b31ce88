"""A small bot on the real discord.py, to show that the local Discord serves it as Discord would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import discord
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from PIL import Image

from tests.servers.discord_server import Channel, DiscordServer


def png(size: tuple[int, int] = (8, 6)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, "orange").save(out, "PNG")
    return out.getvalue()


CAT = png()


class Buttons(discord.ui.View):
    """Lives on after a restart: no timeout, fixed custom ids."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="もう一回", custom_id="again")
    async def again(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Any]) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.followup.send("もう一つ", ephemeral=True)
        await interaction.followup.send("おまけ", ephemeral=True)

    @discord.ui.button(emoji="👍", custom_id="up")
    async def up(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Any]) -> None:
        await interaction.response.edit_message(content="👍 1")

    @discord.ui.button(label="こっそり", custom_id="secret")
    async def secret(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Any]) -> None:
        await interaction.response.send_message("ひみつ", ephemeral=True)

    @discord.ui.button(label="ねる", custom_id="sleep")
    async def sleep(self, interaction: discord.Interaction[Any], button: discord.ui.Button[Any]) -> None:
        await asyncio.Event().wait()


class SampleBot(commands.AutoShardedBot):
    """Answers pictures with their size, and notes what it saw."""

    running: asyncio.Task[None]

    def __init__(self, intents: discord.Intents, **options: Any) -> None:
        super().__init__("!", intents=intents, guild_ready_timeout=0.01, **options)
        self.messages: list[discord.Message] = []
        self.events: list[str] = []
        self.reactions: list[discord.RawReactionActionEvent] = []
        self.tree.command(name="boke", description="ボケる")(boke)
        self.tree.command(name="settings", description="設定")(settings)
        self.tree.add_command(app_commands.ContextMenu(name="これでボケて", callback=menu))

    async def setup_hook(self) -> None:
        self.add_view(Buttons())
        await self.tree.sync()
        # the address that discord.py falls back to when a session is lost
        _, url, _ = await self.http.get_bot_gateway()
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """One identify in five seconds is Discord's rule, not this server's."""

    def place(self, channel: Channel) -> discord.TextChannel:
        """A text channel as discord.py knows it."""
        found = self.get_channel(channel.id)
        assert isinstance(found, discord.TextChannel)
        return found

    async def on_message(self, message: discord.Message) -> None:
        if message.author.id == self.application_id:
            return  # its own words come back to it as events, as everybody's do
        self.messages.append(message)
        for attachment in message.attachments:
            async with message.channel.typing():
                data = await attachment.read()
            await message.reply(
                f"{len(data)} {attachment.width}x{attachment.height}",
                file=discord.File(BytesIO(data), "card.png", spoiler=attachment.is_spoiler()),
                view=Buttons(),
                mention_author=False,
            )

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        self.events.append(f"deleted {event.message_id}")

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        self.events.append(f"edited {event.message_id} {event.message.content}")

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.events.append(f"joined {guild.name}")
        assert guild.system_channel
        await guild.system_channel.send("はじめまして")

    async def on_shard_resumed(self, shard_id: int) -> None:
        self.events.append(f"resumed {shard_id}")

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        self.reactions.append(event)


@app_commands.describe(picture="絵", link="リンク", private="自分だけに")
async def boke(
    interaction: discord.Interaction[Any],
    picture: discord.Attachment | None = None,
    link: str | None = None,
    private: bool = False,
) -> None:
    await interaction.response.defer(thinking=True, ephemeral=private)
    text = f"{len(await picture.read())} bytes" if picture else (link or "なにもない")
    await interaction.edit_original_response(content=text, attachments=[discord.File(BytesIO(CAT), "card.png")])


@app_commands.default_permissions(manage_channels=True)
@app_commands.guild_only()
async def settings(interaction: discord.Interaction[Any]) -> None:
    await interaction.response.send_message(f"設定 {interaction.locale.value}", ephemeral=True)


async def menu(interaction: discord.Interaction[Any], message: discord.Message) -> None:
    await interaction.response.send_message(f"{message.content} {len(message.attachments)}")


def bot_intents(**wanted: bool) -> discord.Intents:
    intents = discord.Intents.default()
    intents.message_content = True
    for name, value in wanted.items():
        setattr(intents, name, value)
    return intents


@asynccontextmanager
async def connected(
    server: DiscordServer, intents: discord.Intents | None = None, **options: Any
) -> AsyncIterator[SampleBot]:
    """A bot that is logged in to this server and has read all there was; discord.py points at Discord afterwards.

    Raises what the bot's start raises.
    """
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = server.api_base
    try:
        async with SampleBot(intents or bot_intents(), **options) as bot:
            bot.running = running = asyncio.create_task(bot.start(server.token))
            ready = asyncio.create_task(server.ready())
            await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                ready.cancel()
                await running
            await ready
            try:
                yield bot
            except BaseException:
                await bot.close()
                await asyncio.gather(running, return_exceptions=True)
                raise
            await bot.close()
            await running
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway

"""The connection to Discord: which events are taken, who handles them, and what the bot is allowed to see."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket

from bot.boke import Place
from bot.chat.discord.buttons import AnswerButton, EnableButton, greeting_view
from bot.chat.discord.commands import add_commands
from bot.chat.discord.identifying import Turns
from bot.chat.discord.locate import PLATFORM, Locator, own_permissions
from bot.chat.discord.pictures import PictureFinder
from bot.chat.discord.posts import Posts
from bot.chat.discord.settings import Menu, Switch
from bot.chat.discord.words import CommandTranslator, say
from bot.conversation import ChannelRules, Conversation, Post
from bot.fetch import Fetcher
from bot.work import Work

if TYPE_CHECKING:
    from bot.app import App

log = logging.getLogger(__name__)

# The bot does not speak aloud; a warning that it could not would only puzzle its owner.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

# What the bot needs in a channel, for the link that invites it.
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    attach_files=True,
    read_message_history=True,
)
GREET_WITHIN = timedelta(days=6)  # an invitation that is older was greeted, or its greeting would puzzle


class BokeClient(commands.AutoShardedBot):
    """One login. Where the intents turn out to be refused, another one takes its place (see front_end.py)."""

    def __init__(
        self,
        app: App,
        conversation: Conversation,
        fetcher: Fetcher,
        *,
        message_content: bool,
        identify_pause_s: float = 5.5,
        **options: Any,
    ) -> None:
        """message_content: ask for the privileged intent. identify_pause_s: between two shards; Discord wants 5 seconds."""
        intents = discord.Intents(
            guilds=True,
            guild_messages=True,
            dm_messages=True,
            guild_reactions=True,
            dm_reactions=True,
            message_content=message_content,
        )
        super().__init__(
            commands.when_mentioned,
            intents=intents,
            help_command=None,
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            **options,
        )
        self.app, self.service, self.config = app, app.service, app.config
        self.conversation = conversation
        self.sees_posts = message_content
        self.finder = PictureFinder(fetcher, links=self.config.chat.answer_links)
        self.locator, self.posts, self.work = Locator(self), Posts(self), Work()
        self.drawing: set[int] = set()  # messages for which a card is being drawn
        self._turns = Turns(app.service, identify_pause_s)
        self._mentions: dict[str, str] = {}
        self._syncing: asyncio.Task[None] | None = None

    @property
    def own_id(self) -> int:
        return self.user.id if self.user else 0

    def sees(self, message: discord.Message) -> bool:
        """Does Discord show this message's content to the bot?"""
        own = message.author.id == self.own_id or self.user in message.mentions
        return self.sees_posts or message.guild is None or own

    def may_speak(self, channel: discord.abc.Messageable) -> bool:
        """Where it may not, thinking is a waste."""
        granted = own_permissions(channel)
        if granted is None:
            return True
        return granted.send_messages_in_threads if isinstance(channel, discord.Thread) else granted.send_messages

    def slash(self, name: str) -> str:
        """A slash command as people can press it."""
        return self._mentions.get(name, f"`/{name}`")

    def hello(self, rules: ChannelRules) -> str:
        """What to say in a channel that is enabled now."""
        names = {name: self.slash(f"boke-{name}") for name in ("settings", "optout")} | {"boke": self.slash("boke")}
        unasked = rules.automatic and self.sees_posts
        said = say("hello" if unasked else "hello_when_asked", rules.language, **names)
        return said if unasked or not rules.automatic else f"{said}\n{say('not_watching', rules.language)}"

    async def setup_hook(self) -> None:
        self.add_dynamic_items(AnswerButton, EnableButton, Switch, Menu)
        add_commands(self.tree)
        await self.tree.set_translator(CommandTranslator())
        # After a lost session discord.py goes to an address of its own, whatever the API said.
        _, address, limit = await self.http.get_bot_gateway()
        self._turns.groups = max(1, limit["max_concurrency"])
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)
        self.app.announcements.register(PLATFORM, self._announce)
        self._syncing = asyncio.create_task(self._sync())

    async def close(self) -> None:
        if self._syncing is not None:
            self._syncing.cancel()
        await super().close()

    async def _sync(self) -> None:
        """Register the commands; without them the rest still works."""
        place = self.config.discord.command_guild
        guild = discord.Object(int(place)) if place else None
        if guild is not None:
            self.tree.copy_global_to(guild=guild)
        try:
            registered = await self.tree.sync(guild=guild)
        except (discord.HTTPException, OSError, TimeoutError) as error:
            log.error(
                "Discord did not take the commands (%s); invite the bot with the scope applications.commands", error
            )
            return
        self._mentions = {c.name: c.mention for c in registered if c.type is discord.AppCommandType.chat_input}

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        await self._turns.wait(self.application_id, shard_id or 0, first=initial)

    # events

    async def on_ready(self) -> None:
        log.info("Discord: connected as %s, in %d servers", self.user, len(self.guilds))
        if not self.guilds and self.application_id:
            link = discord.utils.oauth_url(
                self.application_id, permissions=PERMISSIONS, scopes=("bot", "applications.commands")
            )
            log.info("Discord: invite the bot to a server with %s", link)

    async def _announce(self, channel_id: str, text: str) -> None:
        await self.get_partial_messageable(int(channel_id)).send(text, suppress_embeds=True)

    async def on_message(self, message: discord.Message, /) -> None:
        with self.work:
            await self.posts.posted(message)

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        with self.work:
            await self.posts.edited(event)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        with self.work:
            await self.posts.deleted([event.message_id], event.channel_id)

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        with self.work:
            await self.posts.deleted(event.message_ids, event.channel_id)

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        with self.work:
            await self.posts.reacted(event, taken_back=False)

    async def on_raw_reaction_remove(self, event: discord.RawReactionActionEvent) -> None:
        with self.work:
            await self.posts.reacted(event, taken_back=True)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await self._greet(guild)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Also after a start: somebody may have invited the bot while it was away."""
        await self._greet(guild)

    async def _greet(self, guild: discord.Guild) -> None:
        me: discord.Member | None = guild.me
        joined = me.joined_at if me else None
        if joined is None or discord.utils.utcnow() - joined > GREET_WITHIN:
            return
        channel = next((c for c in (guild.system_channel, *guild.text_channels) if c and self.may_speak(c)), None)
        if channel is None:
            return
        with self.work:
            place = Place(PLATFORM, str(channel.id), guild_id=str(guild.id))
            invitation = Post(Place(PLATFORM, str(guild.id)), (), f"invited {joined.isoformat()}")
            if not await self.conversation.claim(invitation):
                return
            rules = await self.conversation.rules(place)
            try:
                if rules.enabled:
                    await channel.send(self.hello(rules))
                else:
                    text = say("greeting", rules.language, boke=self.slash("boke"))
                    await channel.send(text, view=greeting_view(rules.language))
            except Exception:
                await self.conversation.unclaim(invitation)
                raise

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, discord.HTTPException | OSError | TimeoutError):
            if getattr(error, "status", None) != 401 and not self.is_closed():
                log.error("Discord: %s: %s", event_method, error)
        elif self.app.leaving:  # what it needed is closed already; nobody can do anything about it
            log.debug("Discord: %s while leaving: %s", event_method, error)
        else:
            log.error("Discord: %s failed", event_method, exc_info=error)

"""A Discord on loopback for tests: the real discord.py connects to it, and a test talks to the bot as people would.

    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        guild = server.add_guild("ねこ部", members=[taro])
        channel = guild.add_channel("しゃしん")
        ...                                            # start the bot with discord.api_base = server.api_base
        await server.ready()
        picture = await server.post(channel, taro, attachments=[server.upload("cat.png", data)])
        answer = await server.wait_for_message(channel, lambda message: message.reply_to is picture)
        clicked = await server.click(answer, "👍", taro)

Waiting is by events; what does not come within the timeout is an AssertionError that says what came instead.
"""

from __future__ import annotations

from tests.servers.discord import cdn
from tests.servers.discord.faults import Limit
from tests.servers.discord.interactions import Interaction, NotAllowed
from tests.servers.discord.mishaps import Mishaps
from tests.servers.discord.model import Attachment, Button, Channel, Guild, Member, Message, Upload, User
from tests.servers.discord.people import STICKER, InteractionFailed, People
from tests.servers.discord.protocol import ApiError, Intent, Permission

__all__ = [
    "STICKER",
    "ApiError",
    "Attachment",
    "Button",
    "Channel",
    "DiscordServer",
    "Guild",
    "Intent",
    "Interaction",
    "InteractionFailed",
    "Limit",
    "Member",
    "Message",
    "NotAllowed",
    "Permission",
    "Upload",
    "User",
    "cdn",
]


class DiscordServer(People, Mishaps):
    """The server with its whole driver; the arguments are those of `discord.core.Core`."""

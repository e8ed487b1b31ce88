"""Discord: pictures in enabled channels, mentions, direct messages, commands and buttons, over the one core."""

from bot.chat.discord.front_end import DiscordFrontEnd

__all__ = ["DiscordFrontEnd"]

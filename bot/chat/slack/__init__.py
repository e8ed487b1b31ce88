"""Slack: the front end for slack-bolt."""

from bot.chat.slack.front_end import SlackFrontEnd

__all__ = ["SlackFrontEnd"]

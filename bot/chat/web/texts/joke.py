"""Words of the page of one joke, at its permanent address."""

from __future__ import annotations

from bot.chat.web.texts import play

_OF_THE_CHANNEL = (
    "bot",
    "source",
    "up",
    "down",
    "voted_up",
    "voted_down",
    "vote_taken_back",
    "link",
    "link_copied",
    "take_back",
    "taken_back",
    "card",
    "card_title",
    "card_alt",
    "card_drawing",
    "save",
    "share",
    "close",
)

TEXTS: dict[str, tuple[str, str]] = {
    **{name: play.TEXTS[name] for name in _OF_THE_CHANNEL},
    "title": ("「{text}」 · bokebot", "“{text}” · bokebot"),
    "description": ("bokebotが写真を見て、ひとことボケました。", "bokebot looked at a picture and said this."),
    "photo": ("ボケの元になった写真", "The picture the joke is about"),
    "no_photo": ("写真は、送った人だけのものです。", "The picture belongs to whoever sent it."),
    "yours": ("自分の写真でもボケてもらう", "Try it with your own picture"),
}

FOR_SCRIPTS = (
    "voted_up",
    "voted_down",
    "vote_taken_back",
    "link_copied",
    "taken_back",
    "card_alt",
    "card_drawing",
)

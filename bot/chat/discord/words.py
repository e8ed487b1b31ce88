"""What the bot says on Discord alone, and the names of its commands for Japanese clients."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.messages import Language

MENU = {"ja": "これでボケて", "en": "Boke this"}

TEXTS: dict[str, dict[Language, str]] = {
    "greeting": {
        "ja": "はじめまして、写真に一言ボケるボットです。{boke} ならどこでも使えます。"
        "このチャンネルに投稿された写真にもボケてよければ、チャンネルを管理できる方がボタンを押してください。",
        "en": "Hello, I answer pictures with a one-line joke in Japanese. {boke} works everywhere. "
        "If I may also answer the pictures posted here, somebody who manages this channel presses the button.",
    },
    "enable_here": {"ja": "このチャンネルでボケる", "en": "Answer pictures here"},
    "only_managers": {
        "ja": "これができるのは、チャンネルを管理できる方だけです。",
        "en": "Only people who may manage channels can do this.",
    },
    "mention_with_picture": {
        "ja": "写真をつけて呼ぶか、写真への返信で呼んでください。{boke} だけなら直前の写真にボケます。",
        "en": "Mention me with a picture, or in a reply to one. {boke} alone takes the last picture here.",
    },
    "cannot_see": {
        "ja": "写真が私からは見えません。写真を長押し（右クリック）して「アプリ」→「{menu}」ならボケられます。",
        "en": "I can't see the picture. Press it long (or right-click), then Apps → “{menu}”: that way I can.",
    },
    "not_watching": {
        "ja": "⚠️ いまの私には投稿の中身を見る許可がないので、呼ばれたときだけボケます"
        "（Discord Developer Portal の「Message Content Intent」をオンにすると、投稿された写真にもボケられます）。",
        "en": "⚠️ I may not see what people post, so I answer only when asked "
        "(switch on “Message Content Intent” in Discord's developer portal, and I answer posted pictures too).",
    },
    "subject": {"ja": "お題", "en": "The picture"},
    "no_votes": {
        "ja": "いまは投票を受け付けられませんでした。少ししてからもう一度押してください。",
        "en": "Your vote could not be counted just now. Please press again in a moment.",
    },
    # the panel of /boke-settings
    "panel_title": {"ja": "{channel} でのボケの設定", "en": "Boke settings of {channel}"},
    "panel_line": {"ja": "{name}：{value}", "en": "{name}: {value}"},
    "do_enable": {"ja": "ここでボケる", "en": "Answer here"},
    "do_disable": {"ja": "ここではボケない", "en": "Stay silent here"},
    "do_automatic": {"ja": "投稿されたらボケる", "en": "Answer all posts"},
    "do_on_request": {"ja": "呼ばれたときだけにする", "en": "Only when asked"},
    "do_card": {"ja": "カードもつける", "en": "Send cards too"},
    "do_no_card": {"ja": "カードはつけない", "en": "Send no cards"},
    "do_other_language": {"ja": "English", "en": "日本語にする"},
    "language_name": {"ja": "日本語", "en": "English"},
    "card_name": {"ja": "写真つきのカード", "en": "Card with the picture"},
    "card_along": {"ja": "つける", "en": "Sent along"},
    "card_not": {"ja": "つけない", "en": "Not sent"},
    "quiet_name": {"ja": "静かにする時間", "en": "Quiet hours"},
    "quiet_between": {"ja": "{start}〜{end}", "en": "{start} to {end}"},
    "quiet_own": {"ja": "時刻を決める…", "en": "Other hours…"},
    "quiet_title": {"ja": "静かにする時間", "en": "Quiet hours"},
    "quiet_start": {"ja": "何時から（例：23:00）", "en": "From (e.g. 23:00)"},
    "quiet_end": {"ja": "何時まで（例：7:00）", "en": "Until (e.g. 7:00)"},
    "not_a_time": {
        "ja": "時刻は「23:00」のように書いてください。設定は変えていません。",
        "en": "Please write times like “23:00”. Nothing was changed.",
    },
}


def say(key: str, language: Language = "ja", **values: object) -> str:
    """The text for a key, of Discord's own or of all chats. Raises KeyError for a key that there is not."""
    if key in TEXTS:
        return TEXTS[key][language].format(**values)
    return messages.say(key, language, **values)


_JAPANESE = {
    # descriptions of commands
    "A one-line joke about a picture": "写真に一言ボケます",
    "How the bot behaves in this channel": "このチャンネルでのボケ方を決めます",
    "Today's best jokes of this channel": "このチャンネルの今日のベストを見ます",
    "Erase what the bot has stored about you": "あなたについて覚えていることを消します",
    "Keep the bot away from your pictures": "あなたの写真にボケないようにします",
    # options
    "picture": "写真",
    "The picture; without one, the last picture in this channel": "ボケてほしい写真。なければこのチャンネルの直前の写真",
    "link": "リンク",
    "A link to a picture": "写真へのリンク",
    "mode": "モード",
    "How the joke is found": "ボケの作り方",
    "private": "自分だけ",
    "Only you see the answer": "答えはあなただけに見えます",
    "undo": "取り消す",
    "Come back: your pictures get jokes again": "またボケてもらいます",
}


class CommandTranslator(app_commands.Translator):
    """Names and descriptions as Japanese clients show them; the menu's entry is Japanese at home, English abroad."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        if string.message == MENU["ja"]:
            return MENU["en"] if locale in (discord.Locale.american_english, discord.Locale.british_english) else None
        return _JAPANESE.get(string.message) if locale is discord.Locale.japanese else None

"""What the bot says besides jokes, in Japanese and English: short, friendly, never a traceback."""

from __future__ import annotations

from typing import Literal

from bot.chat_messages import CHAT_TEXTS

Language = Literal["ja", "en"]

TEXTS: dict[str, dict[Language, str]] = {
    "no_picture": {
        "ja": "写真が見つかりませんでした。画像を一枚つけてください。",
        "en": "I can't find a picture. Please attach one.",
    },
    "not_a_picture": {
        "ja": "これは読めない形式でした。JPEG・PNG・GIF・WebP・HEIC・AVIFの写真をください。",
        "en": "I can't read this format. JPEG, PNG, GIF, WebP, HEIC or AVIF, please.",
    },
    "corrupt": {
        "ja": "写真が途中で途切れているようです。もう一度送ってみてください。",
        "en": "The picture seems to be cut short. Please send it again.",
    },
    "too_large": {
        "ja": "ファイルが大きすぎました。{limit}までの写真をください。",
        "en": "That file is too large. Up to {limit}, please.",
    },
    "too_many_pixels": {
        "ja": "写真が大きすぎて開けませんでした。小さくして送ってください。",
        "en": "The picture has too many pixels for me. A smaller one, please.",
    },
    "slow_down": {
        "ja": "ネタが追いつきません。{seconds}秒ほど待ってください。",
        "en": "You are faster than my jokes. Please wait {seconds} s.",
    },
    "busy": {
        "ja": "ただいま混み合っています。少ししてからもう一度どうぞ。",
        "en": "It is crowded right now. Please try again in a moment.",
    },
    "lost": {
        "ja": "すみません、この写真では笑いの神が降りてきませんでした。",
        "en": "Sorry, this picture was too much for me.",
    },
    "down": {
        "ja": "いま準備中です。少ししてからもう一度どうぞ。",
        "en": "I am not ready yet. Please try again in a moment.",
    },
    "speechless": {
        "ja": "この写真で言えることは、もう全部言いました。",
        "en": "I have said all I can say about this picture.",
    },
    "not_allowed": {
        "ja": "そのリンクは開けません。写真を直接つけてください。",
        "en": "I may not open that link. Please attach the picture itself.",
    },
    "not_fetched": {
        "ja": "写真を取りに行けませんでした。もう一度送ってみてください。",
        "en": "I couldn't fetch the picture. Please send it again.",
    },
    "left_alone": {
        "ja": "この方の写真には触れない約束になっています。",
        "en": "Whoever posted this has asked me to leave their pictures alone.",
    },
    "unknown_answer": {
        "ja": "そのボケは見つかりませんでした。",
        "en": "I can't find that joke.",
    },
    "unknown_mode": {
        "ja": "そのモードはありません。使えるのは {modes} です。",
        "en": "There is no such mode. There are {modes}.",
    },
    "bad_request": {
        "ja": "リクエストを読み取れませんでした（{what}）。",
        "en": "I can't read that request ({what}).",
    },
    "not_found": {
        "ja": "ここには何もありません。",
        "en": "There is nothing here.",
    },
    "method_not_allowed": {
        "ja": "その操作はここではできません。",
        "en": "That can't be done here.",
    },
    "wrong_origin": {
        "ja": "ほかのサイトからの操作は受け付けていません。",
        "en": "Requests from other sites' pages are not accepted.",
    },
    "token_needed": {
        "ja": "管理者のトークンが必要です。",
        "en": "This needs the administrator's token.",
    },
    "token_unset": {
        "ja": "BOKE_ADMIN_TOKENが設定されていないので、この操作はできません。",
        "en": "BOKE_ADMIN_TOKEN is not set, so this can't be done.",
    },
    "model_rejected": {
        "ja": "新しいモデルを読み込めませんでした。いまのモデルのまま続けます。",
        "en": "The new model could not be loaded. The old one goes on.",
    },
    "already_running": {
        "ja": "いま学習中です。終わってからもう一度どうぞ。",
        "en": "A training run is going on. Please try again when it has ended.",
    },
    "unknown_model": {
        "ja": "その名前のモデルは見つかりませんでした。",
        "en": "There is no model of that name.",
    },
    "model_pinned": {
        "ja": "設定の model.path で使うモデルが決まっているため、ここでは切り替えられません。",
        "en": "model.path in the configuration says which model answers, so it can't be changed here.",
    },
    "nothing_older": {
        "ja": "これより前のモデルはありません。いまは付属のモデルで答えています。",
        "en": "There is no model before this one: the one that ships is answering.",
    },
    "not_published": {
        "ja": "モデルを切り替えられませんでした。いまのモデルのまま続けます。",
        "en": "The model could not be changed. The one that answered goes on.",
    },
    "card_gone": {
        "ja": "写真はもう手元にありません。カードを作れるのは投稿から1時間ほどです。",
        "en": "I no longer have the picture. Cards can be made for about an hour.",
    },
    "not_yours": {
        "ja": "取り下げられるのは、投稿した人だけです。",
        "en": "Only whoever posted it can take it back.",
    },
    "picture_gone": {
        "ja": "写真はもう手元にありません。もう一度送ってください。",
        "en": "I no longer have the picture. Please send it again.",
    },
    "too_slow": {
        "ja": "写真が届くまでに時間がかかりすぎました。もう一度どうぞ。",
        "en": "The picture took too long to arrive. Please try again.",
    },
    "bug": {
        "ja": "すみません、こちらの不具合です。もう一度どうぞ。",
        "en": "Sorry, something broke on my side. Please try again.",
    },
    **CHAT_TEXTS,
}


def say(key: str, language: Language = "ja", **values: object) -> str:
    """The text for a key, with its values filled in. Raises KeyError for a key that there is not."""
    return TEXTS[key][language].format(**values)

"""Words that every view has."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    "title": ("bokebot", "bokebot"),
    "description": (
        "写真を一枚渡すと、ひとことボケて返すボットです。",
        "A bot that answers a picture with a one-line Japanese joke.",
    ),
    "skip": ("本文へ移動", "Skip to content"),
    "views": ("ページ", "Pages"),
    "noscript": ("このページにはJavaScriptが必要です。", "This page needs JavaScript."),
    "other_language": ("English", "日本語"),
    "dark": ("ダークモード", "Dark mode"),
    "home": ("はじめに戻る", "Back to the start"),
    "numbers": ("数字で見る", "The numbers"),
    "error": ("エラー：{text}", "Error: {text}"),
    "offline": (
        "サーバーに届きませんでした。つながりを確かめて、もう一度どうぞ。",
        "I couldn’t reach the server. Please check the connection and try again.",
    ),
}

FOR_SCRIPTS = ("error", "offline")

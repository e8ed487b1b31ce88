"""What the bot says in chats besides jokes and refusals: greetings, settings, today's best, in Japanese and English.

Values in braces: `settings`, `optout`, `boke` are commands as one types them there; `shortcut` is the entry of a message's menu.
"""

from __future__ import annotations

from typing import Literal

CHAT_TEXTS: dict[str, dict[Literal["ja", "en"], str]] = {
    # meeting people
    "hello": {
        "ja": "こんにちは！ここに写真を投稿すると、一言ボケます。"
        "設定は {settings}、自分の写真に触れてほしくないときは {optout} でどうぞ。",
        "en": "Hello! Post a picture here and I answer with a one-line joke. "
        "{settings} changes how; {optout} keeps me away from your pictures.",
    },
    "hello_when_asked": {
        "ja": "こんにちは！写真と一緒に私を呼ぶか {boke} と打つと、一言ボケます。"
        "設定は {settings}、自分の写真に触れてほしくないときは {optout} でどうぞ。",
        "en": "Hello! Mention me with a picture, or type {boke}, and I answer with a one-line joke. "
        "{settings} changes how; {optout} keeps me away from your pictures.",
    },
    "help": {
        "ja": "写真と一緒に私を呼んでください。{boke} だけなら直前の写真に、リンクをつければその写真にボケます。"
        "メッセージのメニューの「{shortcut}」でもどうぞ。",
        "en": "Mention me with a picture. {boke} alone takes the last picture here, with a link the picture behind it. "
        "There is also “{shortcut}” in every message's menu.",
    },
    "help_direct": {
        "ja": "写真を送ってください。一言ボケます。",
        "en": "Send me a picture and I answer with a one-line joke.",
    },
    "help_modes": {
        "ja": "{boke} のあとに言葉を足すと、ボケ方が変わります：{modes}",
        "en": "A word after {boke} changes how the joke is found: {modes}",
    },
    # ways of answering, as people choose among them
    "mode_boke": {"ja": "いつものボケ", "en": "the usual"},
    "mode_mismatch": {"ja": "よその写真のボケ", "en": "a joke meant for another picture"},
    "mode_retrieve": {"ja": "似た写真の名作ボケ", "en": "people's best joke about a picture like it"},
    "mode_article": {"ja": "元になった記事のやり方", "en": "as in the article this began with"},
    "not_understood": {
        "ja": "「{word}」の意味がわかりませんでした。使い方は {boke} help をどうぞ。",
        "en": "I don't know what “{word}” means. {boke} help tells what I understand.",
    },
    "not_here": {
        "ja": "このチャンネルにはまだ入っていません。{invite} で呼んでください。",
        "en": "I am not in this channel yet. {invite} brings me in.",
    },
    "no_recent_picture": {
        "ja": "最近の写真が見つかりませんでした。写真を投稿してから {boke} をどうぞ。",
        "en": "I can't find a recent picture here. Post one, then type {boke}.",
    },
    # pictures and buttons
    "no_access": {
        "ja": "写真を開く許可がありませんでした。管理者の方に、アプリの権限（{scope}）を確かめてもらってください。",
        "en": "I am not allowed to open this picture. Please have an administrator check my permission ({scope}).",
    },
    "picture_gone": {
        "ja": "元の写真が、もう見つかりませんでした。",
        "en": "The picture is no longer there.",
    },
    "source": {"ja": "出典：{url}", "en": "Source: {url}"},
    "nth_picture": {"ja": "{number}枚目の写真", "en": "Picture {number}"},
    "again": {"ja": "もう一回", "en": "Again"},
    "card": {"ja": "カード", "en": "Card"},
    "up_hint": {"ja": "おもしろい", "en": "Funny"},
    "down_hint": {"ja": "いまひとつ", "en": "Not funny"},
    "only_poster": {
        "ja": "「もう一回」を押せるのは、写真を投稿した人だけです。",
        "en": "Only whoever posted the picture can ask for another joke.",
    },
    "no_card": {
        "ja": "カードを作れませんでした。少ししてからもう一度どうぞ。",
        "en": "The card could not be made. Please try again in a moment.",
    },
    "try_later": {
        "ja": "いま記録を読み書きできません。少ししてからもう一度どうぞ。",
        "en": "I can't read or write my notes right now. Please try again in a moment.",
    },
    # people's own data
    "forgotten": {
        "ja": "忘れました。あなたの写真へのボケ{answers}件と、あなたの投票{votes}件を消しました。",
        "en": "Forgotten: {answers} jokes about your pictures and {votes} votes of yours are erased.",
    },
    "nothing_to_forget": {
        "ja": "あなたについて覚えていることは、何もありませんでした。",
        "en": "There was nothing about you to forget.",
    },
    "opted_out": {
        "ja": "わかりました。これからは、あなたの写真に触れません。気が変わったら {optin} でどうぞ。",
        "en": "All right, I will leave your pictures alone. {optin} brings me back.",
    },
    "opted_in": {
        "ja": "おかえりなさい。また、あなたの写真にもボケますね。",
        "en": "Welcome back. Your pictures get jokes again.",
    },
    # today's best
    "best_title": {"ja": "今日のベスト", "en": "Today's best"},
    "best_none": {
        "ja": "今日はまだ、票の入ったボケがありません。気に入ったら👍をどうぞ。",
        "en": "No joke has votes yet today. Press 👍 under the ones you like.",
    },
    "go_there": {"ja": "見に行く", "en": "Have a look"},
    # settings of a channel
    "settings_title": {"ja": "ボケの設定", "en": "Boke settings"},
    "settings_save": {"ja": "保存", "en": "Save"},
    "settings_cancel": {"ja": "やめる", "en": "Cancel"},
    "settings_saved": {"ja": "設定を保存しました。{summary}", "en": "Settings saved. {summary}"},
    "settings_enabled": {"ja": "このチャンネルで", "en": "In this channel"},
    "enabled_yes": {"ja": "ボケる", "en": "Answer pictures"},
    "enabled_no": {"ja": "ボケない", "en": "Stay silent"},
    "settings_automatic": {"ja": "いつボケるか", "en": "When to answer"},
    "automatic_yes": {"ja": "写真が投稿されたら", "en": "Whenever a picture is posted"},
    "automatic_no": {"ja": "呼ばれたときだけ", "en": "Only when asked"},
    "settings_probability": {"ja": "どのくらいの割合で", "en": "How often"},
    "probability_all": {"ja": "すべての写真に", "en": "Every picture"},
    "probability_some": {"ja": "写真の{percent}%くらいに", "en": "About {percent}% of the pictures"},
    "settings_cooldown": {"ja": "同じ人に次にボケるまで", "en": "Before the same person's next one"},
    "cooldown_none": {"ja": "すぐにでも", "en": "No wait"},
    "cooldown_seconds": {"ja": "{n}秒あける", "en": "Wait {n} s"},
    "cooldown_minutes": {"ja": "{n}分あける", "en": "Wait {n} min"},
    "settings_quiet_from": {"ja": "静かにする時間（ここから）", "en": "Quiet hours from"},
    "settings_quiet_to": {"ja": "静かにする時間（ここまで）", "en": "Quiet hours until"},
    "quiet_none": {"ja": "なし", "en": "None"},
    "quiet_both": {
        "ja": "始まりと終わりを両方選ぶか、両方「なし」にしてください。",
        "en": "Choose both a start and an end, or none for both.",
    },
    "settings_card": {"ja": "ボケのほかに", "en": "Along with the joke"},
    "card_yes": {"ja": "写真つきのカードも送る", "en": "Send a card with the picture"},
    "card_no": {"ja": "文字だけにする", "en": "Text only"},
    "settings_language": {"ja": "ことば", "en": "Language"},
    "settings_when_asked": {
        "ja": "呼ばれたとき（メンション、{boke}、「{shortcut}」）は、設定にかかわらずボケます。",
        "en": "When asked (a mention, {boke}, “{shortcut}”) I answer whatever is set here.",
    },
    "summary_on": {"ja": "ここでは、{automatic}ボケます。", "en": "Here I answer: {automatic}."},
    "summary_off": {"ja": "ここでは、呼ばれたときだけボケます。", "en": "Here I answer only when asked."},
}

"""Words of the channel, where pictures go in and jokes come out."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    "tab": ("遊ぶ", "Play"),
    "title": ("bokebot：写真を渡すとボケます", "bokebot: hand it a picture, get a joke"),
    # empty channel
    "headline": ("写真を渡すと、ひとことボケます。", "Hand me a picture and I’ll crack a joke."),
    "how": (
        "ここにドロップするか、貼り付けるか、選んでください。",
        "Drop it here, paste it, or pick one. The jokes are in Japanese.",
    ),
    "how_by_touch": (
        "アルバムから選ぶか、いま撮ってください。",
        "Pick one from your album, or take one now. The jokes are in Japanese.",
    ),
    "demo_joke": ("本日の営業は終了しました。", "本日の営業は終了しました。"),
    "demo_alt": (
        "見本：丸くなって眠る猫の絵に「本日の営業は終了しました。」というボケ",
        "Example: a drawing of a sleeping cat with the joke “We are closed for today.” in Japanese",
    ),
    "privacy": (
        "写真は保存しません。カードを作れるように、1時間だけ覚えています。",
        "Pictures are never stored. I remember yours for an hour, so that you can make a card.",
    ),
    "privacy_with_feed": (
        "のせると選ばないかぎり、写真は保存しません。カードを作れるように、1時間だけ覚えています。",
        "Pictures are not stored unless you choose to show them. I remember yours for an hour, so that you can make a card.",
    ),
    # posting
    "choose": ("写真を選ぶ", "Choose a picture"),
    "camera": ("カメラで撮る", "Take a photo"),
    "next": ("次の写真もどうぞ", "Got another one?"),
    "next_how": ("ドロップでも貼り付けでも", "Drop or paste works, too"),
    "mode": ("ボケ方", "Kind of joke"),
    "consent": ("みんなのボケにのせる", "Show it to other visitors"),
    "consent_how": (
        "写真を小さくして{days}このページで見せます。いつでも取り下げられます。",
        "A small copy of the picture is shown on this page {days}. You can take it back at any time.",
    ),
    "consent_days": ("{n}日間、", "for {n} days"),
    "consent_no_days": ("しばらくのあいだ、", "for a while"),
    "drop": ("ここで放してください", "Let go here"),
    "channel": ("やりとり", "Conversation"),
    "you": ("あなた", "You"),
    "bot": ("bokebot", "bokebot"),
    "post_heading": ("{n}枚目の写真", "Picture {n}"),
    "photo_alt": ("送った写真：{name}", "The picture you sent: {name}"),
    "no_preview": (
        "この形式はここに表示できませんが、ちゃんと見ています。",
        "This browser can’t show the format, but I can see it.",
    ),
    # answering
    "thinking": ("考え中です", "Thinking"),
    "answered": ("ボケ：{text}", "The joke: {text}"),
    "source": ("出典：", "Source: "),
    "again": ("もう一回", "Another one"),
    "up": ("おもしろい", "Funny"),
    "down": ("いまいち", "Not funny"),
    "voted_up": ("座布団一枚！", "Thank you!"),
    "voted_down": ("精進します。", "I’ll do better."),
    "vote_taken_back": ("票を取り消しました。", "Vote taken back."),
    "retry": ("もう一度送る", "Try again"),
    "link": ("リンク", "Link"),
    "link_copied": ("リンクをコピーしました。", "Link copied."),
    "compare": ("ボケ比べ", "Compare modes"),
    "modes": ("同じ写真を、ほかのボケ方で", "The same picture in every mode"),
    "compared": ("{n}通りのボケが並びました。", "{n} jokes side by side."),
    "shown": ("みんなのボケにのりました。", "Other visitors can see it now."),
    "take_back": ("取り下げる", "Take it back"),
    "taken_back": ("取り下げました。写真も消しました。", "Taken back. The picture is erased, too."),
    "candidates": ("ほかの候補とスコア", "Other candidates and scores"),
    "candidate": ("ボケ", "Joke"),
    "score": ("スコア", "Score"),
    "chosen": ("採用：", "Told: "),
    "score_how": ("高いほど、この写真らしいボケです。", "The higher, the better it suits this very picture."),
    # feed
    "feed": ("みんなのボケ", "What others got"),
    "more": ("もっと見る", "Show more"),
    # card
    "card": ("カード", "Card"),
    "card_title": ("写真とボケを一枚に", "Picture and joke in one"),
    "card_alt": ("カード：写真の下に「{text}」", "Card: the picture with “{text}” under it"),
    "card_drawing": ("カードを描いています", "Drawing the card"),
    "save": ("保存", "Save"),
    "share": ("共有", "Share"),
    "close": ("閉じる", "Close"),
}

FOR_SCRIPTS = (
    "post_heading",
    "photo_alt",
    "thinking",
    "answered",
    "voted_up",
    "voted_down",
    "vote_taken_back",
    "link_copied",
    "compared",
    "taken_back",
    "card_alt",
    "card_drawing",
)

"""Words of ボケを見る."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    "tab": ("ボケを見る", "Jokes"),
    "title": ("ボケを見る · bokebot", "Jokes · bokebot"),
    "heading": ("ボケを見る", "Jokes, side by side"),
    "lead": (
        "集めた写真にモデルがボケます。人が書いたボケと並べてどうぞ。",
        "The model’s jokes about pictures of the corpus, beside the best that people wrote.",
    ),
    # what to look at
    "filters": ("写真の選び方", "Which pictures"),
    "side": ("写真", "Pictures"),
    "train": ("学習用", "Training"),
    "dev": ("検証用", "Held out"),
    "query": ("ボケやお題の言葉", "Words in jokes or odai"),
    "min_stars": ("星（以上）", "Stars, at least"),
    "generate": ("ボケさせる", "Generate"),
    # keyboard
    "keyboard": ("キー操作", "Keyboard"),
    "keys_on": ("文字キーで操作する", "Letter keys are on"),
    "key_next": ("次の写真", "next picture"),
    "key_previous": ("前の写真", "previous"),
    "key_again": ("もう一度ボケる", "joke again"),
    "key_words": ("言葉で探す", "search"),
    # pictures
    "feed": ("写真とボケ", "Pictures and jokes"),
    "matching": ("{n}枚の写真", "{n} pictures"),
    "picture_heading": ("{n}枚目の写真", "Picture {n}"),
    "picture_alt": ("コーパスの写真（{n}枚目）", "Picture {n} of the corpus"),
    "by_model": ("モデルのボケ", "The model’s"),
    "by_people": ("人が書いたボケ", "People’s"),
    "speechless": ("言葉が出ませんでした。", "It had nothing to say."),
    "none_written": ("見せられるボケがありません。", "No joke that may be shown."),
    "stars": ("星{n}", "{n} stars"),
    "again": ("もう一度ボケる", "Joke again"),
    "thinking": ("考え中です", "Thinking"),
    "told": ("ボケ：{text}", "The joke: {text}"),
    "loaded": ("{n}枚の写真を追加しました。", "{n} more pictures."),
    "more": ("もっと見る", "More"),
    "retry": ("もう一度", "Try again"),
    "end": ("これで全部です。", "That’s all."),
    # nothing there
    "none": ("条件に合う写真がありません。", "No picture fits."),
    "clear_filters": ("条件を消す", "Clear the filters"),
    "none_of_side": ("こちら側にはまだ写真がありません。", "There are no pictures on this side yet."),
    "none_of_side_how": (
        "ボケと写真は、次の1行で取り込めます。",
        "This line brings in jokes with their pictures:",
    ),
}

FOR_SCRIPTS = (
    "matching",
    "picture_heading",
    "picture_alt",
    "speechless",
    "none_written",
    "stars",
    "thinking",
    "told",
    "loaded",
    "end",
)

"""Words of the view モデル."""

from __future__ import annotations

from bot.chat.web.texts import admin, metrics

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    **admin.TEXTS,
    **metrics.TEXTS,
    "tab": ("モデル", "Models"),
    "title": ("モデル · bokebot", "Models · bokebot"),
    "description": (
        "どのモデルが答えているか、どれを学んでできたか、二つを比べるとどう違うか。",
        "Which model answers, what it was made from, and how two of them differ.",
    ),
    "heading": ("モデル", "Models"),
    "lead": (
        "学習のたびに新しいモデルが並びます。答えるのは、そのうちの一つです。",
        "Each training may add a model. One of them answers.",
    ),
    "pinned": (
        "設定の model.path で使うモデルが決まっています。ここでの切り替えは効きません。",
        "model.path in the configuration says which model answers. It can’t be changed here.",
    ),
    "only_starter": (
        "自分で学んだモデルは、まだありません。学習すると、ここに並びます。",
        "There is no model of its own making yet. Once one is trained, it is shown here.",
    ),
    "to_training": ("学習を見る", "See the training"),
    # one model
    "starter": ("付属のモデル", "The model that ships"),
    "configured": ("設定のモデル", "The configured model"),
    "live": ("いま答えている", "Answering now"),
    "withdrawn": ("取り下げた", "Rolled back"),
    "created": ("できた日", "Made"),
    "recipe": ("レシピ", "Recipe"),
    "encoder": ("画像を見るネットワーク", "Vision network"),
    "language": ("ことば", "Language"),
    "vocabulary": ("語彙", "Vocabulary"),
    "sizes": ("埋め込み・隠れ層", "Embedding, hidden"),
    "learned_from": ("学んだ写真", "Learned from"),
    "pictures": ("{n}枚", "{n} pictures"),
    "size": ("大きさ", "Size"),
    "quotes": ("引用できるボケ", "Jokes to quote"),
    "carried": ("あり", "carried"),
    "not_carried": ("なし", "none"),
    "from_run": ("学習 #{id}", "Training #{id}"),
    "use": ("このモデルにする", "Use this model"),
    "use_named": ("{name} を使う", "Use {name}"),
    "back": ("一つ前に戻す", "Roll back"),
    "used": ("{name} に切り替えました。", "{name} answers now."),
    # two of them
    "compare": ("二つを比べる", "Compare two"),
    "first": ("こちら", "This one"),
    "second": ("あちら", "That one"),
    "no_figures": (
        "この二つには、比べられる数字がありません。",
        "Neither of them comes with figures.",
    ),
    "figures": ("見せていない写真での成績", "On held-out pictures"),
    "figures_apart": (
        "測った写真が違うことがあります。同じ写真で比べた結果は、学習のページにあります。",
        "They may have been measured on different pictures; figures for the same ones are on the training page.",
    ),
    "same_picture": ("同じ写真でくらべる", "On the same picture"),
    "same_picture_how": (
        "写真を一枚選ぶと、両方のモデルのボケと、似ている学習ボケ・学習写真が並びます。写真は残りません。",
        "Pick a picture to see both models’ jokes, and the training jokes and pictures that are like them. "
        "It is not kept.",
    ),
    "choose": ("写真を選ぶ", "Choose a picture"),
    "comparing": ("両方のモデルに見せています…", "Both models are looking…"),
    "compared": ("ふたつのモデルのボケが並びました。", "Both models have answered."),
    "chosen_alt": ("選んだ写真", "The picture that you chose"),
    "origins": ("似ている学習ボケ", "Training jokes like it"),
    "alike": ("近さ {n}", "{n} alike"),
    "near": ("似ている学習写真", "Training pictures like it"),
    "near_alt": ("似ている学習写真{n}", "Training picture {n} that is like it"),
    "near_by": ("近さ {n}", "similarity {n}"),
    "no_origins": (
        "このモデルは学習に使ったボケを持ち歩いていないので、元ネタは分かりません。",
        "This model carries none of its training jokes, so where these come from is not known.",
    ),
    "owner_only": (
        "写真での比べっこは、管理者だけができます。",
        "Only the owner can compare models on a picture.",
    ),
}

FOR_SCRIPTS = (
    *admin.FOR_SCRIPTS,
    *metrics.FOR_SCRIPTS,
    "starter",
    "configured",
    "live",
    "withdrawn",
    "created",
    "recipe",
    "encoder",
    "language",
    "vocabulary",
    "sizes",
    "learned_from",
    "pictures",
    "size",
    "quotes",
    "carried",
    "not_carried",
    "from_run",
    "use_named",
    "used",
    "comparing",
    "compared",
    "chosen_alt",
    "origins",
    "alike",
    "near",
    "near_alt",
    "near_by",
    "no_origins",
)

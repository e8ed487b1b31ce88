"""Names of the figures that a model is judged by, as several views show them."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    # name: (Japanese, English)
    "bits_per_char": ("1文字あたりのビット数", "Bits per character"),
    "bits_per_char_why": ("低いほど、人のボケをよく言い当てる", "lower: people’s jokes surprise it less"),
    "r_at_10": ("写真を当てる（10位以内）", "Finds the picture (top 10)"),
    "r_at_10_why": ("高いほど、写真をよく見ている", "higher: it looks at the picture"),
    "median_rank": ("その写真の順位（中央値）", "Rank of the picture (median)"),
    "median_rank_why": ("1に近いほど良い", "closer to 1 is better"),
    "distinct_2": ("言葉の多彩さ", "Variety of words"),
    "distinct_2_why": ("高いほど、同じ言い回しが少ない", "higher: fewer phrases twice"),
    "novelty": ("新しさ", "Novelty"),
    "novelty_why": ("人が書いていないボケの割合", "share that nobody wrote before"),
    "self_repeat": ("使い回し", "Repeats itself"),
    "self_repeat_why": ("別の写真にも同じボケ。低いほど良い", "same joke for another picture; lower is better"),
    "spearman_funny": ("笑いのツボ", "Sense of what is funny"),
    "spearman_funny_why": ("星の多さとの相関", "correlation with people’s stars"),
    "metric": ("指標", "Figure"),
    "better": ("良い", "better"),
    "worse": ("悪い", "worse"),
    "between": ("{low}〜{high}", "{low} to {high}"),
    "by_chance": ("でたらめなら {n}", "by chance: {n}"),
}

FOR_SCRIPTS = tuple(TEXTS)

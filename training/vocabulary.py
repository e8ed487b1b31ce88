"""Which units a corpus is written in: its language, and a tokenizer of a size that the corpus can fill."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bokemodel.tokenizer import Tokenizer
from bokemodel.words import MECAB, SPACES, WordTokenizer

BYTES = 256 + 3  # units that any tokenizer has: the bytes, <unk>, <s>, </s>
CHARACTERS_PER_UNIT = 20  # fewer characters than that for each unit: many units would hardly ever be seen
CHARACTER_SHARE = 0.6  # at most so many of the units are single characters; rarer ones are spelled in bytes ...
LEAST_COVERAGE = 0.98  # ... but no more of the text than the rest of this; sentencepiece takes no less
FITS = 1.1  # an older tokenizer may need so many times the units of one that is made for the corpus
_ENGLISH = frozenset(
    ["the", "a", "an", "and", "is", "of", "to", "in", "i", "it", "you", "on", "with", "for", "this", "that"]
)


@dataclass(frozen=True)
class TokenizerConfig:
    """How text is cut.

    Attributes:
        kind: "sentencepiece", or "words": the article's closed vocabulary of all words, by MeCab where the text is Japanese.
        units: at most; a small corpus gets fewer. Words are as many as there are.
        method: of sentencepiece. "unigram" keeps the units that the whole corpus is likeliest with, of a small corpus rather
            stems and endings than words; "bpe" joins the most frequent pair of units again and again.
        sample: texts that the units are learned from, at most.
    """

    kind: Literal["sentencepiece", "words"] = "sentencepiece"
    units: int = 2000
    method: Literal["unigram", "bpe"] = "bpe"
    sample: int = 200_000


def train_tokenizer(texts: Sequence[str], config: TokenizerConfig, seed: int) -> Tokenizer:
    """A tokenizer for these texts; the same texts in the same order give the same one. Raises MecabMissing."""
    if config.kind == WordTokenizer.kind:
        return WordTokenizer.learn(texts, MECAB if language_of(texts) == "ja" else SPACES)
    counts = Counter(character for text in texts for character in text)
    total = sum(counts.values())
    coverage, alone = 1.0, len(counts)  # the share of what is written that characters with a unit of their own make up
    if alone > (room := int((config.units - BYTES) * CHARACTER_SHARE)):
        written = np.cumsum([count for _, count in counts.most_common()])
        coverage = max(LEAST_COVERAGE, int(written[max(room, 1) - 1]) / total)
        alone = int(np.searchsorted(written, coverage * total)) + 1
    units = max(BYTES + alone + 1, min(config.units, BYTES + alone + total // CHARACTERS_PER_UNIT))
    return Tokenizer.train(texts, units, seed=seed, coverage=coverage, method=config.method)


def fits(tokenizer: Tokenizer, texts: Sequence[str], made_for_them: Tokenizer) -> bool:
    """Does a tokenizer that was made for other texts cut these about as well as one made for them?"""
    units = sum(len(tokenizer.encode(text)) for text in texts)
    return units <= FITS * sum(len(made_for_them.encode(text)) for text in texts)


def language_of(texts: Sequence[str]) -> str:
    """The language of a corpus, as far as letters tell: "ja", "zh", "ko", "en", or "und" (unknown)."""
    scripts: Counter[str] = Counter()
    for text in texts:
        for character in text:
            if character.isalpha():
                scripts[_script(character)] += 1
    letters = sum(scripts.values())
    if not letters:
        return "und"
    kana, han = scripts["HIRAGANA"] + scripts["KATAKANA"], scripts["CJK"]
    if kana + han > 0.3 * letters:
        return "ja" if kana > 0.05 * (kana + han) else "zh"
    if scripts["HANGUL"] > 0.3 * letters:
        return "ko"
    words = [word.strip(".,!?'\"").casefold() for text in texts for word in text.split()]
    if scripts["LATIN"] > 0.7 * letters and sum(word in _ENGLISH for word in words) > 0.08 * len(words):
        return "en"
    return "und"


def _script(character: str) -> str:
    if character in "ーｰ":
        return "KATAKANA"
    name = unicodedata.name(character, "")
    return name.removeprefix("HALFWIDTH ").removeprefix("FULLWIDTH ").partition(" ")[0]

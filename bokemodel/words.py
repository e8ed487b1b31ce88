"""The article's tokenizer: a closed vocabulary of whole words. What is not in it becomes <unk>, and no answer says it."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from bokemodel.errors import BokeModelError
from bokemodel.tokenizer import BOS, UNK, Tokenizer

SPECIAL = ("<unk>", "<s>", "</s>")
SPACES, MECAB = "spaces", "mecab"


class MecabMissing(BokeModelError):
    """The words of Japanese text were asked for, and MeCab is not installed."""


class WordTokenizer(Tokenizer):
    """Words by spaces, or by MeCab. The same face as `bokemodel.tokenizer.Tokenizer`; `log_prob` leaves <unk> in."""

    kind = "words"

    def __init__(self, model: bytes) -> None:
        """Raises ValueError: not what `learn` made."""
        self.model = model
        known = json.loads(model)
        self._split_by, self._words = str(known["split"]), [*SPECIAL, *map(str, known["words"])]
        self._ids = {word: number for number, word in enumerate(self._words)}

    @classmethod
    def learn(cls, texts: Iterable[str], split: str, least: int = 1) -> WordTokenizer:
        """Every word that stands in the texts at least `least` times. Raises MecabMissing."""
        cut = _splitter(split)
        counts = Counter(word for text in texts for word in cut(text))
        words = [word for word, count in counts.most_common() if count >= least and word not in SPECIAL]
        return cls(json.dumps({"split": split, "words": words}, ensure_ascii=False).encode())

    def __len__(self) -> int:
        return len(self._words)

    def encode(self, text: str) -> list[int]:
        """Raises MecabMissing."""
        return [self._ids.get(word, UNK) for word in _splitter(self._split_by)(text)]

    def decode(self, ids: Sequence[int]) -> str:
        return (" " if self._split_by == SPACES else "").join(self._words[int(i)] for i in ids)

    def never(self) -> list[int]:
        """Ids that no answer may contain."""
        return [UNK, BOS]


def tokenizer_of(kind: str, model: bytes) -> Tokenizer:
    """The tokenizer that a bundle holds. Raises ValueError where nothing is known of its kind."""
    if kind == WordTokenizer.kind:
        return WordTokenizer(model)
    if kind == Tokenizer.kind:
        return Tokenizer(model)
    raise ValueError(f"no tokenizer is called {kind!r}")


def _splitter(split: str) -> Callable[[str], list[str]]:
    if split == SPACES:
        return str.split
    if split != MECAB:
        raise ValueError(f"words are split by {SPACES} or by {MECAB}, not by {split!r}")
    return _mecab()


@functools.cache
def _mecab() -> Callable[[str], list[str]]:
    try:
        import fugashi
        import unidic_lite  # type: ignore[import-untyped]
    except ImportError:
        raise MecabMissing(
            "Japanese words need MeCab: pip install fugashi unidic-lite (or use a recipe with sentencepiece units)"
        ) from None
    tagger = fugashi.GenericTagger(f'-r "{unidic_lite.DICDIR}/mecabrc" -d "{unidic_lite.DICDIR}"')
    return lambda text: [str(word.surface) for word in tagger(text)]

"""Text to token ids and back: sentencepiece with byte fallback, so that no text is out of vocabulary."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece as spm

UNK, BOS, EOS = 0, 1, 2
_SPACE = "\u2581"


class Tokenizer:
    """A sentencepiece model (Kudo & Richardson 2018). Text is kept as it is: no normalisation, spaces included."""

    kind = "sentencepiece"
    bos, eos = BOS, EOS

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = spm.SentencePieceProcessor(model_proto=model)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocabulary: int,
        *,
        seed: int = 0,
        coverage: float = 1.0,
        method: Literal["unigram", "bpe"] = "unigram",
    ) -> Tokenizer:
        """Learn at most `vocabulary` units (256 of them bytes) from texts. Same texts in the same order, same units.

        coverage: share of all characters written that units of their own are made for; rarer ones are spelled in bytes.
        method: "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016).
        """
        out = io.BytesIO()
        spm.set_random_generator_seed(seed)
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter([text for text in texts if text]),
            model_writer=out,
            model_type=method,
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            character_coverage=coverage,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentence_length=16384,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
        return cls(out.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        return cls(Path(path).read_bytes())

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        return list(self._processor.encode(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids to text; bytes that form no character become U+FFFD."""
        text = str(self._processor.decode([int(i) for i in ids]))
        return text.replace(_SPACE, " ")  # where no text had spaces, sentencepiece spells its sign for one in bytes

    def never(self) -> list[int]:
        """Ids that no answer may contain."""
        return [UNK, BOS]

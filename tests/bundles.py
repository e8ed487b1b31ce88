"""A model for tests: never trained, made in a second or two, it answers pictures in whole Japanese sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentencepiece import sentencepiece_model_pb2

from bokemodel import load_encoder
from bokemodel.bundle import Bundle, Manifest, save_bundle
from bokemodel.examples import Example, ExamplePicture, Examples
from bokemodel.packing import Normalizer
from bokemodel.tokenizer import Tokenizer

WHO = (
    "うちの猫",
    "駅前の犬",
    "今朝の部長",
    "隣の席の人",
    "昨日の自分",
    "近所の鳩",
    "冷蔵庫の卵",
    "最後のからあげ",
    "新しい先生",
    "雨の月曜日",
)
DOES = (
    "は会議に遅れている。",
    "は今日も帰りたい。",
    "が本気を出した。",
    "は何も聞いていない。",
    "がこちらを見ている。",
    "は三度目の正直だ。",
    "は給料日を待っている。",
    "が世界を救うらしい。",
    "は二回言わないタイプだ。",
    "はもう春を諦めた。",
    "を五度見した。",
    "に席を譲られた。",
)
LINES = tuple(who + does for who in WHO for does in DOES)  # all that it can say
QUOTES = ("これは引用です", "これも引用です", "みんな引用です")  # for a model that quotes
HIDDEN = 32


def tiny_bundle(folder: Path, seed: int = 0, *, quotes: Sequence[str] = ()) -> Path:
    """Write a bundle of efficientnet-lite0 as `model-SEED` into `folder` and return its path.

    It says one of `LINES`; which of them it likes depends on the picture and on `seed`. Of `quotes`, each is somebody's joke
    about a picture of its own, which stands at `quoted_at` it; without any, the model has no mode that quotes.
    """
    tokenizer, encoder = _tokenizer(), load_encoder("efficientnet-lite0")
    dim, vocabulary = encoder.dim, len(tokenizer)
    manifest = Manifest(
        encoder=encoder.name,
        encoder_digest=encoder.weights_digest,
        feature_dim=dim,
        decoder={"vocabulary": vocabulary, "feature_dim": dim, "embed": HIDDEN, "hidden": HIDDEN},
        recipe="test",
        search={"max_tokens": 8, "temperature": 1.0},
    )
    normalizer = Normalizer(np.zeros(dim, np.float32), np.full(dim, dim**-0.5, np.float32))
    place = folder / f"model-{seed}"
    extra: dict[str, bytes] = {}
    if quotes:
        pictures = [ExamplePicture("", (Example(text, float(n), quoted_at(n)),)) for n, text in enumerate(quotes)]
        vectors = np.random.default_rng(seed).normal(size=(len(quotes), dim)).astype(np.float32)
        extra = Examples.of(vectors, pictures).files()
    save_bundle(Bundle(manifest, tokenizer, normalizer, _weights(tokenizer, dim, seed), extra), place)
    return place


def quoted_at(number: int) -> str:
    """The address of a bundle's quote."""
    return f"https://jokes.example/boke/{number}"


def _weights(tokenizer: Tokenizer, dim: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Unit 0 of the LSTM remembers whether a subject or a predicate was said last; all others are left to chance."""
    rng = np.random.default_rng(seed)
    who, does, end = (
        [_token(tokenizer, text) for text in WHO],
        [_token(tokenizer, text) for text in DOES],
        tokenizer.eos,
    )

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return rng.normal(0.0, scale, shape).astype(np.float32)

    arrays = {
        "embed": normal(len(tokenizer), HIDDEN, scale=0.3),
        "img2x_w": normal(HIDDEN, dim, scale=2.0),
        "img2x_b": np.zeros(HIDDEN, np.float32),
        "lstm_w": normal(4 * HIDDEN, HIDDEN, scale=0.3),  # input, forget, output gate, candidate
        "lstm_u": normal(4 * HIDDEN, HIDDEN, scale=0.1),
        "lstm_b": np.zeros(4 * HIDDEN, np.float32),
        "out_w": normal(len(tokenizer), HIDDEN, scale=0.8),
        "out_b": np.full(len(tokenizer), -30.0, np.float32),
    }
    arrays["embed"][:, 0] = arrays["img2x_w"][0] = 0.0
    arrays["embed"][who, 0], arrays["embed"][does, 0] = 3.0, -3.0
    for gate, bias in ((0, 4.0), (1, -6.0), (2, 4.0), (3, 0.0)):
        row = gate * HIDDEN
        arrays["lstm_w"][row] = arrays["lstm_u"][row] = 0.0
        arrays["lstm_b"][row] = bias
    arrays["lstm_w"][3 * HIDDEN, 0] = 1.0
    arrays["out_w"][:, 0] = 0.0
    arrays["out_w"][does, 0], arrays["out_w"][end, 0] = 40.0, -40.0
    arrays["out_b"][who], arrays["out_b"][does], arrays["out_b"][end] = 0.0, -16.0, -16.0
    return arrays


def _token(tokenizer: Tokenizer, text: str) -> int:
    (token,) = tokenizer.encode(text)
    return token


@cache
def _tokenizer() -> Tokenizer:
    """A trained one, to whose units the subjects and predicates are added."""
    model = sentencepiece_model_pb2.ModelProto.FromString(Tokenizer.train(LINES, 400).model)
    known = {piece.piece for piece in model.pieces}
    for text in (*WHO, *DOES):
        if text not in known:
            model.pieces.add(piece=text, score=0.0)
    return Tokenizer(model.SerializeToString())

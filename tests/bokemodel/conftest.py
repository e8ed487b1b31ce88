"""A small trained decoder: four kinds of pictures, each with its own jokes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bokemodel.bundle import Bundle, Manifest
from bokemodel.decoder import Decoder, DecoderConfig, config_to_json
from bokemodel.packing import Normalizer
from bokemodel.tokenizer import Tokenizer
from training.train import Texts, TrainConfig, train

DIM = 12
JOKES = [
    (kind, f"{when}{who}{what}")
    for kind, who in enumerate(("猫が", "電車が", "海が", "時計が"))
    for when in ("今日も", "また", "朝から")
    for what in ("遅刻する", "考え込む", "返事をしない")
]


class FakeEncoder:
    """Vectors for pictures of one colour, so that search can be tested without a vision network."""

    name, dim, input_size, weights_digest = "fake", DIM, 8, "f" * 64

    def encode(self, images: Sequence[Any]) -> np.ndarray:
        return np.array([vector(int(image.getpixel((0, 0))[0]) // 60) for image in images], np.float32)


def vector(kind: int) -> np.ndarray:
    out = np.full(DIM, 0.2, np.float32)
    out[kind * 3 : kind * 3 + 3] = 3.0
    return out


@dataclass(frozen=True)
class Small:
    bundle: Bundle
    decoder: Decoder
    jokes: list[tuple[int, str]]


@pytest.fixture(scope="session")
def small() -> Small:
    tokenizer = Tokenizer.train([text for _, text in JOKES], 320)
    features = np.array([vector(kind) for kind, _ in JOKES])
    normalizer = Normalizer.fit(features)
    config = DecoderConfig(len(tokenizer), DIM, 32, 32, tied=True)
    decoder = Decoder(config, 0)
    texts = Texts(normalizer(features), [tokenizer.encode(text) for _, text in JOKES])
    train(decoder, TrainConfig(80, 12, 2e-2), lambda *_: texts, bos=tokenizer.bos, eos=tokenizer.eos)
    manifest = Manifest("fake", "f" * 64, DIM, config_to_json(config), search={"max_tokens": 20})
    return Small(Bundle(manifest, tokenizer, normalizer, decoder.arrays()), decoder, JOKES)

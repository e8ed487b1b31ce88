"""A small decoder on part of a corpus's pictures, in minutes: for benchmarks that need one that never saw the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from bokemodel.bundle import Bundle, Manifest
from bokemodel.decoder import Decoder, DecoderConfig, config_to_json
from bokemodel.encoders.base import Encoder
from bokemodel.packing import Normalizer
from bokemodel.tokenizer import Tokenizer
from training.held_out import HeldOutPicture
from training.train import Texts, TrainConfig, train

UNITS, HIDDEN = 2000, 128


def folds(pictures: int, count: int, seed: int = 0) -> list[NDArray[np.int64]]:
    """The numbers of all pictures in `count` parts, drawn by the seed."""
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(pictures), count)]


def train_small(
    encoder: Encoder,
    pictures: Sequence[HeldOutPicture],
    held: Collection[int] | NDArray[np.int64],
    *,
    epochs: int,
    log: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """A decoder for all pictures but those whose numbers are `held`."""
    left_out = {int(number) for number in held}
    chosen = [picture for number, picture in enumerate(pictures) if number not in left_out]
    jokes = [(number, joke.text) for number, picture in enumerate(chosen) for joke in picture.jokes]
    tokenizer = Tokenizer.train([text for _, text in jokes], UNITS)
    features = np.stack([picture.features for picture in chosen])
    normalizer = Normalizer.fit(features)
    texts = Texts(
        normalizer(features)[np.array([number for number, _ in jokes])], [tokenizer.encode(text) for _, text in jokes]
    )
    sizes = DecoderConfig(len(tokenizer), encoder.dim, HIDDEN, HIDDEN, tied=True, dropout=0.2)
    decoder = Decoder(sizes)
    config = TrainConfig(epochs=epochs, learning_rate=4e-3)
    train(
        decoder,
        config,
        lambda *_: texts,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        on_epoch=lambda epoch: log(f"epoch {epoch.number}: {epoch.train_loss:.3f} nats a token, {epoch.seconds:.0f} s"),
    )
    manifest = Manifest(
        encoder=encoder.name,
        encoder_digest=encoder.weights_digest,
        feature_dim=encoder.dim,
        decoder=config_to_json(sizes),
        language="en",
        recipe="small",
        search={"max_tokens": 40},
        training_pictures=sorted(picture.digest for picture in chosen),
    )
    return Bundle(manifest, tokenizer, normalizer, decoder.arrays())

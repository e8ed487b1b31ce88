"""`python -m training.starter`: trains the model that ships, from the starter corpus, the same every time.

No photo of most subjects is at hand, so the decoder learns from vectors of real photos that were moved to a class of the
joke's subject (`training.starter.vectors`); every joke meets another photo in every epoch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Protocol, cast

import numpy as np
import typer
from numpy.typing import NDArray

from bokemodel.bundle import Bundle, Manifest, save_bundle
from bokemodel.decoder import Decoder, DecoderConfig, config_to_json
from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Encoder
from bokemodel.errors import BokeModelError
from bokemodel.learned import LearnedTexts
from bokemodel.model import STARTER
from bokemodel.packing import Normalizer
from bokemodel.tokenizer import Tokenizer
from training.starter.jokes import load_subjects
from training.starter.photo_vectors import PhotoVectorsMissing, load_photo_vectors
from training.starter.vectors import Classifier, MovedVectors
from training.train import Epoch, Texts, TrainConfig, train

Floats = NDArray[np.float32]


# Real photos leave the classifier undecided more often than moved vectors do; a mixture of many subjects makes no joke.
SHARPNESS = 3.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class ClassifyingEncoder(Encoder, Classifier, Protocol):
    """An encoder that knows the 1,000 classes of ImageNet."""


@dataclass(frozen=True)
class StarterRecipe:
    """How the starter is trained; every number was chosen on the figures of benchmarks/starter.py."""

    vocabulary: int = 3000
    hidden: int = 256
    dropout: float = 0.2
    word_dropout: float = 0.0
    crossed: float = 0.6  # share of the crossed pairs that an epoch shows
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=30, batch_size=32, learning_rate=6e-3))
    temperature: float = 0.9
    top_p: float = 0.95
    mmi_lambda: float = 0.5
    fluency: float = 0.25
    variety: float = 0.15
    freshness: float = 0.3


def train_starter(
    encoder: ClassifyingEncoder,
    photos: Floats,
    recipe: StarterRecipe,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Bundle:
    """Train a decoder on the starter corpus for an encoder that knows the 1,000 classes of ImageNet."""
    subjects = load_subjects()
    jokes = [(number, text) for number, subject in enumerate(subjects) for text in subject.jokes]
    crossed = [(number, text) for number, subject in enumerate(subjects) for text in subject.crossed]
    halves = [half for subject in subjects for half in (*subject.setups, *subject.punchlines)]
    tokenizer = Tokenizer.train([text for _, text in jokes] + halves, recipe.vocabulary)
    tokens = {text: tokenizer.encode(text) for _, text in jokes + crossed}

    vectors = MovedVectors(photos, encoder, subjects)
    rng = np.random.default_rng([recipe.train.seed, 0])
    normalizer = Normalizer.fit(vectors.draw(np.repeat(np.arange(len(subjects)), 20), rng))

    def epoch_texts(_number: int, rng: np.random.Generator) -> Texts:
        shown = rng.permutation(len(crossed))[: round(len(crossed) * recipe.crossed)]
        pool = jokes + [crossed[index] for index in sorted(shown)]
        pictures = normalizer(vectors.draw(np.array([number for number, _ in pool]), rng))
        return Texts(pictures, [tokens[text] for _, text in pool])

    config = DecoderConfig(
        len(tokenizer),
        encoder.dim,
        recipe.hidden,
        recipe.hidden,
        dropout=recipe.dropout,
        word_dropout=recipe.word_dropout,
        topics=len(encoder.class_bias),
    )
    decoder = Decoder(config, recipe.train.seed)
    use_classes_as_topics(decoder, encoder, normalizer, vectors)
    train(decoder, recipe.train, epoch_texts, bos=tokenizer.bos, eos=tokenizer.eos, on_epoch=on_epoch)
    manifest = Manifest(
        encoder=encoder.name,
        encoder_digest=encoder.weights_digest,
        feature_dim=encoder.dim,
        decoder=config_to_json(config),
        recipe="starter",
        search={
            "temperature": recipe.temperature,
            "top_p": recipe.top_p,
            "mmi_lambda": recipe.mmi_lambda,
            "fluency": recipe.fluency,
            "variety": recipe.variety,
            "freshness": recipe.freshness,
            "max_tokens": 30,
        },
    )
    learned = LearnedTexts.of(tokens)
    return Bundle(manifest, tokenizer, normalizer, decoder.arrays(), {LearnedTexts.FILE: learned.to_bytes()})


def use_classes_as_topics(decoder: Decoder, encoder: Classifier, normalizer: Normalizer, vectors: MovedVectors) -> None:
    """Let the decoder's topic layer be the network's own classifier, fixed: what the picture shows is known already.

    The decoder reads normalised vectors, (v / |v| - mean) / scale; with the length that vectors usually have, the scores are
    the classifier's. Classes of one subject start with one sign.
    """
    length = float(np.linalg.norm(vectors.photos, axis=1).mean())
    decoder.topic.W.array[...] = SHARPNESS * (encoder.class_weights * normalizer.scale * length)
    decoder.topic.b.array[...] = SHARPNESS * (encoder.class_weights @ normalizer.mean * length + encoder.class_bias)
    decoder.fixed = ("topic",)
    for classes in vectors.classes:
        decoder.img2x.W.array[:, classes] = decoder.img2x.W.array[:, classes[:1]]


def main(
    encoder: Annotated[str, typer.Option(help="Vision network whose vectors the model reads.")] = "efficientnet-lite0",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its weights; caffenet needs the .caffemodel.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos to take vectors from, for another encoder.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the bundle is written.")] = STARTER,
    epochs: Annotated[int | None, typer.Option(min=1, help="Fewer for a quick look.")] = None,
) -> None:
    """Train the starter model."""
    recipe = StarterRecipe()
    if epochs is not None:
        recipe = replace(recipe, train=replace(recipe.train, epochs=epochs))
    try:
        network = cast(ClassifyingEncoder, load_encoder(encoder, weights))
        vectors = _photo_vectors(network, photos)
        bundle = train_starter(network, vectors, recipe, _print_epoch)
        digest = save_bundle(bundle, out)
    except (BokeModelError, PhotoVectorsMissing, OSError) as error:
        print(f"starter: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{out}: model {digest[:12]}")


def _photo_vectors(encoder: Encoder, photos: Path | None) -> Floats:
    if photos is None:
        return load_photo_vectors(encoder.name)
    from bokemodel.pictures import open_file

    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if not files:
        raise PhotoVectorsMissing(f"no photos in {photos}")
    return np.concatenate([encoder.encode([open_file(path, short_side=encoder.input_size)]) for path in files])


def _print_epoch(epoch: Epoch) -> None:
    print(
        f"epoch {epoch.number:3d}  {epoch.train_loss:.3f} nats a token  learning rate {epoch.learning_rate:.5f}",
        flush=True,
    )


if __name__ == "__main__":
    # A sum depends on how many threads share it, and the libraries ask for their number when they are loaded.
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(
            sys.executable, [sys.executable, "-m", "training.starter", *sys.argv[1:]], {**os.environ, **ONE_THREAD}
        )
    typer.run(main)

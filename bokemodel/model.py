"""`BokeModel`: pictures in, boke out. One object holds an encoder and a trained bundle."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.bundle import Bundle, load_bundle
from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Encoder, Features
from bokemodel.encoders.onnx_runtime import OnnxEncoder
from bokemodel.errors import BundleMismatch, BundleTampered, UnknownMode
from bokemodel.examples import Examples, mismatch, retrieve
from bokemodel.funny import Funny, look, read
from bokemodel.learned import LearnedTexts
from bokemodel.modes import ALWAYS, ARTICLE, BOKE, BORROWING, MISMATCH, MODES, RETRIEVE
from bokemodel.network import Network
from bokemodel.packing import pack
from bokemodel.products import OnnxProduct
from bokemodel.registry import STARTER
from bokemodel.search import (
    Candidate,
    Floats,
    SearchSettings,
    Sense,
    beam_search,
    rerank,
    sample,
)


@dataclass(frozen=True)
class Boke:
    """A joke and how well it suits the picture (higher is better; comparable within one list only).

    `source` is where it stands, if it is somebody's own (modes `retrieve` and `mismatch`) and that is known.
    """

    text: str
    score: float
    source: str | None = None


class BokeModel:
    """An encoder and a decoder that was trained on its vectors."""

    def __init__(self, bundle: Bundle, encoder: Encoder) -> None:
        manifest = bundle.manifest
        if (encoder.name, encoder.weights_digest) != (manifest.encoder, manifest.encoder_digest):
            raise BundleMismatch(
                f"the model was trained on {manifest.encoder} ({manifest.encoder_digest[:12]}), "
                f"not on {encoder.name} ({encoder.weights_digest[:12]})"
            )
        self.bundle, self.encoder = bundle, encoder
        self.tokenizer, self.settings = bundle.tokenizer, bundle.search
        self.network = Network(bundle.arrays, _product(encoder))
        try:
            self.learned = LearnedTexts.from_bytes(bundle.extra.get(LearnedTexts.FILE, b""))
            self.examples = Examples.read(bundle.extra)
            self.funny = Funny.read(bundle.extra)
            if self.funny is not None and not self.funny.fits(self.network):
                raise ValueError("a scorer of another decoder")
        except ValueError as error:
            raise BundleTampered(f"a file of the model is not what its name says: {error}") from error

    @classmethod
    def load(cls, folder: str | Path | None = None, *, encoder: Encoder | None = None, **options: Any) -> BokeModel:
        """Load a bundle (the starter where no folder is named) with its encoder.

        `encoder` is used if given, otherwise the one that the manifest names is loaded with `options`
        (`path=` for weights that are not installed with the program).

        Raises:
            BundleError, EncoderError
        """
        bundle = load_bundle(folder if folder is not None else STARTER)
        return cls(bundle, encoder or load_encoder(bundle.manifest.encoder, **options))

    def boke(
        self,
        images: Sequence[Image.Image],
        n: int = 1,
        mode: str = BOKE,
        seed: int | Sequence[int] | None = None,
        **settings: Any,
    ) -> list[list[Boke]]:
        """Jokes about pictures.

        Args:
            images: PIL pictures of any size.
            n: how many for each picture; never two equal ones, so there may be fewer.
            mode: "boke" samples and reranks; "article" is the beam of 2016; "retrieve" quotes the best jokes of the most
                similar pictures, "mismatch" those of deliberately different ones: only models with `examples` have these.
            seed: same seed, same answers; a list gives each picture its own. None: different every time.
            settings: single fields of `SearchSettings` instead of the bundle's.

        Returns:
            For each picture a list of `Boke`, best first.

        Raises:
            UnknownMode: this model has no such mode; `modes` names those that it has.
        """
        return self.boke_of_features(self.encoder.encode(images), n, mode, seed, **settings)

    def boke_of_features(
        self,
        features: Features,
        n: int = 1,
        mode: str = BOKE,
        seed: int | Sequence[int] | None = None,
        **settings: Any,
    ) -> list[list[Boke]]:
        """`boke` for vectors (N, dim) that the encoder made before."""
        self.check_mode(mode)
        if not len(features):
            return []
        search = replace(self.settings, **settings)
        pictures = self.bundle.normalizer(features)
        if mode == ARTICLE:
            found = beam_search(self.network, self.tokenizer, pictures, search, width=max(n, search.beam))
            return [[Boke(c.text.strip(), _mean_nats(c)) for c in candidates[:n]] for candidates in found]
        seeds = _seeds(seed, len(features))
        if mode in BORROWING:
            assert self.examples is not None
            borrowed = {RETRIEVE: retrieve, MISMATCH: mismatch}[mode](self.examples, features, n, seeds)
            return [[Boke(f.joke.text.strip(), f.score, f.joke.url) for f in found] for found in borrowed]
        search = replace(search, candidates=max(n, search.candidates))
        candidates = sample(self.network, self.tokenizer, pictures, search, seeds)
        ranked = rerank(candidates, search, seeds, self.learned, self._sense())
        return [[Boke(c.text.strip(), score) for c, score in scored[:n]] for scored in ranked]

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways of answering that this model has."""
        return tuple(mode for mode in MODES if mode in ALWAYS or self.examples is not None)

    def check_mode(self, mode: str) -> None:
        """Raises UnknownMode where this model has no such way of answering."""
        if mode in BORROWING and self.examples is None:
            raise UnknownMode(f"{mode} quotes jokes, and this model carries none; there are {', '.join(self.modes)}")
        if mode not in MODES:
            raise UnknownMode(f"no mode is called {mode!r}; there are {', '.join(self.modes)}")

    def log_prob(self, images: Sequence[Image.Image], texts: Sequence[str]) -> NDArray[np.float64]:
        """ln p(text | image) in nats, </s> included, for pairs: float64 (N,)."""
        return self.log_prob_of_features(self.encoder.encode(images), texts)

    def log_prob_of_features(self, features: Features | None, texts: Sequence[str]) -> NDArray[np.float64]:
        """`log_prob` for vectors (N, dim); None stands for the mean picture."""
        if not texts:
            return np.empty(0)
        dim = self.network.feature_dim
        pictures = np.zeros((len(texts), dim), np.float32) if features is None else self.bundle.normalizer(features)
        if len(pictures) != len(texts):
            raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts")
        batch = pack([self.tokenizer.encode(text) for text in texts], self.tokenizer.bos, self.tokenizer.eos)
        return self.network.log_probs(pictures, batch, self.tokenizer.bos)

    def funny_of_features(self, features: Features, texts: Sequence[str]) -> NDArray[np.float64]:
        """How funny texts are, each about the picture with its vector (N, dim): (N,), comparable within one picture only.

        Raises ValueError where the model has no sense of it (`funny` is None), or the numbers differ.
        """
        if self.funny is None:
            raise ValueError("this model carries no sense of what is funny")
        if len(features) != len(texts):
            raise ValueError(f"{len(features)} pictures and {len(texts)} texts")
        tokens = [self.tokenizer.encode(text) for text in texts]
        return self.funny(read(self.network, self.tokenizer, self.bundle.normalizer(features), texts, tokens))

    def _sense(self) -> Sense | None:
        """Of what is funny, for `rerank`."""
        funny = self.funny
        if funny is None:
            return None

        def sense(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
            own, everyday = np.array([(c.log_prob, c.everyday) for c in candidates]).T
            state = np.array([c.state for c in candidates])
            return funny(
                look([c.text.strip() for c in candidates], [c.tokens for c in candidates], own, everyday, state)
            )

        return sense

    def with_settings(self, **settings: Any) -> BokeModel:
        """The same model, looking for answers in another way."""
        other = BokeModel.__new__(BokeModel)
        other.__dict__.update(self.__dict__, settings=replace(self.settings, **settings))
        return other


def _product(encoder: Encoder) -> Callable[[Floats], OnnxProduct] | None:
    """What computes the encoder computes the decoder's steps, too."""
    if not isinstance(encoder, OnnxEncoder) or importlib.util.find_spec("onnx") is None:
        return None
    return partial(OnnxProduct, threads=encoder.threads)


def _mean_nats(candidate: Candidate) -> float:
    return candidate.log_prob / (len(candidate.tokens) + 1)


def _seeds(seed: int | Sequence[int] | None, count: int) -> list[int]:
    if seed is None:
        return [int(s) for s in np.random.SeedSequence().generate_state(count, np.uint64)]
    if isinstance(seed, int | np.integer):
        return [int(seed)] * count
    if len(seed) != count:
        raise ValueError(f"{len(seed)} seeds for {count} pictures")
    return [int(s) for s in seed]


__all__ = ["MODES", "STARTER", "Boke", "BokeModel", "SearchSettings"]

"""A sense of what is funny: how the crowd would like a text beside other texts about the same picture.

The score is linear in what is seen of a text, so that it costs next to nothing and can be learned from few stars:

- its units, each counted once: which words people laugh at;
- its likelihood for the picture and for the mean picture, by token, and how much the picture adds; its length;
- the decoder's state, the mean over the steps at which it reads the text under the picture.

The picture takes part through likelihood and state. Put in directly it could only matter in products with the rest, for it is
the same for all texts that are compared; a network with one hidden layer over all of this and the picture's vector was
no better (0.24 against 0.25 on 76 cartoons that it had not seen, even if stopped at the best epoch for those).
`training.funny` learns the weights; a bundle carries them as funny.npz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bokemodel.archives import npz_bytes, read_npz
from bokemodel.network import Network
from bokemodel.packing import pack
from bokemodel.tokenizer import Tokenizer

Floats = NDArray[np.float32]
FILE = "funny.npz"
AT_ONCE = 512  # texts read together
SURFACE = 6  # numbers that likelihood and length give
FURTHEST = 3.0  # standard deviations; what lies further out is seen there, for the model writes what nobody would


@dataclass(frozen=True)
class Seen:
    """What is seen of N texts: token ids without <s> and </s>, and numbers (N, SURFACE + hidden), see `look`."""

    tokens: Sequence[Sequence[int]]
    numbers: Floats


def look(
    texts: Sequence[str],
    tokens: Sequence[Sequence[int]],
    log_probs: NDArray[np.float64],
    everyday: NDArray[np.float64],
    state: Floats,
) -> Seen:
    """What is seen of texts.

    Args:
        tokens: (N,) of the texts.
        log_probs, everyday: (N,) ln p(text | picture) and ln p(text | mean picture), in nats.
        state: (N, hidden) as `Network.mean_outputs` gives it.
    """
    steps = np.array([len(ids) + 1 for ids in tokens], np.float64)
    characters = np.array([len(text) + 1 for text in texts], np.float64)
    length = np.log(steps)
    surface = [
        log_probs / steps,
        everyday / steps,
        (log_probs - everyday) / steps,
        length,
        length**2,
        characters / steps,
    ]
    return Seen(tokens, np.concatenate([np.stack(surface, axis=1), state], axis=1).astype(np.float32))


class Rows(Protocol):
    """Vectors by number: an array, or something that looks them up."""

    def __getitem__(self, index: NDArray[np.int64], /) -> Floats: ...


def read(
    network: Network, tokenizer: Tokenizer, pictures: Rows, texts: Sequence[str], tokens: Sequence[Sequence[int]]
) -> Seen:
    """What the decoder sees of texts (N,) that it is given, read in batches of like length.

    Args:
        pictures: normalised vectors, by the number of the text. tokens: (N,) of the texts.
    """
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    numbers = np.empty((len(texts), SURFACE + network.hidden), np.float32)
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        vectors, ids = pictures[part], [tokens[i] for i in part]
        batch = pack(ids, tokenizer.bos, tokenizer.eos)
        own = network.log_probs(vectors, batch, tokenizer.bos)
        everyday = network.log_probs(np.zeros_like(vectors), batch, tokenizer.bos)
        state = network.mean_outputs(vectors, batch, tokenizer.bos)
        numbers[part] = look([texts[i] for i in part], ids, own, everyday, state).numbers
    return Seen(tokens, numbers)


class Funny:
    """A linear scorer. What it says can be compared among texts of one picture only; its spread there is about 1."""

    def __init__(self, units: Floats, numbers: Floats, mean: Floats, scale: Floats) -> None:
        """Take the weights.

        Args:
            units: (V,) for each unit of the tokenizer. numbers: (SURFACE + hidden,) for the numbers.
            mean, scale: (SURFACE + hidden,) that the numbers have over the jokes that were learned from.

        Raises ValueError where the sizes do not fit.
        """
        if units.ndim != 1 or numbers.ndim != 1 or not numbers.shape == mean.shape == scale.shape:
            raise ValueError(f"weights {units.shape} and {numbers.shape}, means {mean.shape}, scales {scale.shape}")
        self.units, self.numbers = units.astype(np.float32), numbers.astype(np.float32)
        self.mean, self.scale = mean.astype(np.float32), scale.astype(np.float32)

    def __call__(self, seen: Seen) -> NDArray[np.float64]:
        """How funny texts are: (N,)."""
        by_units = [float(self.units[np.unique(np.asarray(ids, np.int64))].sum()) for ids in seen.tokens]
        return np.array(by_units) + standardised(seen.numbers, self.mean, self.scale) @ self.numbers

    def fits(self, network: Network) -> bool:
        """Whether these are weights for that decoder."""
        return (len(self.units), len(self.numbers)) == (network.vocabulary, SURFACE + network.hidden)

    def files(self) -> dict[str, bytes]:
        """For `Bundle.extra`; the same for the same weights."""
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "scale": self.scale}
        return {FILE: npz_bytes({**arrays, "units": self.units.astype(np.float16), "numbers": self.numbers})}

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> Funny | None:
        """The scorer among a bundle's files; None where it carries none. Raises ValueError where it is damaged."""
        if FILE not in files:
            return None
        arrays = read_npz(files[FILE])
        if missing := {"units", "numbers", "mean", "scale"} - set(arrays):
            raise ValueError(f"{FILE} lacks {', '.join(sorted(missing))}")
        return cls(arrays["units"], arrays["numbers"], arrays["mean"], arrays["scale"])


def standardised(numbers: Floats, mean: Floats, scale: Floats) -> Floats:
    """Numbers (N, K) in standard deviations."""
    return np.clip((numbers - mean) / scale, -FURTHEST, FURTHEST).astype(np.float32)

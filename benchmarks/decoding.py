"""`python -m benchmarks.decoding`: how long the candidates for one picture take, beside their bare matrix products.

Both are measured in turns within one run; the ratio is the median over the rounds. The network runs once as a bundle's
decoder alone and once with trigrams mixed in, counted in texts that it made up itself, so that what it writes has been
counted about as often as in a model of as many jokes. The beam of mode `article` is measured along.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bokemodel.bundle import load_bundle
from bokemodel.model import STARTER
from bokemodel.network import Network
from bokemodel.search import SearchSettings, beam_search, sample
from bokemodel.trigrams import NAMES, Trigrams

Floats = NDArray[np.float32]
SHARE = 0.2  # of the trigrams, as in the default recipe
TEXTS = 4_096  # in which they are counted

clock = time.process_time  # processor time of all threads: other programs do not slow it down


class Ids:
    """A tokenizer whose texts are the ids; endless ones are all as long as they may be."""

    bos, eos = 1, 2

    def __init__(self, endless: bool) -> None:
        self._never = [0, 1, 2] if endless else [0, 1]

    def never(self) -> list[int]:
        return self._never

    def decode(self, ids: Any) -> str:
        return " ".join(map(str, ids))


def products(network: Network, rows: int, steps: int) -> None:
    """The matrix products of as many rows and steps, and nothing else."""
    h = np.zeros((rows, len(network.reads)), np.float32)
    for _ in range(steps):
        h @ network.reads


def some_pictures(network: Network, count: int) -> Floats:
    pictures = np.random.default_rng(0).standard_normal((count, network.feature_dim)).astype(np.float32)
    return pictures / np.linalg.norm(pictures, axis=1, keepdims=True)


def counted(network: Network, tokens: int) -> dict[str, NDArray[Any]]:
    """Trigrams of texts that the network makes up."""
    settings = SearchSettings(candidates=64, max_tokens=tokens)
    pictures = some_pictures(network, TEXTS // settings.candidates)
    found = sample(network, Ids(endless=False), pictures, settings, range(len(pictures)))  # type: ignore[arg-type]
    texts = [candidate.tokens for candidates in found for candidate in candidates]
    return Trigrams.learn(texts, network.vocabulary, Ids.bos, Ids.eos, SHARE)


def measure(network: Network, candidates: int, tokens: int, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time, medians over the rounds."""
    settings = SearchSettings(candidates=candidates, max_tokens=tokens)
    picture, tokenizer = some_pictures(network, 1), Ids(endless=True)
    times: dict[str, list[float]] = {"sample": [], "products": [], "beam": []}
    for seed in range(rounds + 1):
        began = clock()
        sample(network, tokenizer, picture, settings, [seed])  # type: ignore[arg-type]
        sampled = clock()
        products(network, candidates, tokens + 1)
        multiplied = clock()
        beam_search(network, tokenizer, picture, settings)  # type: ignore[arg-type]
        times["sample"].append(sampled - began)
        times["products"].append(multiplied - sampled)
        times["beam"].append(clock() - multiplied)
    ratio = np.median(np.array(times["sample"][1:]) / np.array(times["products"][1:]))
    found = {f"{name}_ms": round(1000 * float(np.median(t[1:])), 2) for name, t in times.items()}
    return {**found, "ratio": round(float(ratio), 2), "fastest_ms": round(1000 * min(times["sample"]), 2)}


def main(
    model: Annotated[Path, typer.Option(help="A bundle.")] = STARTER,
    candidates: int = 32,
    tokens: int = 24,
    rounds: int = 40,
    json_output: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure how fast jokes are written."""
    arrays = {name: array for name, array in load_bundle(model).arrays.items() if name not in NAMES}
    network = Network(arrays)
    mixed = Network({**arrays, **counted(network, tokens)})
    found = {
        "decoder alone": measure(network, candidates, tokens, rounds),
        "with trigrams": measure(mixed, candidates, tokens, rounds),
    }
    if json_output:
        print(json.dumps(found))
        return
    print(f"{candidates} candidates of {tokens} tokens, {network.vocabulary} units, hidden {network.hidden}")
    for title, values in found.items():
        print(title)
        for name, value in values.items():
            print(f"  {name:12} {value:8.2f}")


if __name__ == "__main__":
    typer.run(main)

"""`python -m benchmarks.decoding`: how long the candidates for one picture take, beside their bare matrix products.

All are measured in turns within one run; a ratio is the median over the rounds. Each candidate is read under its picture and
under the mean picture, so that a step has twice as many rows as candidates; here all of them differ from the first word to the
last, while real ones share their beginnings. `products` are the recurrent ones and those of the output layer by NumPy, each for
itself, as a decoder is usually written down; `joined` are the same as one product a step, which is faster. The network
computes with NumPy's products and with those of ONNX Runtime, once as a bundle's decoder alone and once with trigrams mixed
in, counted in texts that it made up itself, so that what it writes has been counted about as often as in a model of as many
jokes. The beam of mode `article` is measured along. One thread.
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bokemodel.bundle import load_bundle
from bokemodel.model import STARTER
from bokemodel.network import Network
from bokemodel.products import OnnxProduct
from bokemodel.search import SearchSettings, beam_search, sample
from bokemodel.trigrams import NAMES, Trigrams
from bot.executors import WorkerProcess
from bot.inference import EngineSettings
from bot.worker import THREAD_VARIABLES
from training.recipe import Recipe

Floats = NDArray[np.float32]
SHARE = Recipe().trigrams
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


def products(rows: int, steps: int, *weights: Floats) -> float:
    """Seconds that the products of a state of so many rows with each of `weights` (H, ...) take in all steps."""
    h = np.zeros((rows, len(weights[0])), np.float32)
    began = clock()
    for _ in range(steps):
        for matrix in weights:
            h @ matrix
    return clock() - began


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
    gates = 4 * network.hidden
    apart = [np.ascontiguousarray(part) for part in (network.reads[:-1, :gates], network.reads[:-1, gates:])]
    times: dict[str, list[float]] = {"sample": [], "products": [], "joined": [], "beam": []}
    for seed in range(-1, rounds):
        began = clock()
        sample(network, tokenizer, picture, settings, [seed + 1])  # type: ignore[arg-type]
        sampled = clock()
        beam_search(network, tokenizer, picture, settings)  # type: ignore[arg-type]
        searched = clock()
        if seed >= 0:  # the first round warms up
            times["sample"].append(1000 * (sampled - began))
            times["beam"].append(1000 * (searched - sampled))
            times["products"].append(1000 * products(2 * candidates, tokens + 1, *apart))
            times["joined"].append(1000 * products(2 * candidates, tokens + 1, network.reads))
    found = {f"{name}_ms": float(np.median(values)) for name, values in times.items()}
    for name in ("products", "joined"):
        found[f"sample / {name}"] = float(np.median(np.array(times["sample"]) / np.array(times[name])))
    return {name: round(value, 2) for name, value in {**found, "fastest_ms": min(times["sample"])}.items()}


def measure_all(model: Path, candidates: int, tokens: int, rounds: int) -> dict[str, dict[str, float]]:
    """Both engines, without trigrams and with them."""
    arrays = {name: array for name, array in load_bundle(model).arrays.items() if name not in NAMES}
    mixed = {**arrays, **counted(Network(arrays), tokens)}
    return {
        f"{engine}, {title}": measure(Network(weights, product), candidates, tokens, rounds)
        for engine, product in (("NumPy", None), ("ONNX Runtime", partial(OnnxProduct, threads=1)))
        for title, weights in (("decoder alone", arrays), ("with trigrams", mixed))
    }


def main(
    model: Annotated[Path, typer.Option(help="A bundle.")] = STARTER,
    candidates: int = 32,
    tokens: int = 24,
    rounds: int = 40,
    json_output: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure how fast jokes are written."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # of the process that measures
    with WorkerProcess(EngineSettings(), "auto") as process:
        found = process.submit(measure_all, model, candidates, tokens, rounds).result()
    if json_output:
        print(json.dumps(found))
        return
    print(f"{candidates} candidates of {tokens} tokens")
    for title, values in found.items():
        print(title)
        for name, value in values.items():
            print(f"  {name:17} {value:8.2f}")


if __name__ == "__main__":
    typer.run(main)

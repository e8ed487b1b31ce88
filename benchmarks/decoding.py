"""`python -m benchmarks.decoding`: how long the candidates for one picture take, beside their bare matrix products.

Both are measured in turns within one run; the ratio is the median over the rounds.
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
from bokemodel.search import SearchSettings, sample

Floats = NDArray[np.float32]


clock = time.process_time  # processor time of all threads: other programs do not slow it down


class EndlessTokenizer:
    """A tokenizer whose texts never end before they are as long as they may be: every candidate is of full length."""

    bos, eos = 1, 2

    def never(self) -> list[int]:
        return [0, 1, 2]

    def decode(self, ids: Any) -> str:
        return " ".join(map(str, ids))


def products(network: Network, rows: int, steps: int) -> None:
    """The matrix products of as many rows and steps, and nothing else."""
    h = np.zeros((rows, network.hidden), np.float32)
    for _ in range(steps):
        h @ network.lstm_u
        h @ network.out_w


def measure(network: Network, candidates: int, tokens: int, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time, medians over the rounds."""
    settings = SearchSettings(candidates=candidates, max_tokens=tokens)
    picture = np.random.default_rng(0).standard_normal((1, network.feature_dim)).astype(np.float32)
    picture /= np.linalg.norm(picture)
    times: dict[str, list[float]] = {"sample": [], "products": []}
    for seed in range(rounds + 1):
        began = clock()
        sample(network, EndlessTokenizer(), picture, settings, [seed])  # type: ignore[arg-type]
        middle = clock()
        products(network, candidates, tokens + 1)
        times["sample"].append(middle - began)
        times["products"].append(clock() - middle)
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
    network = Network(load_bundle(model).arrays)
    found = measure(network, candidates, tokens, rounds)
    if json_output:
        print(json.dumps(found))
        return
    print(f"{candidates} candidates of {tokens} tokens, {network.vocabulary} units, hidden {network.hidden}")
    for name, value in found.items():
        print(f"  {name:12} {value:8.2f}")


if __name__ == "__main__":
    typer.run(main)

"""`python -m benchmarks.training`: how fast the decoder learns, beside PyTorch and beside its own matrix products.

Everything is measured in turns within one run, because a machine's speed drifts: a round of ours, one of PyTorch's (in a
process of its own, with `--torch-python`), one of the bare matrix products of the same batches. The ratios are medians over
the rounds. Time is processor time, times the number of threads: other programs on the machine do not slow it down.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from training.recipe import load_recipe

BOS, EOS = 1, 2
BATCHES = 40
TORCH_HALF = Path(__file__).with_name("torch_training.py")


@dataclass(frozen=True)
class Case:
    """Sizes of a decoder and of its batches."""

    name: str
    vocabulary: int
    embed: int
    hidden: int
    batch: int
    mean_length: int
    tied: bool = False
    dropout: float = 0.0
    feature_dim: int = 1280
    jokes: int = 3000  # of an epoch


def default_case() -> Case:
    """Today's default recipe; the words a joke are flickr8k's."""
    recipe = load_recipe("default")
    decoder = recipe.decoder
    sizes = (recipe.tokenizer.units, decoder.embed, decoder.hidden, recipe.train.batch_size)
    return Case("default", *sizes, 13, decoder.tied, decoder.dropout, decoder.words)


CASES = {"article": Case("article", 3140, 100, 100, 16, 11, feature_dim=4096), "default": default_case()}


def made_up_batches(case: Case) -> list[list[list[int]]]:
    """Texts of like length in each batch, longest first, words by Zipf's law."""
    rng = np.random.default_rng(0)
    likely = 1 / np.arange(3, case.vocabulary + 3)[: case.vocabulary - 3]
    batches = []
    for _ in range(BATCHES):
        length = max(3, int(rng.gamma(6, case.mean_length / 6)))
        lengths = sorted(rng.integers(max(1, length - 1), length + 2, case.batch).tolist(), reverse=True)
        batches.append([(3 + rng.choice(len(likely), n, p=likely / likely.sum())).tolist() for n in lengths])
    return batches


class Ours:
    """One training step after the other, as `training.train` makes them."""

    def __init__(self, case: Case, batches: list[list[list[int]]]) -> None:
        from bokemodel.decoder import Decoder, DecoderConfig
        from bokemodel.packing import pack
        from training.optimizer import make_optimizer

        config = DecoderConfig(case.vocabulary, case.feature_dim, case.embed, case.hidden, case.tied, case.dropout)
        self.decoder = Decoder(config)
        self.optimizer = make_optimizer(self.decoder, learning_rate=1e-3, clip=5.0)
        rng = np.random.default_rng(0)
        self.batches = [
            (rng.standard_normal((len(texts), case.feature_dim)).astype(np.float32), pack(texts, BOS, EOS))
            for texts in batches
        ]

    def step(self, number: int) -> int:
        pictures, batch = self.batches[number % BATCHES]
        self.optimizer.update(self.decoder.loss, pictures, batch)
        return len(batch.targets)


class Products:
    """The matrix products of a step and nothing else: what no program on this library can be faster than."""

    def __init__(self, case: Case, batches: list[list[list[int]]]) -> None:
        from bokemodel.packing import pack

        self.counts = [pack(texts, BOS, EOS).counts.tolist() for texts in batches]
        rows = max(sum(counts) for counts in self.counts)

        def some(*shape: int) -> NDArray[np.float32]:
            return np.random.default_rng(0).standard_normal(shape, np.float32)

        self.x, self.h, self.gates = some(rows, case.embed), some(rows, case.hidden), some(rows, 4 * case.hidden)
        self.w, self.u = some(4 * case.hidden, case.embed), some(4 * case.hidden, case.hidden)
        self.out, self.logits = some(case.vocabulary, case.hidden), some(rows, case.vocabulary)
        self.pictures, self.img2x = some(case.batch, case.feature_dim), some(case.embed, case.feature_dim)

    def step(self, number: int) -> int:
        counts = self.counts[number % BATCHES]
        n = sum(counts)
        x, h, gates, logits = self.x[:n], self.h[:n], self.gates[:n], self.logits[:n]
        seen = self.pictures @ self.img2x.T
        seen.T @ self.pictures
        x @ self.w.T
        for count in counts:
            h[:count] @ self.u.T
            gates[:count] @ self.u
        h @ self.out.T
        logits @ self.out
        logits.T @ h
        gates @ self.w
        gates.T @ x
        gates.T @ h
        return n


def _rounds(step: Callable[[int], int], threads: int) -> Callable[[float], float]:
    number = 0

    def run(seconds: float) -> float:
        nonlocal number
        tokens, began = 0, time.process_time()
        while time.process_time() - began < seconds * threads:
            tokens += step(number)
            number += 1
        return tokens / (time.process_time() - began) * threads

    return run


class TorchHalf:
    """PyTorch in a process of its own."""

    def __init__(self, python: Path, case: Case, batches: list[list[list[int]]], threads: int) -> None:
        self.process = subprocess.Popen([python, TORCH_HALF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.peak_mib = 0.0
        self._say(json.dumps({**asdict(case), "batches": batches, "bos": BOS, "eos": EOS, "threads": threads}))

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def run(self, seconds: float) -> float:
        self._say(str(seconds))
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.peak_mib = float(answer["peak_mib"])
        return float(answer["tokens_per_s"])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure_case(case: Case, rounds: int, seconds: float, torch_python: Path | None, threads: int) -> dict[str, Any]:
    """Tokens per second of each, and the medians of the ratios within a round."""
    batches = made_up_batches(case)
    ours = _rounds(Ours(case, batches).step, threads)
    ours(seconds / 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    turns: dict[str, Callable[[float], float]] = {
        "ours": ours,
        "products": _rounds(Products(case, batches).step, threads),
    }
    torch_half = TorchHalf(torch_python, case, batches, threads) if torch_python else None
    if torch_half:
        turns["torch"] = torch_half.run
    try:
        for run in turns.values():
            run(seconds / 2)  # caches, and PyTorch's first step
        speeds = {name: [] for name in turns}  # type: dict[str, list[float]]
        for _ in range(rounds):
            for name, run in turns.items():
                speeds[name].append(run(seconds))
    finally:
        if torch_half:
            torch_half.close()
    found: dict[str, Any] = {f"{name}_tokens_per_s": round(float(np.median(s))) for name, s in speeds.items()}
    for name in set(turns) - {"ours"}:
        ratio = np.median(np.array(speeds["ours"]) / np.array(speeds[name]))
        found[f"ours_over_{name}"] = round(float(ratio), 3)
    found["epoch_s"] = round(case.jokes * (case.mean_length + 1) / found["ours_tokens_per_s"], 1)
    found["peak_mib"] = round(peak)
    if torch_half:
        found["torch_peak_mib"] = round(torch_half.peak_mib)
    return found


def main(
    case: Annotated[list[str] | None, typer.Option(help=f"Only this: {', '.join(CASES)}.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="Of each turn.")] = 2.0,
    torch_python: Annotated[Path | None, typer.Option(help="An interpreter that has torch and numpy.")] = None,
    json_output: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure how fast the decoder learns."""
    threads = int(os.environ.get("OPENBLAS_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
    results = {}
    for name in case or CASES:
        # Each case in a process of its own, so that its peak memory is its own.
        if case is None or len(case) > 1:
            command = [sys.executable, "-m", "benchmarks.training", "--case", name, "--json"]
            command += ["--rounds", str(rounds), "--seconds", str(seconds)]
            command += ["--torch-python", str(torch_python)] if torch_python else []
            results[name] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)[name]
        else:
            results[name] = measure_case(CASES[name], rounds, seconds, torch_python, threads)
    if json_output:
        print(json.dumps(results))
        return
    for name, found in results.items():
        print(f"{name} ({threads} threads)")
        for key, value in found.items():
            print(f"  {key:24} {value:,}")


if __name__ == "__main__":
    typer.run(main)

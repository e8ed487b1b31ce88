"""A corpus of eight photos and 64 short jokes, and a recipe that learns it in a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from store.config import Config
from store.database import Database, open_database
from tests.bundles import DOES, WHO
from training.bringing import Options
from training.recipe import Recipe, load_recipe
from training.retrain import Ended, retrain

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = sorted((ROOT / "tests" / "data").glob("*.jpg"))
JOKES = 8  # of each photo
# With two held-out pictures it is chance whether a model is worse than the one before in these respects.
BY_CHANCE = ("max_grounding_drop", "max_novelty_drop", "max_self_repeat_rise")
RECIPE = """
trigrams = 0.2  # more of them, or longer units, and eight sentences are learned by heart
[tokenizer]
units = 400
method = "unigram"
[decoder]
embed = 24
hidden = 24
tied = true
words = 8
[train]
epochs = {epochs}
batch_size = 16
learning_rate = {rate}
[warm_start]
epochs = {epochs}
learning_rate = {rate}
"""


def write_corpus(folder: Path, *, jokes: int = JOKES, photos: int = len(PHOTOS), first: int = 0) -> Path:
    """A corpus file with its pictures; the last two photos are held out. `first` moves the texts on."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, photo in enumerate(PHOTOS[:photos]):
        shutil.copy(photo, folder / "images")
        split = "dev" if number >= len(PHOTOS) - 2 else "train"
        for joke in range(first, first + jokes):
            text = WHO[(number + joke) % len(WHO)] + DOES[(3 * number + joke) % len(DOES)]
            facts = {"image": f"images/{photo.name}", "text": text, "stars": joke, "ratings": 1 + joke, "split": split}
            lines.append(json.dumps(facts, ensure_ascii=False))
    path = folder / f"corpus-{first}.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_recipe(folder: Path, *, epochs: int = 4, rate: float = 0.01, more: str = "") -> Path:
    """A recipe for the small corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.toml"
    path.write_text(RECIPE.format(epochs=epochs, rate=rate) + more, encoding="utf-8")
    return path


def small_recipe(folder: Path, *, epochs: int = 4, rate: float = 0.01, more: str = "") -> Recipe:
    return load_recipe(str(write_recipe(folder, epochs=epochs, rate=rate, more=more)))


class SmallHouse:
    """A configuration, its database, and runs over the small corpus within this process."""

    def __init__(self, make_config: Callable[..., Config], folder: Path, **sections: dict[str, object]) -> None:
        sections["retrain"] = {"min_jokes": 20, **dict.fromkeys(BY_CHANCE, 1.0), **sections.get("retrain", {})}
        self.folder = folder
        self.config = make_config(**sections)
        self.database: Database = open_database(self.config.database.url)
        self.models = self.config.models.dir

    def run(self, recipe: Recipe, *imports: Path, force: bool = False, device: str = "cpu") -> Ended:
        options = Options(recipe, self.models, imports=imports, force=force, device=device)
        return retrain(self.config, self.database, options)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """For a program that runs with its data in `folder`."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "BOKE__DATA__DIR": str(folder / "data"),
        "BOKE__MODELS__DIR": str(folder / "models"),
        "BOKE__RETRAIN__MIN_JOKES": "20",
        **{f"BOKE__RETRAIN__{key.upper()}": "1" for key in BY_CHANCE},
        "OPENBLAS_NUM_THREADS": "1",  # several programs at once would wait for each other
        **variables,
    }


def start(folder: Path, *arguments: str, crawl: bool = False, **variables: str) -> subprocess.Popen[str]:
    """`python -m training.retrain` as a process of its own, without a crawl; stdout and stderr are pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "training.retrain", *(() if crawl else ("--no-crawl",)), *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err

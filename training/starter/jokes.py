"""The starter corpus: jokes by subject, and which ImageNet classes show each subject.

A subject's file entry has `jokes`, each standing alone, and `setups` and `punchlines`, of which any two make a joke together.
They teach the model to make new sentences: it learns from some of the pairs, and the others (`held_out`) are never shown
to it, so that what it recombines by itself can be counted.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("subjects")


@dataclass(frozen=True)
class Subject:
    """Something that people post, and what is said of it. `classes` are indices of ImageNet-1k."""

    id: str
    ja: str
    classes: tuple[int, ...]
    jokes: tuple[str, ...]
    setups: tuple[str, ...]
    punchlines: tuple[str, ...]

    @property
    def crossed(self) -> tuple[str, ...]:
        """The pairs of setup and punchline that are learned: three of five for each setup and each punchline."""
        return tuple(text for text, held_out in self._pairs() if not held_out)

    @property
    def held_out(self) -> tuple[str, ...]:
        """The pairs that no training ever sees."""
        return tuple(text for text, held_out in self._pairs() if held_out)

    def _pairs(self) -> list[tuple[str, bool]]:
        return [
            (setup + punchline, (i + j) % 5 >= 3)
            for i, setup in enumerate(self.setups)
            for j, punchline in enumerate(self.punchlines)
        ]


@cache
def load_subjects() -> tuple[Subject, ...]:
    """All subjects, in the order of files and lines."""
    subjects = []
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["subject"]:
            subjects.append(
                Subject(
                    entry["id"],
                    entry["ja"],
                    tuple(entry["classes"]),
                    tuple(entry["jokes"]),
                    tuple(entry["setups"]),
                    tuple(entry["punchlines"]),
                )
            )
    return tuple(subjects)


@cache
def subject_of_class() -> dict[int, str]:
    """ImageNet class index to the subject that it shows; every class shows exactly one."""
    return {index: subject.id for subject in load_subjects() for index in subject.classes}

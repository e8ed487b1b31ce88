"""Where a run keeps what it has done so far, so that the next one continues if it is killed: data.dir/snapshots/KEY."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from training.snapshots import write_whole

FOLDER, FACTS = "snapshots", "run.json"
MOST_AGE = timedelta(days=7)  # older work is begun anew


@dataclass(frozen=True)
class Begun:
    """A piece of work that was begun.

    Attributes:
        run: number of the run that wrote last.
        started: ISO 8601, UTC; the moment that the bundle will carry.
        champion: digest of the model that was live then; "" for none.
        fingerprint: of the jokes it learns from.
    """

    run: int
    started: str
    champion: str
    fingerprint: str


class Workplace:
    """The folder of one kind of run: same recipe, encoder, seed and models folder."""

    def __init__(self, data_dir: Path, *kind: object) -> None:
        self.key = hashlib.sha256(json.dumps([str(part) for part in kind]).encode()).hexdigest()
        self.root = data_dir / FOLDER
        self.folder = self.root / self.key[:16]

    @property
    def begun(self) -> Begun | None:
        """What was begun here, if it is worth going on."""
        try:
            begun = Begun(**json.loads((self.folder / FACTS).read_bytes()))
            age = datetime.now(UTC) - datetime.fromisoformat(begun.started)
        except (OSError, ValueError, TypeError):
            return None
        return begun if timedelta(0) <= age < MOST_AGE else None

    def note(self, begun: Begun) -> None:
        """Keep what was begun. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / FACTS, json.dumps(asdict(begun)).encode())

    def clear(self) -> None:
        """Nothing to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear_old(self) -> None:
        """Remove what other kinds of run left behind long ago."""
        oldest = (datetime.now(UTC) - MOST_AGE).timestamp()
        for folder in self.root.iterdir() if self.root.is_dir() else []:
            if folder != self.folder and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

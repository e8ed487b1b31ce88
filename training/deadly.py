"""Pictures that processes died of which were to encode them. They are left out from then on, so that they cost no other night.

They stand beside the vectors of the same network, in deadly.txt: a line for each, its digest and its path. Another network, or
other weights, tries them anew; to have this one do so, remove the file, or a line of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from training.corpus import StoredPicture

NAME = "deadly.txt"
_LINE = re.compile(r"([0-9a-f]{64})(?: .*)?")  # a line that a full disk cut short is none


def read_deadly(folder: Path) -> frozenset[str]:
    """The digests, hex; none where there is no such file."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(found[1] for line in lines if (found := _LINE.fullmatch(line)))


def add_deadly(folder: Path, pictures: Sequence[StoredPicture]) -> None:
    """Remember pictures; after it they outlast a power cut. Raises: OSError"""
    with (folder / NAME).open("a", encoding="utf-8") as stream:
        # A line that was cut short must not swallow the next.
        stream.writelines(f"\n{picture.digest} {picture.path}" for picture in pictures)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())


def left_out(folder: Path, picture: StoredPicture) -> str:
    """Why it is left out, for people."""
    return f"{picture.path}: processes died of it before, it is left out; to try it again, remove {folder / NAME}"

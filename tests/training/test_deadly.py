from __future__ import annotations

from pathlib import Path

import pytest

from training.corpus import StoredPicture
from training.deadly import NAME, add_deadly, left_out, read_deadly

SOME = [StoredPicture(letter * 64, f"pictures/{letter} and a blank.png") for letter in "abc"]


def test_pictures_are_remembered_one_by_one(tmp_path: Path) -> None:
    assert read_deadly(tmp_path) == frozenset()
    for picture in SOME:
        add_deadly(tmp_path, [picture])
    assert read_deadly(tmp_path) == {picture.digest for picture in SOME}
    assert str(tmp_path / NAME) in left_out(tmp_path, SOME[0])


@pytest.mark.parametrize("cut", [10, 64, 70])
def test_a_line_that_is_cut_short_takes_no_other_along(tmp_path: Path, cut: int) -> None:
    add_deadly(tmp_path, SOME[:2])
    content = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(content[: content.index("b" * 64) + cut])
    add_deadly(tmp_path, SOME[2:])
    kept = {"a" * 64, "c" * 64} | ({"b" * 64} if cut >= 64 else set())
    assert read_deadly(tmp_path) == kept


def test_people_may_take_out_a_line(tmp_path: Path) -> None:
    add_deadly(tmp_path, SOME)
    lines = (tmp_path / NAME).read_text().splitlines()
    (tmp_path / NAME).write_text("\n".join(line for line in lines if not line.startswith("b")))
    assert read_deadly(tmp_path) == {"a" * 64, "c" * 64}

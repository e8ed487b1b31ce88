"""When odd pages are an accident and when they are a new layout."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.servers.bokete.world import FIRST_DAY
from training.crawl.unknown import KEPT, keep_unknown, too_many


@pytest.mark.parametrize(
    ("unknown", "pages", "at_end", "failed"),
    [
        (0, 0, True, False),
        (0, 100, True, False),
        (1, 0, True, True),  # all there is
        (2, 5, True, False),  # a quiet night with two odd pages
        (3, 5, True, True),
        (3, 5, False, False),  # too early to say
        (3, 17, False, True),
        (5, 95, True, False),  # exactly the share
        (6, 94, True, True),
        (20, 0, False, True),
    ],
)
def test_too_many(unknown: int, pages: int, at_end: bool, failed: bool) -> None:
    assert too_many(unknown, pages, 0.05, at_end=at_end) is failed


def test_the_newest_pages_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        path = keep_unknown(tmp_path, f"http://x/odai/{number}", b"<x-app>", FIRST_DAY + timedelta(seconds=number))
        assert path is not None
    kept = sorted((tmp_path / "unknown-pages").iterdir())
    assert len(kept) == KEPT
    assert "odai-5-" in kept[0].name
    assert kept[-1].read_bytes() == b"<x-app>"


def test_no_place_to_keep_them_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "unknown-pages").write_text("in the way")
    assert keep_unknown(tmp_path, "http://x/odai/1", b"", FIRST_DAY) is None
    assert "cannot be kept" in caplog.text

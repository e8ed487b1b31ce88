"""Pages of no known layout: kept for inspection, and counted, because a few are an accident and many are a new layout."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

FOLDER = "unknown-pages"
KEPT = 50  # files; older ones make room
EARLY = 20  # pages after which the share is looked at before the crawl's end
ACCIDENT = 2  # so many alone never fail a crawl in which other pages were understood


def keep_unknown(data_dir: Path, url: str, body: bytes, moment: datetime) -> Path | None:
    """Write the page beside the corpus. None: it cannot be written, which is no reason to stop."""
    folder = data_dir / FOLDER
    name = "-".join(part for part in urlsplit(url).path.split("/") if part)[:60] or "page"
    path = folder / f"{moment:%Y%m%d-%H%M%S}-{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        for old in sorted(folder.glob("*.html"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s is of no known layout and cannot be kept: %s", url, error)
        return None
    return path


def too_many(unknown: int, pages: int, share: float, *, at_end: bool) -> bool:
    """Is this a new layout? `pages`: those that were understood."""
    every = unknown + pages
    if not unknown or (every < EARLY and not at_end):
        return False
    return pages == 0 or (unknown > ACCIDENT and unknown > share * every)

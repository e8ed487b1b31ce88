"""What a crawl did, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True)
class CrawlReport:
    """Counts of one crawl, so far or at its end.

    Attributes:
        requests: all of them, robots.txt, pictures and repeated ones too.
        pages: pages of the site that were read.
        unchanged: pages that the site said, or that turned out, to be as before.
        new_odai, new_boke: not in the corpus before.
        updated_boke: in the corpus before, read again.
        pictures: files that were fetched; bad_pictures: those that were none.
        missing: 404s of odai and jokes that the corpus has.
        gone: jokes that left the corpus.
        unknown: pages of no known layout, kept under data.dir/unknown-pages.
        failed: addresses that could not be had this time.
        forbidden: addresses that robots.txt or the hosts' rule closes.
        waits: how often the site said "too fast".
        layouts: pages by generation of the layout.
        lists_gone: lists that answered 404.
        warnings: lines for the owner.
        ended: "done", or what ran out.
    """

    requests: int = 0
    pages: int = 0
    unchanged: int = 0
    new_odai: int = 0
    new_boke: int = 0
    updated_boke: int = 0
    pictures: int = 0
    bad_pictures: int = 0
    missing: int = 0
    gone: int = 0
    unknown: int = 0
    failed: int = 0
    forbidden: int = 0
    waits: int = 0
    layouts: Mapping[int, int] = field(default_factory=dict)
    lists_gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ended: Literal["running", "done", "budget", "hours"] = "running"
    seconds: float = 0.0

    def plus(self, **counts: int) -> CrawlReport:
        """The report with some counts higher."""
        changed: dict[str, Any] = {name: getattr(self, name) + count for name, count in counts.items()}
        return replace(self, **changed)

    def with_layout(self, generation: int) -> CrawlReport:
        """The report with one more page of that layout."""
        return replace(self, layouts={**self.layouts, generation: self.layouts.get(generation, 0) + 1})

    def with_warning(self, line: str) -> CrawlReport:
        """The report with a line for the owner, once."""
        return self if line in self.warnings else replace(self, warnings=(*self.warnings, line))


Progress = Callable[[CrawlReport], None]

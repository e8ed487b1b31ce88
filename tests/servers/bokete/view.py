"""What one page of the site shows, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from tests.servers.bokete.world import SiteBoke, SiteOdai


@dataclass(frozen=True)
class View:
    """A page before it is drawn.

    Attributes:
        entries: the jokes on it, each with its odai.
        odai: whose page it is, on pages of an odai.
        number: of the list's page, 0 is the first.
        next_path: of the list's next page; "" on the last.
        picture: address of an odai's picture in a size.
        joke_count: how many jokes an odai has.
    """

    kind: Literal["list", "odai", "boke"]
    title: str
    entries: tuple[tuple[SiteOdai, SiteBoke], ...]
    odai: SiteOdai | None
    number: int
    next_path: str
    categories: tuple[str, ...]
    jokes_in_all: int
    odai_in_all: int
    picture: Callable[[SiteOdai, int], str]
    joke_count: Callable[[SiteOdai], int]


def japan_day(moment: datetime) -> str:
    """A day as the site writes it."""
    return moment.astimezone(timezone(timedelta(hours=9))).strftime("%Y年%m月%d日")

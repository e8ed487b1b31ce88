"""What a page of the site holds, as every layout's parser gives it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

PageKind = Literal["list", "odai", "boke", "not_found", "too_fast"]


@dataclass(frozen=True)
class ParsedOdai:
    """One picture as the site posed it.

    Attributes:
        external_id: the site's id in digits; `photo-{name of the picture}` where a page names the picture only.
        picture_url: absolute address, as the page has it.
        title: words that belong to the picture.
        boke_count: jokes of it, as the site says.
        posted: in UTC.
    """

    external_id: str
    picture_url: str | None = None
    category: str | None = None
    title: str | None = None
    boke_count: int | None = None
    posted: datetime | None = None


@dataclass(frozen=True)
class ParsedBoke:
    """One joke.

    Attributes:
        external_id: the site's id in digits.
        odai_id: `external_id` of its ParsedOdai.
        text: as people read it; line breaks are "\\n", wide spaces stay.
        stars: sum of the stars given; None where the page does not say.
        ratings: how many people gave them.
        flagged: the site marks it as not for everybody.
        posted, last_rated: in UTC; None where the page only says "5 hours ago".
    """

    external_id: str
    odai_id: str
    text: str
    stars: int | None = None
    ratings: int | None = None
    category: str | None = None
    flagged: bool = False
    posted: datetime | None = None
    last_rated: datetime | None = None


@dataclass(frozen=True)
class Page:
    """One page, read.

    Attributes:
        kind: "not_found" and "too_fast" are pages that say so in words, whatever their HTTP status.
        generation: 1, 2 or 3; 0 for the two pages of words, which look alike in all.
        odai: each odai once.
        jokes: in the page's order, each once.
        next: address of the list's next page where there is a link to it.
        last: the list's own pager says that there is no further page.
        categories: names of the categories that the page links to.
    """

    url: str
    kind: PageKind
    generation: int
    odai: tuple[ParsedOdai, ...] = ()
    jokes: tuple[ParsedBoke, ...] = ()
    next: str | None = None
    last: bool = False
    categories: tuple[str, ...] = field(default=())

"""Which layout a page is of, and what it holds: `parse_page(url, html) -> Page`. No network, no database, no clock."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode

from training.crawl import generation1, generation2, generation3, reading
from training.crawl.errors import UnknownLayout
from training.crawl.parsed import Page, PageKind, ParsedBoke, ParsedOdai

__all__ = [
    "NOT_FOUND",
    "TOO_FAST",
    "Page",
    "PageKind",
    "ParsedBoke",
    "ParsedOdai",
    "is_too_fast",
    "names_nothing",
    "parse_page",
]

NOT_FOUND = "ページが見つかりません"
TOO_FAST = "エラーが発生しました。"
_LAYOUTS = (generation3, generation1, generation2)


def parse_page(url: str, html: str) -> Page:
    """Read a page of the site.

    Args:
        url: its address, by which links are completed and the kind of page is known.
        html: the whole page.

    Returns:
        What it holds. `kind` is "not_found" or "too_fast" for the pages that say so in words and hold nothing else.

    Raises:
        UnknownLayout: it is of none of the three layouts, or of one but without what such a page must have.
    """
    document = LexborHTMLParser(html)
    layout = next((layout for layout in _LAYOUTS if layout.recognise(document)), None)
    page = layout.parse(url, document) if layout is not None else None
    if (spoken := _spoken(document, page)) is not None:
        return Page(url, spoken, 0)
    if page is not None and (page.jokes or page.odai):
        return page
    if page is None:
        raise UnknownLayout(f"{url} is of no known layout")
    main = document.css_first(layout.MAIN) if layout is not None else None
    if page.kind != "list" or not _names_nothing(main or document.body):
        raise UnknownLayout(f"{url} looks like layout {page.generation}, but holds neither picture nor joke")
    return page


def is_too_fast(url: str, html: str) -> bool:
    """Does this page say, in words, that requests come too fast?"""
    try:
        return TOO_FAST in html and parse_page(url, html).kind == "too_fast"
    except UnknownLayout:
        return False


def names_nothing(html: str) -> bool:
    """No link to an odai or a joke and no picture of one: the empty page behind the end of a list, in any layout."""
    return _names_nothing(LexborHTMLParser(html).body)


def _spoken(document: LexborHTMLParser, page: Page | None) -> PageKind | None:
    """What a page says in words instead of holding anything. A joke may hold these words too."""
    shown = reading.words(document.body) if document.body is not None else ""
    held = [boke.text for boke in page.jokes] + [odai.title or "" for odai in page.odai] if page is not None else []
    kinds: tuple[tuple[str, PageKind], ...] = ((TOO_FAST, "too_fast"), (NOT_FOUND, "not_found"))
    return next((kind for words, kind in kinds if words in shown and not any(words in text for text in held)), None)


def _names_nothing(node: LexborNode | None) -> bool:
    if node is None:
        return True
    linked = any(reading.id_in(h, "odai") or reading.id_in(h, "boke") for h in reading.links(node))
    return not linked and node.css_first("img[src*='/photo/odai/']") is None

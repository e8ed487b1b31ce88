"""The layout since 2022, a Next.js application: the page's data as JSON where it is embedded, else what it shows.

What it shows: `<main>`'s first column holds one `div` per block. On the page of an odai the first block is the picture and each
later one a joke; on lists every block is a joke with its picture.
"""

from __future__ import annotations

from dataclasses import replace

from selectolax.lexbor import LexborHTMLParser, LexborNode

from training.crawl import next_data, reading
from training.crawl.parsed import Page, ParsedBoke, ParsedOdai

_HEADINGS = ("a[href*='/boke/'] h1", "a h1")
_PICTURE = "figure img[src]"
MAIN = "#__next main"  # where jokes stand; around it are links to other people's


def recognise(document: LexborHTMLParser) -> bool:
    """Is this page of this layout?"""
    return document.css_first("#__next") is not None


def parse(url: str, document: LexborHTMLParser) -> Page:
    """Read a page that `recognise` took."""
    kind = reading.kind_of(url)
    script = document.css_first("script#__NEXT_DATA__")
    odai, jokes = next_data.read(url, script.text() if script is not None else "")
    shown_odai, shown_jokes = _shown(url, document)
    if not jokes:
        jokes = shown_jokes
    missing = {boke.odai_id for boke in jokes} - {o.external_id for o in odai if o.picture_url}
    page_odai = reading.id_in(url, "odai")
    odai = [*odai, *(o for o in shown_odai if o.external_id in missing or o.external_id == page_odai)]
    root = document.css_first("#__next")
    named = [boke.category for boke in jokes if boke.category and not boke.category.isdecimal()]
    return Page(
        url=url,
        kind=kind,
        generation=3,
        odai=reading.joined_odai(odai),
        jokes=reading.joined_jokes(jokes),
        categories=tuple(dict.fromkeys((*(reading.categories(root) if root is not None else ()), *named))),
    )


def _shown(url: str, document: LexborHTMLParser) -> tuple[list[ParsedOdai], list[ParsedBoke]]:
    main = document.css_first("#__next main") or document.css_first("#__next")
    if main is None:
        return [], []
    page_odai = reading.id_in(url, "odai")
    is_list = reading.kind_of(url) == "list"
    heading = next((query for query in _HEADINGS if main.css_first(query) is not None), _HEADINGS[0])
    alone = _odai(url, main, page_odai)
    odai = [alone] if alone and not is_list else []
    jokes = []
    blocks = _blocks(main, heading, alone_picture=bool(page_odai))
    for block in blocks:
        found = None if page_odai else _odai(url, block, None)
        found = found or (alone if not is_list or len(blocks) == 1 else None)
        boke = _boke(block, heading, found.external_id) if found is not None else None
        if found is not None and boke is not None:
            odai.append(found)
            jokes.append(replace(boke, category=next(iter(reading.categories(block)), None)))
    return odai, jokes


def _blocks(main: LexborNode, heading: str, *, alone_picture: bool) -> list[LexborNode]:
    """The column's blocks that hold a joke: the largest elements around each heading that hold no other."""
    block = main.css_first(heading)
    if block is None:
        return []
    while (parent := block.parent) is not None and block != main:
        if len(parent.css(heading)) > 1 or (alone_picture and parent.css_first(_PICTURE) is not None) or parent == main:
            break
        block = parent
    column = block.parent
    return [child for child in column.iter() if child.css_first(heading) is not None] if column is not None else []


def _odai(url: str, node: LexborNode, known_id: str | None) -> ParsedOdai | None:
    image = node.css_first(_PICTURE)
    if image is None:
        return None
    around = image.parent
    while around is not None and around.tag != "a" and around != node:
        around = around.parent
    hrefs = [around.attributes.get("href") or ""] if around is not None else []
    external_id = known_id or next(
        filter(None, (reading.id_in(h, "odai") for h in (*hrefs, *reading.links(node)))), None
    )
    picture_url = reading.address(url, image.attributes["src"])
    key = reading.odai_key(external_id, picture_url)
    return ParsedOdai(key, picture_url, title=reading.clean(image.attributes.get("alt") or "") or None) if key else None


def _boke(block: LexborNode, heading: str, odai_id: str) -> ParsedBoke | None:
    headline = block.css_first(heading)
    anchors = block.css("a[href]")
    own = next((a for a in anchors if headline in a.css("h1")), None)
    if headline is None or own is None:
        return None
    ids = (reading.id_in(a.attributes.get("href"), "boke") for a in (own, *anchors))
    boke_id = next(filter(None, ids), None)
    text = reading.words(headline)
    if boke_id is None or not text:
        return None
    below = [reading.words(a) for a in anchors[anchors.index(own) + 1 :]]
    return ParsedBoke(
        external_id=boke_id,
        odai_id=odai_id,
        text=text,
        stars=next((count for label in below if (count := reading.number(label)) is not None), None),
        posted=next(filter(None, (reading.moment(label) for label in below)), None),
    )

"""The layout of about 2012 to 2016: `div.boke-entry` holds one joke with its picture, on lists and on pages of one odai."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode

from training.crawl import reading
from training.crawl.parsed import Page, ParsedBoke, ParsedOdai

MAIN = ".main_container"  # where jokes stand; around it are links to other people's


def recognise(document: LexborHTMLParser) -> bool:
    """Is this page of this layout?"""
    return document.css_first("div.boke-entry, p.boke_read") is not None or (
        document.css_first("#gnavi") is not None and document.css_first(".main_container") is not None
    )


def parse(url: str, document: LexborHTMLParser) -> Page:
    """Read a page that `recognise` took."""
    kind = reading.kind_of(url)
    odai, jokes = [], []
    main = document.css_first(".main_container") or document.body
    if kind != "list" and main is not None and (alone := _odai(url, main, reading.id_in(url, "odai"))):
        odai.append(alone)  # a page without jokes still has its picture
    for entry in document.css("div.boke-entry"):
        found = _odai(url, entry, None) or (odai[0] if odai and kind != "list" else None)
        if found is not None:
            odai.append(found)
            jokes += [boke for boke in [_boke(entry, found.external_id)] if boke]
    pager = document.css_first("#pager-plusone")
    following = document.css_first(".pager-plusone-next a[href]")
    return Page(
        url=url,
        kind=kind,
        generation=1,
        odai=reading.joined_odai(odai),
        jokes=reading.joined_jokes(jokes),
        next=reading.address(url, following.attributes["href"]) if following is not None else None,
        last=pager is not None and following is None,
        categories=reading.categories(document.body) if document.body is not None else (),
    )


def _odai(url: str, node: LexborNode, known_id: str | None) -> ParsedOdai | None:
    image = node.css_first(".photo a[href] img[src]") or node.css_first(".photo img[src]")
    if image is None:
        return None
    link = image.parent
    picture_url = reading.address(url, image.attributes["src"])
    external_id = known_id or reading.id_in(link.attributes.get("href") if link else None, "odai")
    key = reading.odai_key(external_id, picture_url)
    title = reading.clean(image.attributes.get("alt") or "") or None
    return ParsedOdai(key, picture_url, title=title) if key else None


def _boke(entry: LexborNode, odai_id: str) -> ParsedBoke | None:
    read = entry.css_first("p.boke_read")
    info = entry.css_first("p.boke-entry-info")
    own = (entry.attributes.get("id") or "").removeprefix("boke-entry-")
    boke_id = (
        own if own.isdecimal() else next(filter(None, (reading.id_in(h, "boke") for h in reading.links(entry))), None)
    )
    text = reading.words(read) if read is not None else ""
    if not text or boke_id is None:
        return None
    stars, ratings = _rating(entry)
    return ParsedBoke(
        external_id=boke_id,
        odai_id=odai_id,
        text=text,
        stars=stars,
        ratings=ratings,
        category=next(iter(reading.categories(info)), None) if info is not None else None,
        posted=next(filter(None, (reading.moment(reading.words(a)) for a in info.css("a"))), None) if info else None,
    )


def _rating(entry: LexborNode) -> tuple[int | None, int | None]:
    """ "★の合計 <em>1324</em>（595）": the sum of the stars and the number of people."""
    link = entry.css_first(".accordion-header a")
    total = link.css_first("em") if link is not None else None
    if link is None or total is None:
        return None, None
    _, _, behind = reading.words(link).partition("（")
    return reading.number(reading.words(total)), reading.number(behind.partition("）")[0])

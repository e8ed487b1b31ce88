"""The layout of about 2017 to 2021: `div.boke` holds one joke; on lists it stands in `.content-boke` with its picture."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode

from training.crawl import reading
from training.crawl.parsed import Page, ParsedBoke, ParsedOdai

_ENTRIES = ".content-boke > .boke, #content > div.boke"


MAIN = "#content, .content-boke"  # where jokes stand; around it are links to other people's


def recognise(document: LexborHTMLParser) -> bool:
    """Is this page of this layout?"""
    return document.css_first(f".content-boke, div.photo-content img[src], {_ENTRIES}") is not None


def parse(url: str, document: LexborHTMLParser) -> Page:
    """Read a page that `recognise` took."""
    kind = reading.kind_of(url)
    odai, jokes = [], []
    photo = document.css_first("div.photo-content")
    if photo is not None and (alone := _odai(url, photo, reading.id_in(url, "odai"))):
        odai.append(alone)
    for entry in document.css(_ENTRIES):
        frame = entry.css_first(".boke-photo-content")
        found = _odai(url, frame, _odai_id(frame, entry)) if frame is not None else None
        found = found or (odai[0] if odai and kind != "list" else None)
        if found is not None:
            odai.append(found)
            jokes += [boke for boke in [_boke(entry, found.external_id)] if boke]
    following = document.css_first("a[rel=next][href], .next a[href], a.next[href]")
    return Page(
        url=url,
        kind=kind,
        generation=2,
        odai=reading.joined_odai(odai),
        jokes=reading.joined_jokes(jokes),
        next=reading.address(url, following.attributes["href"]) if following is not None else None,
        categories=reading.categories(document.body) if document.body is not None else (),
    )


def _odai(url: str, node: LexborNode, known_id: str | None) -> ParsedOdai | None:
    image = node.css_first("a > img[src]") or node.css_first("img[src]")
    if image is None:
        return None
    picture_url = reading.address(url, image.attributes["src"])
    external_id = known_id or next(filter(None, (reading.id_in(h, "odai") for h in reading.links(node))), None)
    key = reading.odai_key(external_id, picture_url)
    title = reading.clean(image.attributes.get("alt") or "") or None
    return ParsedOdai(key, picture_url, title=title) if key else None


def _odai_id(frame: LexborNode, entry: LexborNode) -> str | None:
    """The picture's own link leads to the odai, or to the joke; then another link of the entry does."""
    return next(filter(None, (reading.id_in(h, "odai") for h in (*reading.links(frame), *reading.links(entry)))), None)


def _boke(entry: LexborNode, odai_id: str) -> ParsedBoke | None:
    link = entry.css_first("a.boke-text")
    if link is None:
        return None
    text = reading.words(link)
    boke_id = reading.id_in(link.attributes.get("href"), "boke")
    if not text or boke_id is None:
        return None
    moments = (reading.moment(reading.words(node)) for node in entry.css("a, time, span"))
    return ParsedBoke(
        external_id=boke_id,
        odai_id=odai_id,
        text=text,
        stars=_stars(entry),
        category=next(iter(reading.categories(entry)), None),
        posted=next(filter(None, moments), None),
    )


def _stars(entry: LexborNode) -> int | None:
    """The second text of the link in `div.boke-stars` ("1,324"); the first one with digits where it is not there."""
    link = entry.css_first("div.boke-stars a")
    if link is None:
        return None
    own = [child.text_content or "" for child in link.iter(include_text=True) if child.is_text_node]
    counts = [reading.number(text) for text in (*own[1:2], *own, reading.words(link))]
    return next((count for count in counts if count is not None), None)

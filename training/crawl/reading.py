"""Small readings that every layout needs: words of an element, numbers, moments, ids in addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from itertools import pairwise
from urllib.parse import unquote, urljoin, urlsplit

from selectolax.lexbor import LexborNode

from training.crawl.parsed import PageKind, ParsedBoke, ParsedOdai

JAPAN = timezone(timedelta(hours=9))  # the site's own clock


def _read_date(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)


_UNSEEN = frozenset({"script", "style", "noscript", "template", "head", "-comment"})
_BLANKS = str.maketrans("\t\r\n\f\v", "     ")
_MARKS = str.maketrans("", "", "★☆⭐,，　 \u00a0\t\n")
_DROPPED = dict.fromkeys([*(c for c in (*range(0x20), *range(0x7F, 0xA0)) if c != ord("\n")), *range(0xD800, 0xE000)])
_DATES = ("%Y年%m月%d日", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H時%M分")
_DATE_READERS: tuple[Callable[[str], datetime], ...] = (
    datetime.fromisoformat,
    *(partial(_read_date, form=date + time) for date in _DATES for time in _TIMES),
)


def words(node: LexborNode) -> str:
    """What people read there: runs of HTML's white space are one space, `<br>` is a line break, wide spaces stay."""
    parts: list[str] = []
    inside = [node.iter(include_text=True)]  # no recursion: nobody bounds how deep a page is
    while inside:
        child = next(inside[-1], None)
        if child is None:
            inside.pop()
        elif child.tag == "-text":
            parts.append((child.text_content or "").translate(_BLANKS))
        elif child.tag == "br":
            parts.append("\v")  # no text holds one by now
        elif child.tag not in _UNSEEN:
            inside.append(child.iter(include_text=True))
    lines = "".join(parts).split("\v")
    return clean("\n".join(" ".join(filter(None, line.split(" "))) for line in lines))


def clean(text: str) -> str:
    """A text that any database takes: no control characters but line breaks, no halves of characters, nothing around it."""
    return text.translate(_DROPPED).strip()


def clip(text: str | None, length: int) -> str | None:
    """A text for a column of that many characters; None for nothing."""
    return (text or "")[:length].strip() or None


def number(text: str) -> int | None:
    """A count such as "1,324" or "★ 595"; None for anything that is more than a count."""
    digits = text.translate(_MARKS)
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def moment(text: str) -> datetime | None:
    """A date, with or without time, as the site writes them (its own time zone), in UTC; None for anything else."""
    written = " ".join(text.split())
    if len(written) < 8 or written.isdecimal():
        return None
    for read in _DATE_READERS:
        try:
            found = read(written)
            return (found if found.tzinfo else found.replace(tzinfo=JAPAN)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def id_in(href: str | None, kind: str) -> str | None:
    """The id in `/odai/591`, `/boke/11141771#rating` and the like; None where the address is of another kind."""
    for here, after in pairwise(_path(href).split("/")):
        if here == kind and after.isdecimal() and after.isascii() and len(after) < 19:
            return after.lstrip("0") or "0"
    return None


def category_in(href: str | None) -> str | None:
    """The name in `/boke/category/{name}` and `/boke/category/{name}/hot`."""
    parts = _path(href).strip("/").split("/")
    return clean(unquote(parts[2]))[:64] or None if len(parts) >= 3 and parts[:2] == ["boke", "category"] else None


def kind_of(url: str) -> PageKind:
    """What an address of the site leads to."""
    if id_in(url, "odai"):
        return "odai"
    return "boke" if id_in(url, "boke") else "list"


def address(url: str, href: str | None) -> str | None:
    """A link as an absolute address; None where it is none, or one that is no web address."""
    try:
        absolute = urljoin(url, (href or "").strip())
        parts = urlsplit(absolute)
        return absolute if href and parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def odai_key(odai_id: str | None, picture_url: str | None) -> str | None:
    """What an odai is stored under: its id, else the name of its picture."""
    if odai_id or not picture_url:
        return odai_id
    name = _path(picture_url).rsplit("/", 1)[-1].split(".")[0].split("_")[0]
    return f"photo-{name[:100]}" if name else None


def links(node: LexborNode) -> list[str]:
    """The addresses that it links to."""
    return [a.attributes.get("href") or "" for a in node.css("a[href]")]


def categories(node: LexborNode) -> tuple[str, ...]:
    """The categories that it links to, each once."""
    return tuple(dict.fromkeys(name for href in links(node) if (name := category_in(href))))


def joined_odai(found: Iterable[ParsedOdai]) -> tuple[ParsedOdai, ...]:
    """Each odai once; where a page names it again, what was missing the first time is filled in."""
    merged: dict[str, ParsedOdai] = {}
    for odai in found:
        known = merged.get(odai.external_id, odai)
        merged[odai.external_id] = ParsedOdai(
            external_id=odai.external_id,
            picture_url=known.picture_url or odai.picture_url,
            category=known.category or odai.category,
            title=known.title or odai.title,
            boke_count=known.boke_count if known.boke_count is not None else odai.boke_count,
            posted=known.posted or odai.posted,
        )
    return tuple(merged.values())


def joined_jokes(found: Iterable[ParsedBoke]) -> tuple[ParsedBoke, ...]:
    """Each joke once, as it was read first."""
    merged: dict[str, ParsedBoke] = {}
    for boke in found:
        merged.setdefault(boke.external_id, boke)
    return tuple(merged.values())


def _path(href: str | None) -> str:
    try:
        return urlsplit(href or "").path
    except ValueError:  # "http://[": pages hold whatever people type
        return ""

"""Which pictures a message holds: attachments, links that Discord shows as pictures, and both in what was forwarded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath

import discord
from yarl import URL

from bot.conversation import PostedPicture
from bot.fetch import Fetcher

# What people call pictures; whether it is one that can be read is found out when it is opened.
SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"],
)
CARRIED = "odai"  # the name of a picture that the bot sends along, because nobody could find it otherwise
_STARTS = {b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"}
_LINK = re.compile(r"https?://[^\s<>|\"'）」』】。、]+")
_SPOILER = re.compile(r"\|\|.+?\|\|", re.DOTALL)


class PictureFinder:
    """Finds the pictures of a message in the order in which people see them. Stickers and emoji are none."""

    def __init__(self, fetcher: Fetcher, *, links: bool) -> None:
        self.fetcher, self.links = fetcher, links

    def of(self, message: discord.Message, *, asked: bool = False) -> list[PostedPicture]:
        """The pictures of a message, each once.

        asked: also those that nobody would answer unasked: of web pages, GIF searches, other bots' embeds, and links that
        Discord has not looked at yet.
        """
        found: dict[str, PostedPicture] = {}
        parts: list[discord.Message | discord.MessageSnapshot] = [message, *message.message_snapshots]
        for part in parts:
            for picture in self._of_part(part, asked):
                found.setdefault(picture.url or "", picture)
        return list(found.values())

    def attached(self, attachment: discord.Attachment) -> PostedPicture:
        """An attachment as a picture. Its `url` is only a name for it: without signature and file name it opens nothing."""
        return PostedPicture(
            partial(self.fetcher.fetch, attachment.url), str(URL(attachment.url).parent), attachment.is_spoiler()
        )

    def linked(self, link: str, *, spoiler: bool = False) -> PostedPicture:
        """What stands behind a link."""
        return PostedPicture(partial(self.fetcher.fetch, link), link, spoiler)

    def _of_part(self, part: discord.Message | discord.MessageSnapshot, asked: bool) -> Iterator[PostedPicture]:
        for attachment in part.attachments:
            if is_picture(attachment):
                yield self.attached(attachment)
        if not self.links:
            return
        hidden = [match.span() for match in _SPOILER.finditer(part.content)]
        links = {m.group(): any(a <= m.start() < b for a, b in hidden) for m in _LINK.finditer(part.content)}
        for embed in part.embeds:
            picture = self._embedded(embed, asked, links)
            if picture is not None:
                yield picture
        if asked:
            for link, spoiler in links.items():
                if looks_like_picture(link) and self._may_fetch(link):
                    yield self.linked(link, spoiler=spoiler)

    def _embedded(self, embed: discord.Embed, asked: bool, links: dict[str, bool]) -> PostedPicture | None:
        """A picture's link comes as an embed of the kind "image"; a web page's picture counts only when asked."""
        if embed.type != "image" and not asked:
            return None
        shown = embed.image if embed.image.url else embed.thumbnail
        addresses = [address for address in (shown.proxy_url, shown.url) if address]
        if not addresses:
            return None
        # Discord's own copy first: then the site behind the link does not learn of the bot, and any site will do.
        address = next(filter(self._may_fetch, addresses), None)
        if address is None and not asked:
            return None
        name = embed.url or shown.url
        return PostedPicture(
            partial(self.fetcher.fetch, address or addresses[-1]), name, links.get(name, False) if name else False
        )

    def _may_fetch(self, address: str) -> bool:
        try:
            return self.fetcher.rules.allows(URL(address))
        except ValueError:
            return False


class Kept:
    """A picture whose bytes are remembered once they were fetched, to be sent along with the answer.

    `picture` is to be answered in the place of the one given.
    """

    def __init__(self, picture: PostedPicture) -> None:
        self.picture = replace(picture, fetch=self._fetch)
        self._fetch_it, self.data = picture.fetch, b""

    async def _fetch(self) -> bytes:
        self.data = await self._fetch_it()
        return self.data

    def file(self) -> discord.File:
        """The picture for a message, under the name by which `locate` knows it again."""
        ending = next((ending for start, ending in _STARTS.items() if self.data.startswith(start)), ".png")
        return discord.File(BytesIO(self.data), f"{CARRIED}{ending}", spoiler=self.picture.spoiler)


def is_picture(attachment: discord.Attachment) -> bool:
    """Is this file called a picture, by its type, or by its name where it has none?"""
    kind = (attachment.content_type or "").partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return kind != "image/svg+xml"
    return kind in ("", "application/octet-stream") and looks_like_picture(attachment.filename)


def looks_like_picture(address: str) -> bool:
    """By the end of its name."""
    return suffix_of(address) in SUFFIXES


def suffix_of(address: str) -> str:
    """ ".png" of an address or a file's name, small; empty where there is none."""
    try:
        return PurePosixPath(URL(address).path).suffix.lower()
    except ValueError:
        return ""


def has_links(text: str) -> bool:
    """May Discord still come up with an embed for this text?"""
    return _LINK.search(text) is not None

"""The pictures of a Slack message: uploaded files, forwarded messages, previews and links, and how to get their bytes.

The bot's token opens private files. It is sent for files that Slack itself named in an event or an answer, to Slack's file
hosts and the host of `slack.base_url`, and never along with a link that somebody wrote.
"""

from __future__ import annotations

import functools
import html
import logging
import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.boke import BokeRefused, megabytes
from bot.chat.slack.client import UNREACHABLE, reason
from bot.conversation import PostedPicture
from bot.fetch import SLACK_HOSTS, Fetcher, FetchRules
from store.config import Config

log = logging.getLogger(__name__)

FILE = (
    "slack-file:"  # before a file's id: how a file is named in buttons and in the database, which keep no address of it
)
GONE = frozenset({"file_deleted", "file_not_found"})
UNSEEN = frozenset({"hidden_by_limit", "tombstone"})  # modes of files that were deleted, or are hidden by a free plan
PICTURE_NAMES = frozenset(
    f".{end}" for end in ("jpg", "jpeg", "png", "gif", "webp", "heic", "heif", "avif", "bmp", "tif", "tiff")
)
DRAWN = frozenset({"image/svg+xml", "image/vnd.adobe.photoshop", "image/vnd.dwg"})  # image/*, but nothing to decode
_LINK = re.compile(r"<(https?://[^|<>\s]+)(?:\|[^<>]*)?>")


class Pictures:
    """Finds and fetches pictures."""

    def __init__(self, config: Config, client: AsyncWebClient, token: str) -> None:
        self.config, self.client = config, client
        own = (URL(config.slack.base_url).host or "").lower()
        named = frozenset(host.lower() for host in config.pictures.allowed_hosts)
        self._files = Fetcher(self._rules(SLACK_HOSTS, named | {own}))
        self._links = Fetcher(self._rules(frozenset(), named))
        self._auth = {"Authorization": f"Bearer {token}"}
        self._auth_hosts = SLACK_HOSTS | {own}

    async def of_message(self, message: Mapping[str, Any], *, asked: bool) -> list[PostedPicture]:
        """The pictures of a message, in order. `asked`: somebody wants just these, so every link counts as one."""
        found: dict[str, PostedPicture] = {}
        for file in _files(message):
            picture = await self._of_file(file)
            if picture is not None:
                found.setdefault(picture.url or "", picture)
        if self.config.chat.answer_links:
            for url in self._addresses(message, asked):
                found.setdefault(url, self.of_link(url))
        return list(found.values())

    def of_link(self, url: str) -> PostedPicture:
        """A picture behind a link that somebody wrote: fetched without the token, from hosts that the owner named."""
        return PostedPicture(functools.partial(self._links.fetch, url), url)

    def again(self, name: str) -> PostedPicture:
        """A picture by the name (`PostedPicture.url`) that it had before."""
        if name.startswith(FILE):
            return PostedPicture(functools.partial(self._fetch_file, {"id": name.removeprefix(FILE)}), name)
        return self.of_link(name)

    async def close(self) -> None:
        await self._files.close()
        await self._links.close()

    async def _of_file(self, file: Mapping[str, Any]) -> PostedPicture | None:
        if file.get("file_access") == "check_file_info" and not file.get("mimetype"):
            try:
                file = await self._info(str(file.get("id")))
            except BokeRefused as refusal:
                log.warning("a file of another workspace cannot be looked at: %s", refusal)
                return None
        kind = str(file.get("mimetype") or mimetypes.guess_type(str(file.get("name") or ""))[0] or "")
        if not kind.startswith("image/") or kind in DRAWN or file.get("mode") in UNSEEN or file.get("is_external"):
            return None
        return PostedPicture(functools.partial(self._fetch_file, file), f"{FILE}{file.get('id')}")

    def _addresses(self, message: Mapping[str, Any], asked: bool) -> Iterator[str]:
        """Links of the text, each by itself or by its preview, then previews that stand alone."""
        previews = {str(a.get("from_url")): str(a["image_url"]) for a in _attachments(message) if a.get("image_url")}
        for url in _written(message):
            preview = previews.pop(url, "")
            ways = [way for way in (url if _looks_like_picture(url) else "", preview) if way]
            way = next(filter(self._allows, ways), None)
            if way is not None:
                yield way
            elif asked:  # fetching it ends in a line that says why not
                yield url
        yield from filter(self._allows, previews.values())

    def _allows(self, url: str) -> bool:
        try:
            return self._links.rules.allows(URL(url))
        except ValueError:
            return False

    async def _fetch_file(self, file: Mapping[str, Any]) -> bytes:
        """The bytes of a file. Raises BokeRefused: too_large, no_access, picture_gone, not_fetched."""
        url = file.get("url_private_download") or file.get("url_private")
        if not url:
            file = await self._info(str(file.get("id")))
            url = file.get("url_private_download") or file.get("url_private")
        limit = self.config.pictures.max_bytes
        if int(file.get("size") or 0) > limit:
            raise BokeRefused("too_large", limit=megabytes(limit))
        if not url or str(url).startswith(self.config.slack.base_url + "/"):
            raise BokeRefused("not_fetched", cause="the file has no address that could be fetched")
        try:
            data = await self._files.fetch(str(url), self._auth, self._auth_hosts)
        except BokeRefused as refusal:
            if refusal.code == "not_allowed":  # sent on to a login page
                raise await self._no_access(f"{file.get('id')} leads elsewhere: {refusal}") from None
            raise
        if data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise await self._no_access(f"{file.get('id')} is a login page")
        return data

    async def _info(self, file_id: str) -> Mapping[str, Any]:
        try:
            answer = await self.client.files_info(file=file_id)
        except SlackApiError as error:
            why = reason(error)
            if why in GONE:
                raise BokeRefused("picture_gone", cause=why) from None
            if why == "missing_scope":
                raise await self._no_access(why) from None
            raise BokeRefused("not_fetched", cause=f"files.info: {why}") from None
        except UNREACHABLE as error:
            raise BokeRefused("not_fetched", cause=f"files.info: {error}") from None
        file: Mapping[str, Any] = answer["file"]
        return file

    async def _no_access(self, cause: str) -> BokeRefused:
        """The refusal, and a line for the owner: unless the token is no good at all, of which the client tells."""
        try:
            await self.client.auth_test()
            log.error(
                "a picture may not be opened (%s): does the app have files:read, and is it in the channel?", cause
            )
        except (SlackApiError, *UNREACHABLE):
            pass
        return BokeRefused("no_access", cause=cause, scope="files:read")

    def _rules(self, own: frozenset[str], allowed: frozenset[str]) -> FetchRules:
        pictures = self.config.pictures
        return FetchRules(own, allowed, pictures.max_bytes, pictures.fetch_timeout_s, pictures.max_redirects)


def names(message: Mapping[str, Any]) -> set[str]:
    """What the pictures of a message may be called (`PostedPicture.url`), without looking anything up."""
    found = {f"{FILE}{file.get('id')}" for file in _files(message) if file.get("mode") not in UNSEEN}
    return found | {*_written(message)} | {str(a["image_url"]) for a in _attachments(message) if a.get("image_url")}


def _files(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Uploaded files, and those of messages that were forwarded."""
    yield from message.get("files") or []
    for attachment in _attachments(message):
        yield from attachment.get("files") or []


def _attachments(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return message.get("attachments") or []


def _written(message: Mapping[str, Any]) -> list[str]:
    return [html.unescape(link) for link in _LINK.findall(message.get("text") or "")]


def _looks_like_picture(url: str) -> bool:
    try:
        return PurePosixPath(urlsplit(url).path).suffix.lower() in PICTURE_NAMES
    except ValueError:
        return False

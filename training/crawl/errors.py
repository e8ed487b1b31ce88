"""Why a crawl ended before it was done: a small tree, each message one line that says what happened and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from training.crawl.report import CrawlReport


class CrawlError(Exception):
    """Base of everything that the crawl raises on purpose. Whatever was stored before it stays.

    Attributes:
        report: what had been done by then; None where nothing had begun.
    """

    report: CrawlReport | None = None


class CrawlOff(CrawlError):
    """`crawl.enabled` is false: the owner has not turned the crawl on."""


class CrawlRefused(CrawlError):
    """The site does not want to be crawled: robots.txt forbids it or cannot be had, or a page answered 403."""


class SiteTooBusy(CrawlError):
    """The site keeps saying that requests come too fast, or does not answer. Another night."""


class CrawlFailed(CrawlError):
    """The crawl cannot go on: too many pages of unknown layout, or no place for the pictures."""


class UnknownLayout(CrawlError):
    """A page that is of none of the known layouts."""


class PageFailed(CrawlError):
    """One address cannot be had now; the crawl goes on with others."""


class NotAllowed(PageFailed):
    """One address may not be fetched: robots.txt, or a host that pictures may not come from."""


class HostClosed(PageFailed):
    """Nothing more is asked of a host of pictures in this run; another night."""


class NightOver(CrawlError):
    """The budget of requests is spent, or the hours for crawling are over: an orderly end, never seen outside."""

    def __init__(self, reason: Literal["budget", "hours"]) -> None:
        super().__init__(reason)
        self.reason: Literal["budget", "hours"] = reason

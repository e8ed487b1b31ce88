"""New jokes from bokete: `crawl` is the one door. Fetching, reading pages and the frontier are three things."""

from training.crawl.crawl import crawl
from training.crawl.errors import CrawlError, CrawlFailed, CrawlOff, CrawlRefused, SiteTooBusy, UnknownLayout
from training.crawl.report import CrawlReport, Progress

__all__ = [
    "CrawlError",
    "CrawlFailed",
    "CrawlOff",
    "CrawlRefused",
    "CrawlReport",
    "Progress",
    "SiteTooBusy",
    "UnknownLayout",
    "crawl",
]

"""What brings new jokes at the beginning of a run: the crawl, and files."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.config import Config
from store.database import Database
from training.crawl.crawl import crawl
from training.crawl.errors import CrawlFailed, CrawlRefused, SiteTooBusy
from training.crawl.report import CrawlReport
from training.importers import import_files
from training.progress import Report
from training.recipe import Recipe
from training.recording import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What somebody who starts a run may choose.

    Attributes:
        crawl: False leaves the site alone, whatever the configuration says.
        imports: files that are taken into the corpus first.
        force: publish whatever comes out, if anything does.
        scheduled: started by the clock; `crawl.hours` binds it.
    """

    recipe: Recipe
    models: Path
    crawl: bool = True
    imports: tuple[Path, ...] = ()
    force: bool = False
    scheduled: bool = False
    device: str = "cpu"


def crawl_stage(config: Config, database: Database, recorder: Recorder, report: Report, *, options: Options) -> None:
    """Bring the corpus up to date with the site. Where the site says stop, the run goes on with what it has.

    Raises: CrawlFailed: the site has changed, or there is no place for pictures. DatabaseUnavailable
    """
    with recorder.stage("crawl") as stage:
        if not options.crawl or not config.crawl.enabled:
            stage.skip("left out" if not options.crawl else "crawl.enabled is false")
            return

        def progress(so_far: CrawlReport) -> None:
            report("crawl", so_far.requests, config.crawl.max_requests)

        def work() -> CrawlReport:
            return asyncio.run(crawl(config, database, scheduled=options.scheduled, progress=progress))

        try:
            done = recorder.patiently(work)
        except (SiteTooBusy, CrawlRefused) as error:  # what was brought home by then is learned from
            log.warning("the crawl ended early: %s", error)
            stage.note, done = str(error), error.report or CrawlReport()
        except CrawlFailed as error:
            stage.count(**_crawl_counts(error.report or CrawlReport()))
            raise
        stage.count(**_crawl_counts(done))
        stage.note = stage.note or f"{done.new_boke:,} new jokes, {done.pictures:,} pictures, {done.ended}"


def import_stage(config: Config, database: Database, recorder: Recorder, report: Report, *, options: Options) -> bool:
    """Take files into the corpus; returns whether they brought anything. Raises: ImportFailed, DatabaseUnavailable"""
    with recorder.stage("import") as stage:
        if not options.imports:
            stage.skip("no files")
            return False
        pixels = config.pictures.max_pixels
        done = recorder.patiently(
            lambda: import_files(database, config.data.dir, options.imports, max_pixels=pixels, report=report)
        )
        for problem in done.problems:
            log.warning("%s", problem)
        stage.count(**{name: value for name, value in asdict(done).items() if name != "problems"})
        stage.note = (
            f"{done.added:,} jokes added, {done.updated:,} updated, {done.same:,} known, {done.bad:,} bad lines"
        )
        return bool(done.added or done.updated)


def _crawl_counts(report: CrawlReport) -> dict[str, Any]:
    counts = asdict(report)
    counts["layouts"] = {str(generation): pages for generation, pages in report.layouts.items()}
    counts.pop("seconds")
    return counts

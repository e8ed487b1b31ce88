"""A crawl in a process of its own, for tests that kill it: `python -m tests.training.crawl.crawl_process URL FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store.config import Config
from store.database import open_database
from training.crawl import crawl


def config_for(url: str, folder: Path) -> Config:
    """What the process and the test both use."""
    keys = {
        "enabled": True,
        "base_url": url,
        "delay_s": 0,
        "backoff_s": 0,
        "max_requests": 100_000,
        "contact": "a@b.example",
    }
    return Config.model_validate({"data": {"dir": folder}, "crawl": keys})


if __name__ == "__main__":
    config = config_for(sys.argv[1], Path(sys.argv[2]))
    report = asyncio.run(crawl(config, open_database(config.database.url), scheduled=False))
    print(report.ended, report.requests)

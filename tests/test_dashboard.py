"""The Grafana dashboard: every metric that it asks for is one that the bot has, and it draws all of the bot's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.bot.conftest import photo, tiny_model
from tests.bot.running import run_bot
from tests.bot.test_app import post

__all__ = ["tiny_model"]

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[1] / "deploy/grafana-dashboard.json").read_text(encoding="utf-8")
)
METRIC = re.compile(r"\b(?:boke|process)_[a-z_]+")


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable.get("definition", "")


async def test_every_metric_is_the_bots_and_every_label_too(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            assert (await post(session, photo()))[0] == 200
            async with session.get("/metrics") as response:
                families = list(text_string_to_metric_families(await response.text()))
    labels: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    asked = {name for query in queries() for name in METRIC.findall(query)}
    assert asked <= set(labels), asked - set(labels)
    drawn = {name for family in families for name in asked & {sample.name for sample in family.samples}}
    left_out = {
        family.name
        for family in families
        if family.name.startswith("boke_")
        and not drawn & {sample.name for sample in family.samples if not sample.name.endswith("_created")}
    }
    assert not {name for name in left_out if not name.endswith("_created")}  # every one of its own is drawn
    for query in queries():
        (name, *_) = METRIC.findall(query) or [""]
        for label in re.findall(r"(?:[{,]|by \()\s*([a-z_]+)(?:[=!]|\))", query):
            assert label in labels.get(name, set()) | {"job", "le"}, query


def test_grafana_can_draw_it() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] for panel in panels)
    for one in panels:
        for other in panels:
            a, b = one["gridPos"], other["gridPos"]
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"]
            assert one is other or apart or b["y"] + b["h"] <= a["y"], (one["title"], other["title"])

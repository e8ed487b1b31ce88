from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from store.corpus import SplitCounts, read_pictures
from store.database import Database
from store.figures import Added, Bin, CorpusFigures, Distribution, Filtered, corpus_figures, spread, star_edges
from store.runs import start_run, update_run
from store.tables import Boke, Odai
from tests.store.pictures import keep

ZONE = "Asia/Tokyo"


def figures_of(database: Database, share: float) -> CorpusFigures:
    return corpus_figures(database, read_pictures(database, share), ZONE)


def test_a_corpus_in_numbers(any_database: Database) -> None:
    """A night's run at 03:30 in Tokyo is the evening before in UTC."""
    night, noon = datetime(2026, 11, 3, 18, 30, tzinfo=UTC), datetime(2026, 11, 3, 3, 0, tzinfo=UTC)
    keep(
        any_database,
        1,
        {"text": "猫", "stars": 3.0, "first_seen": night},
        {"text": "二つめ", "first_seen": night},
        added=night,
    )
    keep(any_database, 2, {"text": "𠮷野家", "stars": 120.0, "split": "dev", "first_seen": noon}, added=noon)
    with any_database.session() as session:
        odai = Odai(source="bokete", external_id="1")
        session.add(odai)
        session.flush()
        session.add(Boke(source="bokete", odai_id=odai.id, text="まだ", text_hash=1, stars=1e6))
    figures = figures_of(any_database, 1e-9)
    assert figures.sides == {"train": SplitCounts(1, 2), "dev": SplitCounts(1, 1)}
    assert figures.waiting == 1
    assert figures.per_picture == Distribution(2, 1.5, 1, 2, True, (Bin(1, 2, 1), Bin(2, 3, 1)))
    assert figures.lengths == Distribution(
        3, pytest.approx(7 / 3), 1, 3, True, (Bin(1, 2, 1), Bin(2, 3, 0), Bin(3, 4, 2))
    )
    stars = figures.stars
    assert (stars.count, stars.mean, stars.low, stars.high, stars.whole) == (2, 61.5, 3.0, 120.0, True)
    assert [each for each in stars.bins if each.count] == [Bin(2, 5, 1), Bin(100, 200, 1)]
    assert figures.unstarred == 1
    assert figures.growth == (Added(date(2026, 11, 3), 1, 1), Added(date(2026, 11, 4), 2, 1))
    assert figures.filtered is None


def test_an_empty_corpus(any_database: Database) -> None:
    figures = figures_of(any_database, 0.1)
    assert figures.sides == {"train": SplitCounts(), "dev": SplitCounts()}
    assert figures.per_picture == figures.lengths == figures.stars == Distribution()
    assert (figures.waiting, figures.unstarred, figures.growth, figures.filtered) == (0, 0, (), None)


def test_means_of_ratings_get_bins_of_their_size(any_database: Database) -> None:
    keep(any_database, 1, *[{"text": str(number), "stars": 1 + number / 50} for number in range(100)])
    stars = figures_of(any_database, 0.1).stars
    assert not stars.whole
    assert [each.count for each in stars.bins] == [5] * 20
    assert [each.low for each in stars.bins] == [round(1 + number / 10, 1) for number in range(20)]


def test_what_the_newest_runs_filters_did(any_database: Database) -> None:
    def run(*stages: dict[str, object]) -> int:
        number = start_run(any_database, "hand", "default")
        update_run(any_database, number, stages=list(stages))
        return number

    corpus = {"name": "corpus", "read": 9, "jokes": 4, "dropped": {"length": 3, "duplicates": 2}}
    run({**corpus, "read": 1})
    newest = run({"name": "import", "added": 5}, corpus)
    run({"name": "crawl"}, {"name": "corpus", "state": "failed"})  # it never came so far
    filtered = figures_of(any_database, 0.1).filtered
    assert filtered == Filtered(newest, None, "default", 9, 4, {"length": 3, "duplicates": 2})


@pytest.mark.parametrize(
    ("counts", "edges"),
    [
        ({5: 800}, [5, 6]),
        ({0: 1, 3: 2}, [0, 1, 2, 3, 4]),
        (dict.fromkeys(range(1, 101), 1), [0, *range(5, 101, 5)]),
        ({1: 500, 2: 496, 9: 3, 1000: 1}, [1, 2, 3]),
    ],
)
def test_whole_numbers_are_spread(counts: dict[int, int], edges: list[int]) -> None:
    """What lies beyond 99 of 100 is in a last bin without a bound."""
    found = spread(counts)
    inside = [each for each in found.bins if each.high is not None]
    assert [inside[0].low, *[each.high for each in inside]] == edges
    assert sum(each.count for each in found.bins) == found.count == sum(counts.values())
    for each in found.bins:
        high = float("inf") if each.high is None else each.high
        assert each.count == sum(count for value, count in counts.items() if each.low <= value < high)


@pytest.mark.parametrize(
    ("low", "high", "whole", "edges"),
    [
        (0, 0, True, [0, 1]),
        (0, 7, True, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (0, 20, True, [*range(22)]),
        (0, 21, True, [0, 1, 2, 5, 10, 20, 50]),
        (3, 100, True, [0, 1, 2, 5, 10, 20, 50, 100, 200]),
        (2.5, 2.5, False, [2, 3]),
        (-40, 60, True, [*range(-40, 66, 5)]),
    ],
)
def test_stars_are_spread(low: float, high: float, whole: bool, edges: list[float]) -> None:
    assert star_edges(low, high, whole=whole) == edges


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.3), (1, 3), (1, 1e-7 + 1), (0, 1e12), (-3.3, 1e6), (1e-3, 19.99)])
def test_all_stars_have_a_bin(low: float, high: float) -> None:
    edges = star_edges(low, high, whole=False)
    assert edges == sorted(set(edges))
    assert edges[0] <= low
    assert edges[-2] <= high < edges[-1]
    assert len(edges) < 50

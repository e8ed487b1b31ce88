"""A limit to how many jokes are learned from: which are chosen, from a stream, with little memory."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.config import Config
from tests.training.small import SmallHouse, small_recipe, write_corpus
from training import most
from training.corpus import Joke
from training.errors import FilterError
from training.filters import FilterConfig, FilterReport, Filters
from training.recording import Stage
from training.retrain import PUBLISHED

Make = Callable[..., Config]


def joke(picture: str, text: str, stars: float | None = None, split: str = "train") -> Joke:
    return Joke(picture=picture, text=text, stars=stars, split=split)  # type: ignore[arg-type]


def corpus(pictures: int, jokes: int, seed: int = 0) -> Iterator[Joke]:
    """Jokes whose stars are spread as sites have them, each with a text of its own."""
    rng = random.Random(seed)
    for picture in range(pictures):
        for number in range(jokes):
            yield joke(f"{picture:08}", f"{picture} {number}", float(int(rng.expovariate(0.05))))


def run(jokes: Iterator[Joke] | list[Joke], count: int | None) -> tuple[list[Joke], FilterReport]:
    chosen = Filters(FilterConfig(most=count))
    return list(chosen.keep(jokes)), chosen.report


def test_a_pictures_jokes_come_in_threes_two_of_the_best_and_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(most, "_hash", lambda joke: int(joke.text[1:]))
    jokes = [joke("a", f"a{n}", 100.0 + n) for n in range(6)] + [joke("b", f"b{n}", float(n)) for n in range(4)]
    order = ["a5", "a4", "a0", "b3", "b2", "b0", "a3", "a2", "a1", "b1"]
    for count in range(1, len(order) + 3):
        kept, report = run(jokes, count)
        whole = count - count % 3 if count < len(order) else count
        assert {j.text for j in kept} >= set(order[:whole])
        assert {j.text for j in kept} <= set(order[: whole + 3])
        assert kept == [j for j in jokes if j in kept], "in the corpus's order"
        assert report.dropped["most"] == len(jokes) - len(kept) == max(len(jokes) - count, 0)
        assert (report.read, report.kept) == (len(jokes), len(kept))


def test_without_a_limit_nothing_is_said_of_it() -> None:
    jokes = list(corpus(4, 3))
    kept, report = run(jokes, None)
    assert kept == jokes
    assert "most" not in report.dropped
    with pytest.raises(FilterError, match="most 0 lets nothing through; leave it out"):
        FilterConfig(most=0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 40), st.randoms(use_true_random=False))
def test_a_stream_gives_what_sorting_all_would(sizes: list[int], count: int, rng: random.Random) -> None:
    stars = list(range(sum(sizes)))
    rng.shuffle(stars)
    jokes = [
        joke(f"{picture:02}", f"{picture} {n}", float(stars.pop()))
        for picture, of in enumerate(sizes)
        for n in range(of)
    ]

    threes: list[tuple[int, float, list[Joke]]] = []
    for picture in {j.picture for j in jokes}:
        left = sorted((j for j in jokes if j.picture == picture), key=_stars, reverse=True)
        number = 0
        while left:
            three = left[:2] + sorted(left[2:], key=most._hash)[:1]
            threes.append((number, -_stars(three[0]), three))
            left, number = [j for j in left if j not in three], number + 1
    order = [j for _, _, three in sorted(threes, key=lambda it: it[:2]) for j in three]
    kept = {j.text for j in run(jokes, count)[0]}
    assert len(kept) == min(count, len(jokes))
    end = 0
    for _, _, three in sorted(threes, key=lambda it: it[:2]):
        end += len(three)
        if end <= count:
            assert {j.text for j in three} <= kept
        else:
            assert kept <= {j.text for j in order[:end]}
            break


def _stars(one: Joke) -> float:
    assert one.stars is not None
    return one.stars


def test_some_that_are_not_the_best_come_along_to_compare_with() -> None:
    kept, _ = run([joke(f"{p:02}", f"{p} {n}", float(n)) for p in range(20) for n in range(50)], 600)
    assert Counter(j.picture for j in kept) == {f"{p:02}": 30 for p in range(20)}
    others = [_stars(j) for j in kept if _stars(j) < 25]
    assert 80 < len(others) < 190, "of 200 that are any, those that are of the lower half"
    assert 9 < sum(others) / len(others) < 15, "as many of the worst as of those in the middle"


def test_equal_jokes_are_chosen_evenly_and_the_same_each_time() -> None:
    jokes = [joke(f"{picture:03}", f"{picture} {n}") for picture in range(400) for n in range(5)]
    kept, _ = run(jokes, 600)
    assert len(kept) == 600
    assert run(jokes, 600)[0] == kept
    assert max(Counter(j.picture for j in kept).values()) <= 3
    early = sum(j.picture < "200" for j in kept)
    assert 240 < early < 360, "not those that came first"


def test_the_same_joke_twice_takes_two_places() -> None:
    same = Filters(FilterConfig(most=2, duplicates=False))
    assert len(list(same.keep([joke("a", "同じ", 1.0) for _ in range(5)]))) == 2


def test_a_corpus_that_grows_changes_little() -> None:
    before, _ = run(corpus(1000, 4), 1000)
    more = [joke(f"{picture:08}+", f"new {picture} {n}", 100.0) for picture in range(0, 1000, 50) for n in range(3)]
    grown = sorted([*corpus(1000, 4), *more], key=lambda j: j.picture)
    after, _ = run(grown, 1000)
    new = [j for j in after if j in more]
    assert len(new) == 60
    assert len({*before} - {*after}) == 60, "each new one pushes one out, and no other moves"


def test_held_out_pictures_are_measured_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def jokes(stars: float) -> list[Joke]:
        """Every second picture is held out."""
        sides = ("train", "dev")
        return [joke(f"{p:02}", f"{p} {n}", stars * n, sides[p % 2]) for p in range(20) for n in range(5)]

    kept, report = run(jokes(1.0), 7)
    assert sum(j.split == "train" for j in kept) == 7
    assert [j for j in kept if j.split == "dev"] == [j for j in jokes(1.0) if j.split == "dev"]
    assert report.dropped["most"] == 50 - 7
    monkeypatch.setattr(most, "HELD_OUT", 12)
    held = [j for j in run(jokes(1.0), 7)[0] if j.split == "dev"]
    assert Counter(j.picture for j in held) == {"01": 5, "03": 5, "05": 5}, "whole pictures, the first ones"
    same = [(j.picture, j.text) for j in run(jokes(-1.0), 7)[0] if j.split == "dev"]
    assert same == [(j.picture, j.text) for j in held], "whatever people liked"


def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    def peak(pictures: int) -> int:
        chosen = Filters(FilterConfig(most=500, unwanted_words=False), folder=tmp_path)
        tracemalloc.start()
        try:
            assert sum(1 for _ in chosen.keep(corpus(pictures, 4))) == 500
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)
    few, many = peak(500), peak(8000)
    assert many < few + 60_000, "less than 2 bytes for each of 30,000 more jokes"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_among_the_best_any_more_is_not_kept_on_disk() -> None:
    lowest = most._Lowest(2)
    added = [lowest.add((0, -stars, 0)) for stars in (5.0, 1.0, 3.0, 4.0, 3.0, 4.0, 9.0, 5.0, 4.0)]
    assert added == [True] * 4 + [False, True, True, True, False]
    assert lowest.highest() == ([0, -5.0, 0], 1)


def test_all_of_a_joke_comes_through() -> None:
    whole = Joke(
        picture="p", text="ボケ\u2028\ud800", split="train", stars=1.5, ratings=3, source="s", url="u", category="c",
        odai_category="o", title="t", flagged=True,
    )  # fmt: skip
    assert run([whole], 1)[0] == [whole]


def stage(stages: tuple[Stage, ...], name: str) -> Stage:
    return next(found for found in stages if found.name == name)


def test_nights_learn_from_so_many_and_go_on_from_the_live_model(make_config: Make, tmp_path: Path) -> None:
    house = SmallHouse(make_config, tmp_path)
    recipe = small_recipe(tmp_path, more="[filters]\nmost = 40\n")
    ended = house.run(recipe, write_corpus(tmp_path), force=True)
    assert ended.code == PUBLISHED, ended.message
    corpus_stage = stage(ended.stages, "corpus")
    assert (corpus_stage.counts["read"], corpus_stage.counts["jokes"]) == (64, 40 + 16)
    assert corpus_stage.counts["dropped"]["most"] == 8
    assert corpus_stage.counts["dev_pictures"] == 2
    before = house.run(recipe)
    assert "nothing is new" in before.message
    # Jokes with more stars come: these are learned, and some of the others again.
    ended = house.run(recipe, write_corpus(tmp_path, first=20, jokes=2), force=True)
    assert ended.code == PUBLISHED, ended.message
    assert stage(ended.stages, "corpus").counts["jokes"] == 40 + 20
    assert stage(ended.stages, "corpus").counts["dropped"]["most"] == 8 + 12
    assert stage(ended.stages, "train").counts["start"] == "from the live model"

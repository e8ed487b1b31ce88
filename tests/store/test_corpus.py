from __future__ import annotations

from typing import Any

from store.corpus import PictureSummary, SplitCounts, count_splits, find_picture, read_pictures, split_of
from store.database import Database
from store.types import now
from tests.store.pictures import digest, keep


def summarised(database: Database, share: float) -> dict[str, PictureSummary]:
    return {picture.digest: picture for picture in read_pictures(database, share)}


def side(database: Database, number: int, share: float) -> str:
    return summarised(database, share)[digest(number)].side


def test_both_sides_are_counted(any_database: Database) -> None:
    for number in range(40):
        keep(any_database, number, *[{"text": f"ボケ{joke}"} for joke in range(1 + number % 3)])
    dev = {digest(n) for n in range(40) if split_of(digest(n), 0.5) == "dev"}
    jokes = {digest(n): 1 + n % 3 for n in range(40)}
    counts = count_splits(any_database, 0.5)
    assert counts["dev"] == SplitCounts(len(dev), sum(jokes[d] for d in dev))
    assert counts["train"] == SplitCounts(40 - len(dev), sum(jokes.values()) - counts["dev"].jokes)
    assert {d for d, picture in summarised(any_database, 0.5).items() if picture.side == "dev"} == dev


def test_a_files_word_on_the_side_of_a_picture(any_database: Database) -> None:
    keep(any_database, 1, {"split": "dev"}, {"text": "二つめ"})
    keep(any_database, 2, {"split": "train"})
    keep(any_database, 3, {"split": "train"}, {"text": "二つめ", "split": "dev"})  # no agreement: the hash decides
    assert [side(any_database, number, 0.0) for number in (1, 2, 3)] == ["dev", "train", "train"]
    assert count_splits(any_database, 0.0) == {"train": SplitCounts(2, 3), "dev": SplitCounts(1, 2)}
    assert [side(any_database, number, 1.0) for number in (1, 2, 3)] == ["dev", "train", "dev"]


def test_what_is_not_for_everybody_is_not_shown(any_database: Database) -> None:
    hidden: list[dict[str, Any]] = [{"source": "chat"}, {"flagged": True}, {"missing_since": now()}]
    for number, facts in enumerate(hidden):
        keep(any_database, number, {"stars": 9.0, **facts})
    keep(any_database, 10)
    keep(any_database, 11, {"stars": 2.0}, *[{"text": f"隠す{n}", "stars": 9.0, **f} for n, f in enumerate(hidden)])
    found = summarised(any_database, 0.0)
    assert found[digest(11)] == PictureSummary(digest(11), "train", 4, 1, 2.0)
    assert [found[digest(number)].shown for number in range(3)] == [0, 0, 0]
    assert digest(10) not in found
    assert find_picture(any_database, digest(11)) == "pictures/11.jpg"
    assert [find_picture(any_database, digest(number)) for number in (0, 1, 2, 10, 12)] == [None] * 5


def test_what_is_no_digest_finds_nothing(any_database: Database) -> None:
    keep(any_database, 0xA, {})
    assert find_picture(any_database, digest(0xA)) is not None
    for wrong in ("", digest(0xA).upper(), digest(0xA) + "\n", digest(0xA)[:-1], "%", "../secret", "\0" * 64):
        assert find_picture(any_database, wrong) is None


def test_an_empty_corpus(any_database: Database) -> None:
    assert count_splits(any_database, 0.1) == {"train": SplitCounts(), "dev": SplitCounts()}
    assert summarised(any_database, 0.1) == {}

from __future__ import annotations

from pathlib import Path

import pytest

from store.words import WordFilter
from training.starter.jokes import load_subjects


@pytest.mark.parametrize("text", ["シネ死ね", "今すぐ 死 ね！", "ＦＵＣＫ this", "f-u-c-k", "ｷﾁｶﾞｲじみた", "きちがい"])
def test_unwanted_words_in_any_guise(text: str) -> None:
    assert not WordFilter.load().allows(text)


@pytest.mark.parametrize(
    "text", ["必死に", "grape juice", "サブスクを解約", "卵をつぶす", "今日も元気", "お昼寝中", "", "😀"]
)
def test_ordinary_lines_pass(text: str) -> None:
    allowed = WordFilter.load().allows(text)
    assert allowed


def test_more_words_by_configuration_and_by_file(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("# remark\nパクチー\n\n", encoding="utf-8")
    found = WordFilter.load(["ナス"], file)
    assert not found.allows("パ・ク・チーのサラダ")
    assert not found.allows("焼きナスの日")
    assert found.allows("remark")
    assert not WordFilter.load(["ナス"], shipped=False).allows("焼きナス")
    assert WordFilter.load(shipped=False).allows("死ね")


def test_no_joke_of_the_starter_is_dropped() -> None:
    words = WordFilter.load()
    for subject in load_subjects():
        for text in (*subject.jokes, *subject.crossed, *subject.held_out):
            assert words.allows(text), text

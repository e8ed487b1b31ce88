"""The starter corpus keeps its promises."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from bokemodel.encoders.base import imagenet_classes
from training.starter.jokes import load_subjects, subject_of_class

JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-鿿]")


def plain(text: str) -> str:
    return re.sub(r"[\s、。！？「」『』・…ー（）]", "", unicodedata.normalize("NFKC", text))


def test_size() -> None:
    subjects = load_subjects()
    assert len(subjects) >= 150
    assert sum(len(subject.jokes) for subject in subjects) >= 3000
    assert all(len(subject.jokes) >= 16 for subject in subjects)


def test_every_class_shows_exactly_one_subject() -> None:
    counts = Counter(index for subject in load_subjects() for index in subject.classes)
    assert counts == Counter(range(1000))
    assert len(imagenet_classes()) == 1000
    assert len(subject_of_class()) == 1000


def test_jokes_are_short_japanese_lines() -> None:
    for subject in load_subjects():
        for text in (*subject.jokes, *subject.crossed, *subject.held_out):
            assert 5 <= len(text) <= 40, text
            assert JAPANESE.search(text), text
            assert not re.search(r"[<>&@#`*_|\\\n]|://", text), text


def test_no_two_jokes_alike() -> None:
    counts = Counter(plain(text) for subject in load_subjects() for text in subject.jokes)
    assert [text for text, count in counts.items() if count > 1] == []


def test_what_is_held_out_is_never_shown() -> None:
    for subject in load_subjects():
        assert len(subject.crossed) == 15
        assert len(subject.held_out) == 10
        assert not set(subject.held_out) & {*subject.crossed, *subject.jokes}
        # each half is met: the model has seen every word of what it shall recombine
        assert all(any(text.startswith(setup) for text in subject.crossed) for setup in subject.setups)
        assert all(any(text.endswith(punchline) for text in subject.crossed) for punchline in subject.punchlines)

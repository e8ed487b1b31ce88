from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bokemodel.encoders.base import imagenet_classes
from store.words import WordFilter
from training import filters
from training.corpus import Joke
from training.errors import FilterError
from training.features import FeatureStore
from training.filters import Domain, FilterConfig, FilterReport, Filters, class_numbers


def joke(text: str = "ボケ", picture: str = "p", **keys: Any) -> Joke:
    return Joke(picture=picture, text=text, split="train", **keys)


def run(jokes: list[Joke], **keys: Any) -> tuple[list[Joke], FilterReport]:
    chosen = Filters(FilterConfig(**keys))
    return list(chosen.keep(jokes)), chosen.report


@pytest.mark.parametrize(
    "title",
    [
        "〇〇な人の特徴",
        "○○「えっ」",
        "彼は（　　）と言った",
        "「　　」",
        "『』が食べたい",
        "＿＿＿で一言",
        "I like ____",
        "【？】",
        "穴埋めお題",
        "空欄に入る言葉は",
        "◯◯",
        "( )に一言",
        "「？」と叫んだ",
        "□□□",
    ],
)
def test_odai_with_a_blank(title: str) -> None:
    assert not filters.fill_in_the_blank(joke(title=title))


@pytest.mark.parametrize(
    "title",
    [
        None,
        "",
        "写真で一言",
        "「うそだろ」",
        "本当の話（？）",
        "（笑）",
        "○か×か",
        "snake_case",
        "f(x)",
        "え？？？",
        "第2回（決勝）",
        "[1]",
    ],
)
def test_odai_without_a_blank(title: str | None) -> None:
    assert filters.fill_in_the_blank(joke(title=title))
    assert filters.fill_in_the_blank(joke("〇〇と（　　）", title=title))  # of a joke's own words it says nothing


def test_the_category_may_say_that_it_has_a_blank() -> None:
    assert not filters.fill_in_the_blank(joke(odai_category="穴埋め"))
    assert not filters.fill_in_the_blank(joke(category="穴埋めお題"))
    assert filters.fill_in_the_blank(joke(category="動物", odai_category="人物"))


def test_length() -> None:
    assert [filters.length(joke(text), 2, 3) for text in ("a", "ab", "abc", "abcd", "  a  ")] == [
        False,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "見て https://example.org/x",
        "www.example.jp だよ",
        "example.com で検索",
        "youtu.be/x",
        "@everyone 起きて",
        "やあ @taro_123",
        "<@123456> さん",
        "<#99>",
        "<!channel>",
        "mail me: a.b@example.org",
    ],
)
def test_links_and_mentions(text: str) -> None:
    assert not filters.links_and_mentions(joke(text))


@pytest.mark.parametrize(
    "text", ["あと@3人", "社長＠会議中", "3.5倍", "Mr.Bean", "え...うそ", "1 < 2 > 0", "No.1 です", "w.w.w", "顔(@_@)"]
)
def test_no_link_and_no_mention(text: str) -> None:
    assert filters.links_and_mentions(joke(text))


def test_unwanted_words() -> None:
    words = WordFilter(
        ["ナス"],
    )
    assert not filters.unwanted_words(joke("焼きナ・ス"), words)
    assert filters.unwanted_words(joke("焼き芋"), words)


def test_min_stars() -> None:
    assert filters.min_stars(joke(stars=3.0), 3)
    assert not filters.min_stars(joke(stars=2.9), 3)
    assert not filters.min_stars(joke(), 3)
    assert filters.min_stars(joke(up=2, down=1), 3)
    assert not filters.min_stars(joke(up=1, down=1), 3)


def test_duplicates_keep_the_best() -> None:
    same = [joke("猫!", stars=1), joke("犬"), joke("「猫」", stars=5), joke("ネコ"), joke("猫", ratings=3)]
    assert filters.duplicates(same) == [same[2], same[1], same[3]]


def test_the_cap_keeps_the_best() -> None:
    jokes = [joke("a", stars=1), joke("b"), joke("c", stars=9), joke("d", stars=1, ratings=4)]
    assert [j.text for j in filters.per_picture_cap(jokes, 3)] == ["c", "d", "a"]


def test_the_report_counts_each_filter() -> None:
    jokes = [
        joke("一", title="〇〇な人"),
        joke("長" * 11),
        joke("https://a.example 見て"[:10]),
        joke("死ね"),
        joke("星が足りない", stars=1),
        joke("同じ", stars=5),
        joke("同じ!", stars=6),
        joke("二番", stars=4),
        joke("三番", stars=3),
        joke("同じ", "q", stars=5),  # another picture's
    ]
    kept, report = run(jokes, max_chars=10, min_stars=3, per_picture_cap=2)
    assert [(j.picture, j.text) for j in kept] == [("p", "同じ!"), ("p", "二番"), ("q", "同じ")]
    dropped = {"fill_in_the_blank": 1, "length": 1, "links_and_mentions": 1, "unwanted_words": 1, "min_stars": 1}
    assert report == FilterReport(10, 3, {**dropped, "duplicates": 1, "per_picture_cap": 1})


def test_defaults_take_any_corpus() -> None:
    jokes = [joke(f"A caption, number {i}.", stars=None if i % 2 else 0.0) for i in range(500)]
    jokes += [joke("x"), joke("y" * 200), joke("NG", flagged=True), joke("♪"), joke("...")]
    kept, report = run(jokes)
    assert kept == jokes
    assert sum(report.dropped.values()) == 0
    for text in ("", " ", "y" * 201):
        assert run([joke(text)])[0] == []


def test_filters_can_be_switched_off() -> None:
    jokes = [joke("死ね"), joke("死ね"), joke("@everyone", title="〇〇")]
    off = {"fill_in_the_blank": False, "links_and_mentions": False, "unwanted_words": False, "duplicates": False}
    kept, report = run(jokes, **off)
    assert kept == jokes
    assert report == FilterReport(3, 3, {"length": 0})
    assert run([joke(flagged=True)], flagged=True)[1].dropped["flagged"] == 1


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"min_chars": 5, "max_chars": 4}, "let nothing through"),
        ({"per_picture_cap": 0}, "lets nothing through"),
    ],
)
def test_filters_that_let_nothing_through(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(FilterError, match=why):
        FilterConfig(**keys)


class BiggestIsTheClass:
    """A classifier whose logits are the vector itself."""

    def class_scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return features


def test_domain(tmp_path: Path) -> None:
    people = ("groom", "Scuba Diver", "ballplayer")
    numbers = [imagenet_classes().index(name) for name in ("groom", "tench", "ballplayer", "suit")]
    digests = [f"{number:064x}" for number in range(4)]
    store = FeatureStore(tmp_path / "f", "e", "w", 1000)
    with store.adding() as adder:
        adder.add(digests, np.eye(1000, dtype=np.float32)[numbers])
    jokes = [joke("ボケ", picture) for picture in (*digests, "f" * 64) for _ in range(2)]
    inside = Domain(store, BiggestIsTheClass(), people, batch=3)
    chosen = Filters(FilterConfig(domain=people, duplicates=False), in_domain=inside)
    assert [j.picture for j in chosen.keep(jokes)] == [digests[0]] * 2 + [digests[2]] * 2
    assert chosen.report.dropped["domain"] == 6


def test_classes_by_name() -> None:
    assert len(class_numbers(["crane"])) == 2  # the bird and the machine
    with pytest.raises(FilterError, match=r"no class 'grom'; close to it are groom"):
        class_numbers(["grom"])
    with pytest.raises(FilterError, match="needs the pictures' feature vectors"):
        Filters(FilterConfig(domain=("groom",)))


def test_an_encoder_classifies(tmp_path: Path) -> None:
    """Real pictures, the real network: a cat is found, a cup of coffee is not."""
    from bokemodel.encoders import load_encoder
    from training.corpus import StoredPicture
    from training.features import compute_missing

    folder = Path(__file__).resolve().parents[1] / "data"
    encoder = load_encoder("efficientnet-lite0")
    store = FeatureStore.open(tmp_path, encoder)
    pictures = [StoredPicture(f"{i:064x}", f"{name}.jpg") for i, name in enumerate(("cat", "coffee"))]
    compute_missing(store, folder, pictures, encoder)
    cats = [name for name in imagenet_classes() if "cat" in name.split() or "tabby" in name]
    inside = Domain(store, encoder, cats)  # type: ignore[arg-type]
    assert [inside(picture.digest) for picture in pictures] == [True, False]

"""Odai and jokes in JSON of no documented shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from training.crawl.next_data import read

ODAI_PAGE = "https://bokete.jp/odai/591"
LIST = "https://bokete.jp/boke/hot?page=0"
PHOTO = "//cdn.example/photo/odai/600/0123456789abcdef0123456789abcdef_600.jpg"
BOKE = {
    "id": 5, "odaiId": 591, "date": "2022-05-03T12:00:00.000Z", "text": "むちゃぶり", "isNG": False, "rateSum": 1234,
    "rateCount": 56, "lastRateDate": "2022-06-01", "category": "バカ",
}  # fmt: skip
ODAI = {"id": 591, "date": 1651579200000, "bokeCount": 3, "category": "その他", "largeURL": PHOTO}


def found(url: str, data: Any) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    odai, jokes = read(url, json.dumps(data))
    return [(o.external_id, o.picture_url) for o in odai], [(b.external_id, b.odai_id, b.text, b.stars) for b in jokes]


THE_ODAI = [("591", "https:" + PHOTO)]
THE_JOKE = [("5", "591", "むちゃぶり", 1234)]


@pytest.mark.parametrize(
    "data",
    [
        {"props": {"pageProps": {"odai": ODAI, "bokes": [BOKE]}}},
        {"a": [[{"b": {"c": BOKE}}], {"d": ODAI}]},
        [{"node": {**BOKE, "odai": ODAI}}],
        {"odai": {**ODAI, "bokes": [{k: v for k, v in BOKE.items() if k != "odaiId"}]}},
        {"cache": {"Boke:5": {**BOKE, "__typename": "Boke"}, "Odai:591": {**ODAI, "__typename": "Odai"}}},
        {"boke": {"id": "5", "odai": {"__ref": "Odai:591"}, "text": "むちゃぶり", "rate_sum": "1,234"}, "odai": ODAI},
        {"odai": {"id": "591", "photo": {"small": "/x.png", "large": PHOTO}, "boke_count": 1}, "boke": BOKE},
    ],
)
def test_shapes(data: Any) -> None:
    assert found(LIST, data) == (THE_ODAI, THE_JOKE)


def test_every_field() -> None:
    odai, jokes = read(LIST, json.dumps([ODAI, BOKE]))
    assert (odai[0].category, odai[0].boke_count) == ("その他", 3)
    assert odai[0].posted == datetime(2022, 5, 3, 12, tzinfo=UTC)
    boke = jokes[0]
    assert (boke.ratings, boke.category, boke.flagged) == (56, "バカ", False)
    assert boke.posted == datetime(2022, 5, 3, 12, tzinfo=UTC)
    assert boke.last_rated == datetime(2022, 5, 31, 15, tzinfo=UTC)


def test_a_nameless_joke_belongs_to_the_page_only_where_all_are_nameless() -> None:
    nameless = {"id": 6, "text": "だれの？", "rateSum": 1}
    assert found(ODAI_PAGE, [nameless])[1] == [("6", "591", "だれの？", 1)]
    assert found(ODAI_PAGE, [nameless, BOKE])[1] == THE_JOKE
    assert found(LIST, [nameless])[1] == []


@pytest.mark.parametrize(
    "stranger",
    [
        {"id": 7, "name": "だれか", "bokeCount": 12, "iconUrl": "//cdn.example/photo/profile/18/x_18.jpg"},
        {"id": 8, "bokeId": 5, "text": "うまい", "rateSum": 3},
        {"id": 9, "text": "お知らせ"},
        {"id": None, "text": "x", "rateSum": 3},
        {"id": True, "text": "x", "rateSum": 3},
        {"id": 10, "text": "", "rateSum": 3},
        {"id": 11, "text": 5, "rateSum": 3},
        {"id": 12, "__typename": "BokeComment", "text": "うまい", "rateSum": 3},
        {"id": 13, "odai": ODAI},
    ],
)
def test_strangers_are_neither(stranger: dict[str, Any]) -> None:
    odai, jokes = found(LIST, [stranger])
    assert jokes == []
    assert odai in ([], THE_ODAI)


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 5000 + "]" * 5000, '{"id": 1e999}', '"\\ud800"'])
def test_no_json_is_nothing(text: str) -> None:
    assert read(LIST, text) == ([], [])


def test_half_characters_do_not_reach_the_corpus() -> None:
    _, jokes = read(LIST, '[{"id": 5, "odaiId": 1, "text": "a\\ud83d\\u0000b", "rateSum": 1}]')
    assert jokes[0].text == "ab"

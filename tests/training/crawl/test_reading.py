"""Numbers, dates, ids and words as pages write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from training.crawl import reading


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1,324", 1324),
        ("★ 595", 595),
        ("\n  12,345,678\n", 12_345_678),
        ("１２", 12),
        ("0", 0),
        ("", None),
        ("5時間くらい前", None),
        ("2022年05月03日", None),
        ("-3", None),
        ("9" * 40, None),
        ("²", None),
    ],
)
def test_number(text: str, count: int | None) -> None:
    assert reading.number(text) == count


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2022年05月03日", datetime(2022, 5, 2, 15, tzinfo=UTC)),
        ("2022年5月3日 09:30", datetime(2022, 5, 3, 0, 30, tzinfo=UTC)),
        ("2013/09/06 12:34:56", datetime(2013, 9, 6, 3, 34, 56, tzinfo=UTC)),
        ("2013.09.06", datetime(2013, 9, 5, 15, tzinfo=UTC)),
        ("2022-05-03T12:00:00.000Z", datetime(2022, 5, 3, 12, tzinfo=UTC)),
        ("2022-05-03T12:00:00+09:00", datetime(2022, 5, 3, 3, tzinfo=UTC)),
        ("5時間くらい前", None),
        ("20220503", None),
        ("2022年13月03日", None),
        ("1,324", None),
    ],
)
def test_moment(text: str, moment: datetime | None) -> None:
    assert reading.moment(text) == moment


@given(st.text())
def test_no_text_breaks_a_reading(text: str) -> None:
    reading.number(text)
    reading.moment(text)
    reading.id_in(text, "odai")
    reading.category_in(text)
    reading.address("https://bokete.jp/boke/hot", text)
    reading.clean(text).encode()  # no halves of characters: a database takes it
    assert "\x00" not in reading.clean(text)


@pytest.mark.parametrize(
    ("href", "kind", "found"),
    [
        ("/odai/469179", "odai", "469179"),
        ("https://bokete.jp/boke/11141771#boke-permalink-rating", "boke", "11141771"),
        ("/boke/11141771/rating?type=big", "boke", "11141771"),
        ("/boke/category/123", "boke", None),
        ("/boke/hot?page=2", "boke", None),
        ("/odai/007", "odai", "7"),
        ("/odai/" + "9" * 30, "odai", None),
        ("/odai/٣", "odai", None),
        ("http://[", "odai", None),
        (None, "odai", None),
    ],
)
def test_id_in(href: str | None, kind: str, found: str | None) -> None:
    assert reading.id_in(href, kind) == found


def test_a_page_may_be_nested_as_deep_as_it_likes() -> None:
    html = "<div>" * 5000 + "底" + "</div>" * 5000
    body = LexborHTMLParser(html).body
    assert body is not None
    assert reading.words(body) == "底"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>  むちゃ\n   ぶり  </p>", "むちゃ ぶり"),
        ("<p>今、　　方向<b>オンチ</b>の</p>", "今、　　方向オンチの"),
        ("<p>一行目<br/>  二行目<br><br>四行目</p>", "一行目\n二行目\n\n四行目"),
        ("<p>a &amp; b &lt;c&gt; 👨‍👩‍👧</p>", "a & b <c> 👨‍👩‍👧"),
        ("<p>見える<script>x()</script><!-- 無 --></p>", "見える"),
        ("<p>a <b> b</b></p>", "a b"),
        ("<p></p>", ""),
    ],
)
def test_words(html: str, text: str) -> None:
    node = LexborHTMLParser(html).css_first("p")
    assert node is not None
    assert reading.words(node) == text

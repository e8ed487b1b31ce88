"""Pages of the third layout (since 2022): what a Next.js application renders, with its data as JSON or without."""

from __future__ import annotations

import json
from html import escape
from typing import Any
from urllib.parse import quote

from tests.servers.bokete.view import View, japan_day
from tests.servers.bokete.world import SiteBoke, SiteOdai

_PAGE = """<!DOCTYPE html><html lang="ja"><head><meta charSet="utf-8"/><title>{title} | ボケて</title>
<link rel="preload" href="/_next/static/css/app.css" as="style"/></head>
<body><div id="__next"><header><a href="/"><img src="/logo.svg" alt="ボケて"/></a><nav>{navigation}</nav></header>
<main class="jsx-1"><div class="jsx-2"><div class="jsx-3">{column}</div>
<div class="jsx-4"><h2>人気の職人</h2><a href="/user/4711"><p>だれか</p></a></div></div></main>
<footer>ボケて</footer></div>{script}</body></html>"""


def render(view: View, *, next_data: bool = True) -> str:
    """A list, an odai or a joke."""
    links = (f'<a href="/boke/category/{quote(name)}/hot">{name}</a>' for name in view.categories)
    blocks = []
    if view.kind == "odai" and view.odai is not None:
        blocks.append(f'<div class="c0">{_figure(view, view.odai)}<a href="/user/4711">お題職人</a></div>')
    for odai, boke in view.entries:
        first = _figure(view, odai) if view.kind != "odai" else '<a href="/user/815"><p>ボケ職人</p></a>'
        blocks.append(
            f'<div class="c1">{first}<a href="/boke/{boke.id}"><h1 class="t">{escape(boke.text)}</h1></a>'
            f'<div class="m"><a href="/boke/{boke.id}">★{boke.stars:,}</a>'
            f'<a href="/boke/category/{quote(boke.category)}/hot">{boke.category}</a>'
            f'<a href="/boke/{boke.id}">{japan_day(boke.posted)}</a></div></div>'
        )
    blocks.append('<div class="c2"><button>もっと見る</button></div>')
    script = ""
    if next_data:
        data = json.dumps(_data(view), ensure_ascii=False).replace("<", "\\u003c")
        script = f'<script id="__NEXT_DATA__" type="application/json">{data}</script>'
    return _PAGE.format(title=escape(view.title), navigation="".join(links), column="".join(blocks), script=script)


def words(text: str) -> str:
    """A page that says something instead of showing anything."""
    data = json.dumps({"props": {"pageProps": {}}, "page": "/_error"})
    script = f'<script id="__NEXT_DATA__" type="application/json">{data}</script>'
    return _PAGE.format(title="ボケて", navigation="", column=f"<div><p>{text}</p></div>", script=script)


def _figure(view: View, odai: SiteOdai) -> str:
    return f'<a href="/odai/{odai.id}"><figure><img src="{view.picture(odai, 600)}" alt="{escape(odai.title)}"/></figure></a>'


def _data(view: View) -> dict[str, Any]:
    """Queries and their results, as such applications keep them, with other people's objects between."""
    user = {"id": 4711, "name": "だれか", "bokeCount": 12, "iconUrl": "//example.invalid/photo/profile/18/x_18.jpg"}
    comment = (
        {"id": 99, "bokeId": view.entries[0][1].id, "text": "うまい", "date": 1_600_000_000} if view.entries else {}
    )
    if view.kind == "odai" and view.odai is not None:
        jokes = [_boke(boke) for _, boke in view.entries]
        state: dict[str, Any] = {"odai": {**_odai(view, view.odai), "user": user}, "bokes": {"items": jokes}}
    else:
        jokes = [{**_boke(boke), "odai": _odai(view, odai), "user": user} for odai, boke in view.entries]
        state = {"pages": [{"items": jokes, "nextPage": view.number + 1}]}
    queries = [{"queryKey": ["x"], "state": {"data": state}}, {"state": {"data": {"comments": [comment], "me": None}}}]
    return {"props": {"pageProps": {"dehydratedState": {"queries": queries}}}, "page": "/", "buildId": "b"}


def _odai(view: View, odai: SiteOdai) -> dict[str, Any]:
    return {
        "id": odai.id,
        "date": odai.posted.isoformat(),
        "bokeCount": view.joke_count(odai),
        "category": odai.category,
        "title": odai.title or None,
        "largeURL": view.picture(odai, 600),
    }


def _boke(boke: SiteBoke) -> dict[str, Any]:
    return {
        "id": boke.id,
        "odaiId": boke.odai_id,
        "date": boke.posted.isoformat(),
        "text": boke.text,
        "isNG": boke.flagged,
        "rateSum": boke.stars,
        "rateCount": boke.ratings,
        "lastRateDate": None,
        "category": boke.category,
    }

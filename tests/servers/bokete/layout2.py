"""Pages of the second layout (2017 to 2021)."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from tests.servers.bokete.view import View, japan_day

_PAGE = """<!DOCTYPE html><html lang="ja"><head><meta charset="utf-8"><title>{title} - ボケて（bokete）</title>
<script>window.dataLayer = window.dataLayer || [];</script></head>
<body><header class="header"><nav><ul>{navigation}</ul></nav></header>
<div class="container"><div id="content">{content}</div>
<aside id="side"><a href="/user/4711">職人</a></aside></div></body></html>"""


def render(view: View) -> str:
    """A list, an odai or a joke."""
    links = (f'<li><a href="/boke/category/{quote(name)}/hot">{name}</a></li>' for name in view.categories)
    blocks = []
    for odai, boke in view.entries:
        stars = (
            f'<div class="boke-stars"><a href="/boke/{boke.id}">\n<i class="icon-star"></i>\n{boke.stars:,}\n</a></div>'
        )
        info = (
            f'<div class="boke-meta"><a href="/boke/category/{quote(boke.category)}/hot">{boke.category}</a>'
            f'<a href="/boke/{boke.id}">{japan_day(boke.posted)}</a></div>{stars}'
        )
        if view.kind == "odai":
            text = f'<a class="boke-text" href="/boke/{boke.id}">\n  <div>{escape(boke.text)}</div>\n</a>'
            blocks.append(f'<div class="boke">{text}{info}</div>')
        else:
            photo = (
                f'<div class="boke-photo-content"><a href="/odai/{odai.id}">'
                f'<img src="{view.picture(odai, 600)}" alt="{escape(odai.title)}"></a></div>'
            )
            text = f'<a class="boke-text" href="/boke/{boke.id}">{escape(boke.text)}</a>'
            blocks.append(f'<div class="boke">{photo}{text}{info}</div>')
    content = "".join(blocks)
    if view.kind == "odai" and view.odai is not None:
        photo = f'<img src="{view.picture(view.odai, 600)}" alt="{escape(view.odai.title)}">'
        content = f'<div class="photo-content">{photo}</div>{content}'
    else:
        content = f'<div class="content-boke">{content}</div>'
    return _PAGE.format(title=escape(view.title), navigation="".join(links), content=content)


def words(text: str) -> str:
    """A page that says something instead of showing anything."""
    return _PAGE.format(title="ボケて", navigation="", content=f"<p>{text}</p>")

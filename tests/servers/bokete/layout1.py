"""Pages of the first layout (2012 to 2016), after a saved page of it: what stands around the jokes is part of the test."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from tests.servers.bokete.view import View, japan_day

_HEAD = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
          "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" lang="ja" xml:lang="ja">
 <head><meta http-equiv="Content-Type" content="text/html; charset=utf-8" /><title>{title} : ボケて（bokete）</title></head>
 <body>
   <div id="pagetop" class="wrap">
     <div id="header" class="fix"><h1><a href="/">ボケて（bokete）</a></h1></div>
     <div id="gnavi" class="fix ui-corner-all">
       <ul><li><a href="/boke">ボケ</a></li><li><a href="/odai">お題</a></li></ul>
       <div id="subnavi" class="boke"><ul>{navigation}</ul></div>
       <p>ボケ投稿数<em>{jokes:,}</em>件 お題投稿数<em>{odai:,}</em>件</p>
     </div>
     <div id="main_base" class="fix"><div class="main_container">
"""
_TAIL = """
     </div><div id="right_container"><dl class="rbox01 mb20"><dt>最近のコメント</dt><dd><table><tr>
       <th><img src="//example.invalid/photo/profile/18/someone_18.jpg" alt="" width="18" height="18" /></th>
       <td><a href="/boke/4711">早く動けwwwwwww</a></td></tr></table></dd></dl></div></div></div>
 </body></html>"""
_ENTRY = """
<!-- BEGIN boke-entry -->
<div class="boke-entry attention ui-widget" id="boke-entry-{id}">
<div class="ui-helper-clearfix"><a href="javascript:scrollBoke({id});"><span class="ui-icon">&nbsp;</span></a></div>
{title}<br />
<div class="photo">
  <a href="/odai/{odai}">
    <img src="{picture}" alt="{title}" style="width:400;height:279;" />
  </a>
  <p>お題 by <a href="/user/someone">seven</a></p>
</div>
<p class="boke_read">{text}</p>
<p class="boke-entry-info">
  【<a href="/boke/category/{category_link}">{category}</a>】
  <a href="/boke/{id}">{when}</a>
</p>
<div class="boke-entry-rating">{rating}</div>
<div class="boke-social-bottom">
<a href="http://twitter.com/share" class="socialite" data-text="{text} #ボケて" data-url="http://bokete.jp/boke/{id}"></a>
</div>
</div>
<!-- END boke-entry -->
"""
_RATING = """
<div class="accordion boke-entry-rating-info"><span id="accordion-header-{id}" class="accordion-header">
  <a href="/boke/{id}#boke-permalink-rating">
  ★
  の合計&nbsp;<em>{stars}</em>（{ratings}）</a>
  <a class="rating-link ui-helper-hidden" href="/boke/{id}/rating?type=big">&nbsp;</a>
</span></div>"""


def render(view: View) -> str:
    """A list, an odai or a joke."""
    links = (f'<li><a href="/boke/category/{quote(name)}">{name}</a></li>' for name in view.categories)
    head = _HEAD.format(
        title=escape(view.title), navigation="".join(links), jokes=view.jokes_in_all, odai=view.odai_in_all
    )
    entries = []
    for odai, boke in view.entries:
        rating = _RATING.format(id=boke.id, stars=boke.stars, ratings=boke.ratings) if boke.ratings else ""
        entries.append(
            _ENTRY.format(
                id=boke.id,
                odai=odai.id,
                picture=view.picture(odai, 400),
                title=escape(odai.title),
                text=escape(boke.text),
                category=boke.category,
                category_link=quote(boke.category),
                when="5時間くらい前" if boke.id % 3 else japan_day(boke.posted),
                rating=rating,
            )
        )
    if view.kind == "odai" and view.odai is not None and not view.entries:
        image = f'<img src="{view.picture(view.odai, 400)}" alt="{escape(view.odai.title)}" />'
        entries.append(f'<div class="photo"><a href="/odai/{view.odai.id}">{image}</a></div>')
    pager = ""
    if view.kind == "list":
        following = f'<span class="pager-plusone-next"><a href="{view.next_path}">次 &raquo;</a></span>'
        pager = f'<div id="pager-plusone"><em>{view.number}</em>{following if view.next_path else ""}</div>'
    return head + f"<h2>{escape(view.title)}</h2>" + "".join(entries) + pager + _TAIL


def words(text: str) -> str:
    """A page that says something instead of showing anything."""
    return (
        _HEAD.format(title="ボケて", navigation="", jokes=0, odai=0) + f"<p>{text}</p></div></div></div></body></html>"
    )

"""What the copy of the site holds: odai, jokes and pictures, made up from a seed and the same every time."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from PIL import Image, ImageDraw

FIRST_DAY = datetime(2013, 9, 6, 3, 0, tzinfo=UTC)
CATEGORIES = ("バカ", "シュール", "ブラック", "例え", "その他")
LISTS = ("hot", "popular", "recent", "legend", "pickup", "select")
SIZES = (240, 400, 600)

_WHO = (
    "課長",
    "店長",
    "母",
    "猫",
    "隣の人",
    "宇宙人",
    "新人",
    "社長",
    "先生",
    "祖父",
    "警備員",
    "うちの犬",
    "監督",
    "忍者",
)
_WHEN = ("月曜の朝", "終電の前", "会議中", "休み明け", "締切の夜", "昼休み", "給料日", "大掃除", "面接の帰り", "町内会")
_WHAT = ("鍵", "傘", "弁当", "領収書", "やる気", "布団", "靴下", "議事録", "リモコン", "記憶", "名刺", "方向感覚")
_END = (
    "がない",
    "を返して",
    "だけ届いた",
    "に謝れ",
    "のせいです",
    "が二つある",
    "を見失った",
    "は別料金です",
    "と目が合う",
    "が本体",
)
_FORMS = (
    "「{what}{end}」と{who}",
    "{when}、{what}{end}",
    "{who}、{when}に{what}{end}",
    "{when}の{who}「{what}{end}」",
    "{what}{end}",
)
_TITLES = ("水族館の朝", "この後どうなった？", "駅前にて", "発表会")
_GAPS = ("【　　　】が止まらない", "（　）に入る言葉は？", "もしも○○が先生だったら")


@dataclass(frozen=True)
class SiteOdai:
    """A picture as the site poses it. `picture` is the md5 that names the file; several odai may share it."""

    id: int
    picture: str
    title: str
    category: str
    posted: datetime


@dataclass(frozen=True)
class SiteBoke:
    """A joke of an odai."""

    id: int
    odai_id: int
    text: str
    stars: int
    ratings: int
    category: str
    posted: datetime
    flagged: bool = False


class World:
    """Everything on the site; `grow` lets a day pass."""

    def __init__(self, odai: int, seed: int, *, first_id: int = 1001, holes: float = 0.05, jokes: int = 6) -> None:
        """
        Args:
            odai: how many there are.
            first_id: of the odai.
            holes: share of the ids below the newest that are not there.
            jokes: for each odai, on average.
        """
        self.odai: dict[int, SiteOdai] = {}
        self.boke: dict[int, SiteBoke] = {}
        self.changed = FIRST_DAY
        self._rng = random.Random(seed)
        self._seed = seed
        self._holes = holes
        self._jokes = jokes
        self._next_odai = first_id
        self._next_boke = first_id * 23
        self.grow(odai)

    def grow(self, odai: int = 0, *, jokes: int = 0) -> tuple[list[SiteOdai], list[SiteBoke]]:
        """New odai with their jokes, and so many new jokes on those that were there before."""
        before = list(self.odai)
        new_odai, new_boke = [], []
        for _ in range(odai):
            while before and self._rng.random() < self._holes:
                self._next_odai += 1
            new_odai.append(self._new_odai())
            before.append(new_odai[-1].id)
            new_boke += [self._new_boke(new_odai[-1].id) for _ in range(self._rng.randrange(2 * self._jokes + 1))]
        old = before[: len(before) - odai]
        new_boke += [self._new_boke(self._rng.choice(old)) for _ in range(jokes)]
        self.changed += timedelta(days=1)
        return new_odai, new_boke

    def rate(self, boke_id: int, stars: int) -> None:
        """Somebody gives stars."""
        boke = self.boke[boke_id]
        self.boke[boke_id] = replace(boke, stars=boke.stars + stars, ratings=boke.ratings + 1)
        self.changed += timedelta(hours=1)

    def remove_boke(self, boke_id: int) -> None:
        """The author takes it down."""
        del self.boke[boke_id]
        self.changed += timedelta(hours=1)

    def remove_odai(self, odai_id: int) -> None:
        """An odai goes, with its jokes."""
        del self.odai[odai_id]
        self.boke = {key: boke for key, boke in self.boke.items() if boke.odai_id != odai_id}
        self.changed += timedelta(hours=1)

    def jokes_of(self, odai_id: int) -> list[SiteBoke]:
        """Best first."""
        return sorted((b for b in self.boke.values() if b.odai_id == odai_id), key=lambda b: (-b.stars, b.id))

    def listed(self, name: str) -> list[SiteBoke] | None:
        """The jokes of a list, or of a category's (`category/バカ/hot`), in its order; None: there is no such list."""
        jokes = sorted(self.boke.values(), key=lambda b: -b.id)
        by_stars = sorted(jokes, key=lambda b: (-b.stars, b.id))
        if name.startswith("category/") and name.endswith("/hot"):
            category = name.split("/")[1]
            return [b for b in by_stars if b.category == category] if category in CATEGORIES else None
        if name not in LISTS:
            return None
        newest = {b.id for b in jokes[: max(20, len(jokes) // 4)]}
        chosen = {
            "hot": [b for b in by_stars if b.id in newest],
            "popular": by_stars,
            "recent": jokes,
            "legend": [b for b in jokes if b.stars >= 300],
            "pickup": [b for b in jokes if b.id % 7 == 0],
            "select": [b for b in jokes if b.id % 11 == 0],
        }
        return chosen[name]

    def _new_odai(self) -> SiteOdai:
        rng = self._rng
        shared = self.odai and rng.random() < 0.05
        fresh = hashlib.md5(f"{self._seed}/{self._next_odai}".encode()).hexdigest()
        picture = rng.choice(list(self.odai.values())).picture if shared else fresh
        title = rng.choice(_GAPS) if rng.random() < 0.08 else rng.choice(_TITLES) if rng.random() < 0.15 else ""
        posted = FIRST_DAY + timedelta(minutes=30 * len(self.odai))
        odai = SiteOdai(self._next_odai, picture, title, rng.choice(CATEGORIES), posted)
        self.odai[odai.id] = odai
        self._next_odai += 1
        return odai

    def _new_boke(self, odai_id: int) -> SiteBoke:
        rng = self._rng
        words = {"who": rng.choice(_WHO), "when": rng.choice(_WHEN), "what": rng.choice(_WHAT), "end": rng.choice(_END)}
        ratings = int(rng.paretovariate(0.8)) - 1 if rng.random() < 0.8 else 0
        ratings = min(ratings, 900)
        boke = SiteBoke(
            id=self._next_boke,
            odai_id=odai_id,
            text=rng.choice(_FORMS).format(**words),
            stars=sum(rng.choice((1, 2, 3)) for _ in range(ratings)),
            ratings=ratings,
            category=rng.choice(CATEGORIES),
            posted=self.odai[odai_id].posted + timedelta(minutes=rng.randrange(1, 600)),
            flagged=rng.random() < 0.02,
        )
        self.boke[boke.id] = boke
        self._next_boke += rng.choice((1, 1, 1, 2, 5))
        return boke


@lru_cache(maxsize=256)
def picture_bytes(name: str, size: int) -> bytes:
    """The JPEG of that name whose longer side has so many pixels: a few shapes that the name decides."""
    rng = random.Random(name)
    short = size * rng.choice((3, 4, 5)) // 6
    shape = (size, short) if rng.random() < 0.6 else (short, size)

    def color() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    image = Image.new("RGB", shape, color())
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = rng.random() * shape[0], rng.random() * shape[1]
        radius = size * (0.08 + 0.25 * rng.random())
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color())
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()

"""The card's letters: which fonts are there, what they can show, how wide it is, and drawing a line of it.

Japanese comes from the package noto-cjk-sans-jp-bold (OFL). Emoji come from Noto Color Emoji where the system has it
(Debian: fonts-noto-color-emoji, OFL), else from the package manimgx-fonts (Noto Emoji, one colour, OFL), else they are
left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from unicodedata import normalize

from PIL import Image, ImageDraw, ImageFont, features

from bot.typeset import split_runs, tidy_spaces

_COLOUR_EMOJI = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",  # Debian, Ubuntu
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",  # Arch
    "/usr/share/fonts/noto-emoji/NotoColorEmoji.ttf",  # Alpine
    "/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf",  # Fedora
)
_EMOJI_PACKAGE = ("manimgx_fonts", "NotoEmoji[wght].ttf")
_BITMAP_SIZE = 109  # the only size of the bitmaps in Noto Color Emoji
_MEASURED_AT = 100  # pixels a letter; widths at other sizes are in proportion
_NOBODYS = "\uffff"  # never assigned: shows a font's glyph for what it lacks
_FACE = "\U0001f602"

# In letter sizes, from measuring both emoji fonts beside the Japanese one.
EMOJI_WIDTH = 1.12
CENTRE = 0.38  # of a kanji, above the baseline


class CardError(Exception):
    """Base of the reasons why no card can be made."""


class FontMissing(CardError):
    """The Japanese font is not installed or cannot be read."""


@dataclass(frozen=True)
class FontFiles:
    """The fonts that cards are written in; `emoji` is None where there is none."""

    japanese: Path
    emoji: Path | None
    emoji_in_colour: bool


@lru_cache(maxsize=1)
def find_fonts() -> FontFiles:
    """The fonts of this installation, looked up once.

    Raises:
        FontMissing
    """
    try:
        from noto_cjk_sans_jp_bold import FONT_PATH
    except ImportError as error:
        raise FontMissing("the package noto-cjk-sans-jp-bold is not installed") from error
    japanese = Path(FONT_PATH)
    for name in _COLOUR_EMOJI:
        if _draws_emoji(Path(name)):
            return FontFiles(japanese, Path(name), True)
    package, name = _EMOJI_PACKAGE
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None and _draws_emoji(Path(spec.origin).with_name(name)):
        return FontFiles(japanese, Path(spec.origin).with_name(name), False)
    return FontFiles(japanese, None, False)


def _draws_emoji(path: Path) -> bool:
    """Whether Pillow gets ink from this font: it reads bitmaps (CBDT) and flat layers (COLR v0), not COLR v1."""
    try:
        font = _open_emoji(path, _BITMAP_SIZE)
        return bool(font.getmask(_FACE, mode="RGBA").getbbox())
    except (OSError, ValueError):
        return False


def _open_emoji(path: Path, size: int) -> ImageFont.FreeTypeFont:
    try:
        font = ImageFont.truetype(str(path), size)
    except OSError:  # bitmaps of one size
        return ImageFont.truetype(str(path), _BITMAP_SIZE)
    with contextlib.suppress(OSError, NotImplementedError):  # not a variable font
        font.set_variation_by_axes([axis["maximum"] or 0 for axis in font.get_variation_axes()])  # the boldest
    return font


class Lettering:
    """Measures and draws; one object for each card and thread, as FreeType's faces are not to be shared.

    Raises:
        FontMissing
    """

    def __init__(self, fonts: FontFiles | None = None) -> None:
        self._files = fonts or find_fonts()
        try:
            self._ruler = ImageFont.truetype(str(self._files.japanese), _MEASURED_AT)
            self._probe = ImageFont.truetype(str(self._files.japanese), 16, layout_engine=ImageFont.Layout.BASIC)
        except OSError as error:
            raise FontMissing(f"cannot read {self._files.japanese}") from error
        self._missing = _picture_of(self._probe, _NOBODYS)
        self._has: dict[str, bool] = {}
        self._sizes: dict[int, ImageFont.FreeTypeFont] = {}

    def drawable(self, text: str) -> str:
        """`text` with what no font has replaced by its plain form (NFKC) where that can be shown, and left out otherwise."""
        shown = ""
        for run in split_runs(text):
            if run.emoji:
                shown += self._drawable_emoji(run.text)
            else:
                shown += "".join(self._drawable_letter(letter) for letter in run.text)
        return "\n".join(line for line in map(tidy_spaces, shown.split("\n")) if line)

    def measure(self, line: str) -> float:
        """The width of a line in letter sizes: a kanji is 1 wide."""
        width = 0.0
        for run in split_runs(line):
            if run.emoji:
                width += EMOJI_WIDTH
            else:
                width += self._ruler.getlength(run.text) / _MEASURED_AT
        return width

    def draw_line(
        self, image: Image.Image, line: str, centre: tuple[float, float], size: int, colour: tuple[int, int, int]
    ) -> None:
        """Draw `line` on an RGB `image` so that its ink is centred on `centre`, in pixels."""
        font = self._sizes.get(size) or self._sizes.setdefault(size, self._ruler.font_variant(size=size))
        runs = split_runs(line)
        widths = [EMOJI_WIDTH * size if run.emoji else font.getlength(run.text) for run in runs]
        # Brackets and stops fill half of their square: what is centred is the ink.
        before = 0.0 if not runs or runs[0].emoji else _side_bearings(font, runs[0].text[0])[0]
        after = 0.0 if not runs or runs[-1].emoji else _side_bearings(font, runs[-1].text[-1])[1]
        x = centre[0] - (sum(widths) + before - after) / 2
        baseline = centre[1] + CENTRE * size
        draw = ImageDraw.Draw(image)
        for run, width in zip(runs, widths, strict=True):
            if not run.emoji:
                draw.text((round(x), round(baseline)), run.text, font=font, fill=colour, anchor="ls")
            elif self._emoji is not None:
                tile = self._emoji.tile(run.text, round(width), colour)
                image.paste(tile, (round(x), round(centre[1] - tile.height / 2)), tile)
            x += width

    @cached_property
    def _emoji(self) -> _EmojiFont | None:
        return None if self._files.emoji is None else _EmojiFont(self._files.emoji)

    def _drawable_emoji(self, emoji: str) -> str:
        if self._emoji is not None and self._emoji.has(emoji):
            return emoji
        return "".join(c for c in emoji if self._can_show(c)) if len(emoji.rstrip("\ufe0f")) == 1 else ""

    def _drawable_letter(self, letter: str) -> str:
        if letter in "\n \u3000\u3099\u309a" or self._can_show(letter):
            return letter
        as_emoji = letter + "\ufe0f"
        if self._emoji is not None and split_runs(as_emoji)[0].emoji and self._emoji.has(as_emoji):
            return as_emoji
        plain = normalize("NFKC", letter)
        return plain if plain != letter and all(self._can_show(c) for c in plain) else ""

    def _can_show(self, letter: str) -> bool:
        if letter not in self._has:
            self._has[letter] = _picture_of(self._probe, letter) != self._missing
        return self._has[letter]


class _EmojiFont:
    def __init__(self, path: Path) -> None:
        self._font = _open_emoji(path, _BITMAP_SIZE)
        self._joins_parts = features.check_feature("raqm")
        self._missing = _picture_of(self._font, _NOBODYS)

    def has(self, emoji: str) -> bool:
        picture = _picture_of(self._font, self._sequence(emoji))
        return picture != self._missing and any(picture[1])

    def tile(self, emoji: str, width: int, colour: tuple[int, int, int]) -> Image.Image:
        """One emoji on transparency, `width` pixels wide, its face's middle in the tile's middle."""
        sequence = self._sequence(emoji)
        _, top, _, bottom = self._font.getbbox(_FACE, anchor="ls")
        height = round(bottom - top)
        tile = Image.new("RGBA", (round(self._font.getlength(_FACE)), height), (*colour, 0))
        ImageDraw.Draw(tile).text(
            (0, -top), sequence, font=self._font, fill=(*colour, 255), anchor="ls", embedded_color=True
        )
        return tile.resize((width, max(1, round(height * width / tile.width))), Image.Resampling.LANCZOS)

    def _sequence(self, emoji: str) -> str:
        """All of it, or its first picture where the parts do not join: the font does not know them together, or Pillow
        has no libraqm or FriBiDi."""
        joins = self._joins_parts and self._font.getlength(emoji) < 1.5 * self._font.getlength(_FACE)
        return emoji if joins else emoji[:1]


def _side_bearings(font: ImageFont.FreeTypeFont, letter: str) -> tuple[float, float]:
    """The blank left and right of a letter's ink within its width, in pixels."""
    mask, offset = font.getmask2(letter, mode="L", anchor="ls")
    box = mask.getbbox()
    if box is None:
        return 0.0, 0.0
    return offset[0] + box[0], font.getlength(letter) - offset[0] - box[2]


def _picture_of(font: ImageFont.FreeTypeFont, text: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text, mode="L")
    return mask.size, bytes(mask)

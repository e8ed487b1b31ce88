"""The card: the picture with the joke under it, large and black on white, as visitors of bokete know it.

A pure function from picture and text to PNG bytes. It keeps the processor busy for some tens of milliseconds, so callers
run it in a thread or process; nothing in here is shared between calls.
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from bot.lettering import CardError, FontFiles, FontMissing, Lettering
from bot.typeset import Breaker, Layout, clean_text

__all__ = ["CardError", "FontMissing", "NothingToWrite", "UnusablePicture", "make_card"]

WIDTHS = (200, 2000)
# Of the picture's panel, height over width; a picture beyond is shown whole, over a blurred copy of itself.
FLATTEST, TALLEST = 0.36, 1.34  # a phone's 3:4 still fills it
_PIXEL_ART_ZOOM = 8.0  # a picture is not blown up more, unless it is a dot

# Letter sizes over the card's width, each with the number of lines up to which it is taken.
_SIZES = ((0.075, 2), (0.066, 3), (0.056, 4), (0.048, 5), (0.041, 7), (0.035, 10), (0.03, 1000))
_MARGIN = 0.055  # beside the text, over the width
_LEADING = 1.42  # from line to line, in letter sizes
_INK, _QUIET, _HAIRLINE = (24, 24, 24), (150, 150, 150), (228, 228, 228)

SPOILER_HINT = "ネタバレ防止"
_SPOILER_DETAIL = "画像は元の投稿で見られます"
_SPOILER_CELLS = 9  # along the panel's short side, all that is left of a hidden picture


class NothingToWrite(CardError):
    """The text has no letter that can be shown."""


class UnusablePicture(CardError):
    """The picture has no pixels or cannot be decoded."""


def make_card(
    picture: Image.Image,
    text: str,
    *,
    spoiler: bool = False,
    width: int = 800,
    credit: str = "",
    fonts: FontFiles | None = None,
) -> bytes:
    """Draw a card.

    Args:
        picture: any size and mode; left as it is. Transparent pixels turn white.
        text: the joke, of which at most 200 characters are shown.
        spoiler: hide the picture behind an unrecognisable blur and a hint.
        width: of the card, in pixels, 200 to 2000.
        credit: a small grey line under the joke; cut off where it is too long for one line.
        fonts: other fonts than `find_fonts` finds.

    Returns:
        A PNG, `width` pixels wide and at most two and a half times as high. The same arguments give the same bytes.

    Raises:
        NothingToWrite, UnusablePicture, FontMissing: all of them `CardError`.
        ValueError: for a width out of range.
    """
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ValueError(f"a card is {WIDTHS[0]} to {WIDTHS[1]} pixels wide, not {width}")
    letters = Lettering(fonts)
    joke = letters.drawable(clean_text(text))
    if not joke:
        raise NothingToWrite("the text has no letter that can be shown")
    try:
        top = _picture_panel(picture, width, spoiler)
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        raise UnusablePicture(f"the picture cannot be drawn: {error}") from error
    if spoiler:
        _draw_hint(top, letters)
    bottom = _text_panel(joke, letters, width, letters.drawable(clean_text(credit).replace("\n", " ")))
    card = Image.new("RGB", (width, top.height + bottom.height), "white")
    card.paste(top, (0, 0))
    card.paste(bottom, (0, top.height))
    buffer = io.BytesIO()
    card.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _picture_panel(picture: Image.Image, width: int, spoiler: bool) -> Image.Image:
    if not picture.width or not picture.height:
        raise ValueError("it has no pixels")
    not_a_dot = max(_PIXEL_ART_ZOOM, FLATTEST * width / max(picture.size))
    zoom = min(width / picture.width, TALLEST * width / picture.height, not_a_dot)
    size = max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom))
    panel_size = width, min(max(size[1], round(FLATTEST * width)), round(TALLEST * width))
    shown = _resized(picture, size)
    if spoiler:
        cell = min(panel_size) / _SPOILER_CELLS
        hidden = shown.resize((round(panel_size[0] / cell), round(panel_size[1] / cell)), Image.Resampling.BOX)
        return ImageEnhance.Brightness(hidden.resize(panel_size, Image.Resampling.BICUBIC)).enhance(0.6)
    if size == panel_size:
        return shown
    panel = _backdrop(shown, panel_size)
    panel.paste(shown, ((width - size[0]) // 2, (panel_size[1] - size[1]) // 2))
    return panel


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in RGB on white, `size` large."""
    has_alpha = "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info
    if picture.mode not in ("RGB", "RGBA", "L"):
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    dots = size[0] >= _PIXEL_ART_ZOOM * picture.width
    picture = picture.resize(size, Image.Resampling.NEAREST if dots else Image.Resampling.LANCZOS, reducing_gap=2.0)
    if has_alpha and picture.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _backdrop(shown: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A pale, blurred copy of the picture that fills `size`."""
    small = 48, max(8, round(48 * size[1] / size[0]))
    blurred = shown.resize(small, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(3))
    return Image.blend(blurred, Image.new("RGB", small, "white"), 0.45).resize(size, Image.Resampling.BICUBIC)


def _draw_hint(panel: Image.Image, letters: Lettering) -> None:
    width, height = panel.size
    size = round(min(0.055 * width, 0.2 * height))
    small = round(0.5 * size)
    box_width, box_height = round((letters.measure(SPOILER_HINT) + 2.4) * size), round(3.1 * size)
    box_width = max(box_width, round(letters.measure(_SPOILER_DETAIL) * small + 2.0 * size))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    shade = Image.new("L", (box_width, box_height), 0)
    ImageDraw.Draw(shade).rounded_rectangle((0, 0, box_width - 1, box_height - 1), radius=0.6 * size, fill=150)
    panel.paste((20, 20, 20), (left, top), shade)
    letters.draw_line(panel, SPOILER_HINT, (width / 2, top + 1.15 * size), size, (255, 255, 255))
    letters.draw_line(panel, _SPOILER_DETAIL, (width / 2, top + 2.2 * size), small, (215, 215, 215))


def _text_panel(joke: str, letters: Lettering, width: int, credit: str) -> Image.Image:
    size, layout = _fit(joke, letters, width)
    leading = round(_LEADING * size)
    block = leading * len(layout.lines)
    padding = round(max(0.035 * width, 0.45 * size))
    credit_size = round(0.024 * width)
    credit_height = round(1.9 * credit_size) if credit else 0
    height = max(block + 2 * padding, round(0.19 * width)) + credit_height
    panel = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(panel).line((0, 0, width, 0), fill=_HAIRLINE, width=max(1, width // 400))
    middle = (height - credit_height) / 2
    for index, line in enumerate(layout.lines):
        y = middle - block / 2 + (index + 0.5) * leading
        letters.draw_line(panel, line, (width / 2, y), size, _INK)
    if credit:
        line = _cut_to(credit, letters, (1 - 2 * _MARGIN) * width / credit_size)
        letters.draw_line(panel, line, (width / 2, height - 1.55 * credit_size), credit_size, _QUIET)
    return panel


def _fit(joke: str, letters: Lettering, width: int) -> tuple[int, Layout]:
    """The largest size at which the joke breaks between phrases into few lines, else the largest with few lines."""
    breaker = Breaker(joke, letters.measure)
    sizes = [round(share * width) for share, _ in _SIZES]
    layouts = [breaker.layout((1 - 2 * _MARGIN) * width / size) for size in sizes]
    few = [i for i, (_, most) in enumerate(_SIZES) if len(layouts[i].lines) <= most]
    best = next((i for i in few if layouts[i].at_phrases), few[0])
    smaller = min(best + 1, len(sizes) - 1)
    if (
        len(layouts[smaller].lines) < len(layouts[best].lines)
        and layouts[smaller].at_phrases >= layouts[best].at_phrases
    ):
        best = smaller  # a line less is worth it
    return sizes[best], layouts[best]


def _cut_to(line: str, letters: Lettering, max_width: float) -> str:
    if letters.measure(line) <= max_width:
        return line
    while line and letters.measure(line + "…") > max_width:
        line = line[:-1]
    return line.rstrip() + "…"

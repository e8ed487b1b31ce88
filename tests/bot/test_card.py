"""The card: picture above, joke below, for pictures and texts of every shape."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.card import (
    FLATTEST,
    TALLEST,
    CardError,
    FontMissing,
    NothingToWrite,
    UnusablePicture,
    make_card,
)
from bot.lettering import FontFiles, find_fonts

PHOTOS = Path(__file__).resolve().parents[1] / "data"
WIDTH = 400
JOKE = "「お前、それでも猫か？」と聞かれて、ちょっと考えた。"
LONG = "どうして締め切りというものは、まだ先だと思っているうちに、いつのまにか昨日になっているのでしょうか。" * 4


def photo(name: str = "cat") -> Image.Image:
    with Image.open(PHOTOS / f"{name}.jpg") as image:
        return image.convert("RGB")


def card(picture: Image.Image, text: str = JOKE, **options: object) -> Image.Image:
    image = Image.open(io.BytesIO(make_card(picture, text, **{"width": WIDTH, **options})))  # type: ignore[arg-type]
    image.load()
    assert image.format == "PNG"
    assert image.mode == "RGB"
    assert image.width == options.get("width", WIDTH)
    return image


def panels(image: Image.Image, picture_height: int) -> tuple[np.ndarray, np.ndarray]:
    """The card's two halves, the second without the hairline between them."""
    pixels = np.asarray(image).astype(int)
    return pixels[:picture_height], pixels[picture_height + 3 :]


def rows_with_ink(panel: np.ndarray) -> list[tuple[int, int]]:
    """The rows of each line of text, first and last."""
    dark = (panel.min(axis=2) < 128).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dark.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def test_the_picture_is_above_whole() -> None:
    picture = photo()
    height = round(WIDTH * picture.height / picture.width)
    above, _ = panels(card(picture), height)
    expected = np.asarray(picture.resize((WIDTH, height), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(above - expected).mean() < 2


def test_the_joke_is_below_in_black_on_white() -> None:
    picture = photo()
    _, below = panels(card(picture), round(WIDTH * picture.height / picture.width))
    assert (below == 255).all(axis=2).mean() > 0.6
    assert below.min() < 40
    assert len(rows_with_ink(below)) == 2
    columns = np.flatnonzero((below.min(axis=2) < 128).any(axis=0))
    assert columns[0] > 0.03 * WIDTH
    assert columns[-1] < 0.97 * WIDTH
    assert abs(columns[0] + columns[-1] - WIDTH) < 0.03 * WIDTH
    rows = np.flatnonzero((below.min(axis=2) < 128).any(axis=1))
    assert abs(rows[0] - (below.shape[0] - rows[-1])) < 0.04 * WIDTH


def test_another_joke_is_another_card_under_the_same_picture() -> None:
    picture = photo()
    height = round(WIDTH * picture.height / picture.width)
    first, second = (panels(card(picture, text), height) for text in ("犬です。", "猫です。"))
    assert (first[0] == second[0]).all()
    assert (first[1] != second[1]).any()


def test_the_same_again_is_the_same_bytes() -> None:
    assert make_card(photo(), JOKE) == make_card(photo(), JOKE)


def test_threads_do_not_disturb_each_other() -> None:
    texts = [JOKE, "猫", "When the coffee hasn't kicked in", "やった😂"] * 3
    alone = [make_card(photo(), text, width=WIDTH) for text in texts[:4]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: make_card(photo(), text, width=WIDTH), texts))
    assert together == alone * 3


@pytest.mark.parametrize("width", [200, 640, 800, 2000])
def test_any_width(width: int) -> None:
    picture = photo()
    image = card(picture, width=width)
    assert image.height / width == pytest.approx(card(picture).height / WIDTH, abs=0.03)


@pytest.mark.parametrize("width", [0, 199, 2001])
def test_no_senseless_width(width: int) -> None:
    with pytest.raises(ValueError, match="pixels wide"):
        make_card(photo(), JOKE, width=width)


@pytest.mark.parametrize(
    "size", [(1, 1), (3, 2), (1, 4000), (4000, 1), (300, 20_000), (20_000, 300), (32, 32), (600, 800), (900, 1600)]
)
def test_the_height_is_within_limits(size: tuple[int, int]) -> None:
    image = card(Image.new("RGB", size, "red"), "猫")
    picture_height = image.height - round(0.19 * WIDTH)
    assert round(FLATTEST * WIDTH) <= picture_height <= round(TALLEST * WIDTH)


def test_a_tall_picture_is_whole_over_its_own_blur() -> None:
    picture = Image.new("RGB", (100, 1000), "red")
    picture.paste((0, 0, 255), (0, 0, 100, 500))
    height = round(TALLEST * WIDTH)
    above, _ = panels(card(picture, "猫"), height)
    shown = round(height / 10)
    middle = above[:, WIDTH // 2 - shown // 2 + 2 : WIDTH // 2 + shown // 2 - 2]
    assert np.abs(middle[2] - (0, 0, 255)).max() < 8
    assert np.abs(middle[-3] - (255, 0, 0)).max() < 8
    beside = above[:, :20]
    assert np.abs(beside[2] - (0, 0, 255)).mean() > 30
    assert beside[2, :, 2].min() > beside[2, :, 0].max()


def test_a_small_picture_of_hard_pixels_stays_hard() -> None:
    picture = Image.new("RGB", (2, 1), "black")
    picture.putpixel((0, 0), (255, 255, 255))
    above, _ = panels(card(picture, "猫"), round(FLATTEST * WIDTH))
    assert np.abs(above[above.shape[0] // 2, WIDTH // 2 - 2]).min() == 255
    assert np.abs(above[above.shape[0] // 2, WIDTH // 2 + 2]).max() == 0


def test_the_letters_shrink_with_the_text() -> None:
    heights = []
    for text in ("猫", "猫がいる", "猫がいるので遅刻しました", LONG[:60], LONG[:120], LONG[:200]):
        _, below = panels(card(photo(), text), round(WIDTH * 300 / 451))
        heights.append(max(b - a for a, b in rows_with_ink(below)))
    assert heights[0] == pytest.approx(heights[1], abs=3)
    assert heights[-1] < 0.6 * heights[0]
    assert heights[-1] > 0.02 * WIDTH
    assert heights[2:] == sorted(heights[2:], reverse=True)


def test_a_long_text_is_all_there_within_the_margins() -> None:
    picture = photo()
    image = card(picture, LONG[:200])
    _, below = panels(image, round(WIDTH * picture.height / picture.width))
    lines = rows_with_ink(below)
    assert 6 <= len(lines) <= 12
    columns = np.flatnonzero((below.min(axis=2) < 128).any(axis=0))
    assert columns[0] > 0.02 * WIDTH
    assert columns[-1] < 0.98 * WIDTH
    assert image.height < 2.5 * WIDTH


@pytest.mark.parametrize(
    "text", ["w" * 200, "ー" * 200, "「" * 200, "あ\n" * 200, "😂" * 200, "h t t p " * 50, LONG * 20]
)
def test_nothing_makes_it_burst(text: str) -> None:
    image = card(photo(), text)
    assert image.height < 2.5 * WIDTH
    pixels = np.asarray(image)[round(WIDTH * 300 / 451) + 3 :]
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, -4:] == 255).all()


def test_lines_of_the_text_stay_lines() -> None:
    _, below = panels(card(photo(), "母「ごはん」\n俺「今行く」\n（3時間後）"), round(WIDTH * 300 / 451))
    assert len(rows_with_ink(below)) == 3


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("猫\u202eです\u200b\x00\x1b", "猫です"),
        ("猫ಠです\u05d0", "猫です"),
        ("  猫です\n\n", "猫です"),
        ("か\u3099", "が"),
    ],
)
def test_what_cannot_be_shown_leaves_no_trace(text: str, same_as: str) -> None:
    assert make_card(photo(), text, width=WIDTH) == make_card(photo(), same_as, width=WIDTH)


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b\u202e", "ಠ"])
def test_nothing_to_write(text: str) -> None:
    with pytest.raises(NothingToWrite):
        make_card(photo(), text)


def test_emoji_are_drawn_or_left_out() -> None:
    fonts = find_fonts()
    with_emoji, without = (make_card(photo(), text, width=WIDTH) for text in ("猫です😂", "猫です"))
    assert (with_emoji != without) == (fonts.emoji is not None)
    bare = FontFiles(fonts.japanese, None, False)
    assert make_card(photo(), "猫です😂", width=WIDTH, fonts=bare) == without
    with pytest.raises(NothingToWrite):
        make_card(photo(), "😂", fonts=bare)


def test_a_hidden_picture_cannot_be_made_out() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 451, 3), np.uint8)
    picture = photo()
    height = round(WIDTH * picture.height / picture.width)
    for hidden in (Image.fromarray(noise), picture):
        plain, _ = panels(card(hidden), height)
        above, below = panels(card(hidden, spoiler=True), height)
        corner = above[: height // 4]  # clear of the hint
        assert np.abs(np.diff(corner, axis=1)).max() <= 6
        assert np.abs(np.diff(corner, axis=0)).max() <= 6
        assert above.mean() < 0.75 * plain.mean()
        assert (below == panels(card(hidden), height)[1]).all()


@pytest.mark.parametrize("size", [(451, 300), (300, 2000), (2000, 200), (1, 1)])
def test_a_hidden_picture_says_so(size: tuple[int, int]) -> None:
    image = card(Image.new("RGB", size, (90, 90, 90)), "猫", spoiler=True)
    height = image.height - round(0.19 * WIDTH)
    above, _ = panels(image, height)
    middle = above[height // 3 : 2 * height // 3, WIDTH // 4 : -WIDTH // 4]
    assert (middle.min(axis=2) > 200).mean() > 0.02


def test_a_credit_is_small_grey_and_below() -> None:
    picture = photo()
    height = round(WIDTH * picture.height / picture.width)
    plain, credited = (card(picture, "猫", credit=credit) for credit in ("", "作: bokebot"))
    assert credited.height > plain.height
    _, below = panels(credited, height)
    last = below[-round(0.04 * WIDTH) :]
    assert 100 < last.min() < 220
    too_long = card(picture, "猫", credit="とても長い出典" * 40)
    assert too_long.size == credited.size
    assert card(picture, "猫", credit="\u200b\n").size == plain.size


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_other_modes(mode: str) -> None:
    picture = photo().convert(mode)
    height = round(WIDTH * 300 / 451)
    above, _ = panels(card(picture), height)
    expected = np.asarray(picture.convert("RGB").resize((WIDTH, height))).astype(int)
    assert np.abs(above - expected).mean() < 25


def test_transparent_turns_white() -> None:
    above, _ = panels(card(Image.new("RGBA", (40, 30), (255, 0, 0, 0))), 200)
    assert above.min() == 255


def test_the_picture_is_left_alone() -> None:
    picture = photo()
    before = picture.tobytes()
    make_card(picture, JOKE, spoiler=True)
    assert picture.tobytes() == before
    assert picture.size == (451, 300)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusablePicture):
        make_card(Image.new("RGB", (0, 5)), JOKE)
    broken = Image.open(io.BytesIO((PHOTOS / "cat.jpg").read_bytes()[:5000]))  # not decoded yet
    with pytest.raises(UnusablePicture):
        make_card(broken, JOKE)
    with pytest.raises(FontMissing):
        make_card(photo(), JOKE, fonts=FontFiles(tmp_path / "none.otf", None, False))
    assert issubclass(UnusablePicture, CardError)
    assert issubclass(NothingToWrite, CardError)
    assert issubclass(FontMissing, CardError)

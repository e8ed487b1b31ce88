"""What the fonts can show, how wide it is, and that it is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from bot.lettering import EMOJI_WIDTH, FontFiles, FontMissing, Lettering, find_fonts

FAMILY = "👨\u200d👩\u200d👧"
BLACK, RED = (0, 0, 0), (200, 0, 0)


@pytest.fixture
def no_emoji() -> Lettering:
    return Lettering(FontFiles(find_fonts().japanese, None, False))


@pytest.fixture
def letters() -> Lettering:
    """With emoji; skips where no emoji font is installed."""
    if find_fonts().emoji is None:
        pytest.skip("no emoji font here: neither fonts-noto-color-emoji nor manimgx-fonts is installed")
    return Lettering()


def ink(letters: Lettering, line: str, size: int = 40, colour: tuple[int, int, int] = BLACK) -> np.ndarray:
    """How much darker than white each pixel is of a 600 x 100 picture with `line` in its middle."""
    image = Image.new("RGB", (600, 100), "white")
    letters.draw_line(image, line, (300, 50), size, colour)
    return 255 - np.asarray(image).astype(int)


def test_the_japanese_font_is_there() -> None:
    assert find_fonts().japanese.is_file()


def test_a_missing_font_is_named(tmp_path: Path) -> None:
    with pytest.raises(FontMissing, match=r"none\.otf"):
        Lettering(FontFiles(tmp_path / "none.otf", None, False))
    (tmp_path / "text.otf").write_text("no font")
    with pytest.raises(FontMissing):
        Lettering(FontFiles(tmp_path / "text.otf", None, False))


@pytest.mark.parametrize(
    "text",
    ["日本語のボケ、「カギ」！？ー〜…", "Café №1 ½ © → ★ ♪ ☆ ♥", "﨑𠮷髙", "ﾊﾝｶｸ", "Привет, мир", "猫　犬 鳥", "あ゙"],
)
def test_what_the_font_has_stays(no_emoji: Lettering, text: str) -> None:
    assert no_emoji.drawable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("猫ಠ_ಠ犬", "猫_犬"),  # Kannada
        ("שלום 猫 مرحبا", "猫"),
        ("\U0001f1ef猫", "猫"),  # half a flag
        ("𝓗𝓮𝓵𝓵𝓸", "Hello"),
        ("①猫\uffff\U0003fffd", "①猫"),
        ("犬\nಠ\n猫", "犬\n猫"),
    ],
)
def test_what_the_font_lacks_is_no_box(no_emoji: Lettering, text: str, shown: str) -> None:
    assert no_emoji.drawable(text) == shown


def test_without_an_emoji_font_emoji_are_left_out(no_emoji: Lettering) -> None:
    assert no_emoji.drawable(f"やった😂{FAMILY} 🇯🇵！") == "やった ！"
    assert no_emoji.drawable("晴れ☀\ufe0f") == "晴れ☀"  # as a letter the sun is there


def test_with_one_they_stay(letters: Lettering) -> None:
    text = f"やった😂{FAMILY}🇯🇵1\ufe0f\u20e3☀\ufe0f！"
    assert letters.drawable(text) == text
    assert letters.drawable("❤") == "❤\ufe0f"  # no letter, but an emoji
    assert letters.drawable("\U0001faff") == ""  # not assigned yet


def test_widths(no_emoji: Lettering) -> None:
    assert no_emoji.measure("") == 0
    assert no_emoji.measure("猫") == pytest.approx(1.0, abs=0.01)
    assert no_emoji.measure("猫、「犬」") == pytest.approx(5.0, abs=0.02)
    assert 0.4 < no_emoji.measure("a") < 0.7
    assert no_emoji.measure(f"猫{FAMILY}") == pytest.approx(1 + EMOJI_WIDTH, abs=0.01)


@pytest.mark.parametrize("line", ["猫", "「猫」", "」猫「", "猫。", "gyp", "I", "あいうえお、"])
def test_ink_is_centred(no_emoji: Lettering, line: str) -> None:
    columns = np.flatnonzero(ink(no_emoji, line).sum(axis=(0, 2)))
    assert abs((columns[0] + columns[-1]) / 2 - 300) <= 1.5


def test_kanji_are_centred_vertically(no_emoji: Lettering) -> None:
    rows = np.flatnonzero(ink(no_emoji, "国語園", 60).sum(axis=(1, 2)))
    assert abs((rows[0] + rows[-1]) / 2 - 50) <= 2


def test_it_is_drawn_in_its_colour_and_size(no_emoji: Lettering) -> None:
    red = ink(no_emoji, "猫", colour=RED)
    assert red[..., 0].max() <= 55  # nothing darker than red in the red channel
    assert red[..., 1].max() == 255
    small, large = ink(no_emoji, "猫", 20), ink(no_emoji, "猫", 60)
    assert large.sum() > 5 * small.sum()


def test_emoji_are_drawn_where_they_stand(letters: Lettering) -> None:
    drawn = ink(letters, "猫😂犬", 40)
    middle = drawn[:, 300 - 22 : 300 + 22]
    assert (middle.sum(axis=2) > 60).mean() > 0.08
    if find_fonts().emoji_in_colour:
        assert (middle.max(axis=2) - middle.min(axis=2)).max() > 100
    rows = np.flatnonzero(middle.sum(axis=(1, 2)))
    assert abs((rows[0] + rows[-1]) / 2 - 50) <= 4


def test_an_emoji_of_many_parts_is_one_picture(letters: Lettering) -> None:
    columns = np.flatnonzero(ink(letters, FAMILY, 40).sum(axis=(0, 2)))
    assert columns[-1] - columns[0] < 1.3 * 40
    if features.check_feature("raqm"):
        assert (ink(letters, FAMILY) != ink(letters, "👨")).any()


def test_without_shaping_its_first_part_stands_for_it(letters: Lettering, monkeypatch: pytest.MonkeyPatch) -> None:
    man = ink(letters, "👨")
    monkeypatch.setattr(features, "check_feature", lambda name: False)
    assert (ink(Lettering(), FAMILY) == man).all()


def test_parts_that_a_font_does_not_join_are_not_squeezed(letters: Lettering) -> None:
    assert (ink(letters, "😂\u200d🐱") == ink(letters, "😂")).all()

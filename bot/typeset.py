"""Text for the card: cleaned, cut into what may not be cut further, broken into lines as Japanese typesetting asks.

Nothing here knows a font or a picture; widths come through the function that the caller gives. The rules are those of
JIS X 4051 (kinsoku shori), which "Requirements for Japanese Text Layout" (W3C) states in 3.1.7 to 3.1.10. Phrases come
from BudouX.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import budoux

Measure = Callable[[str], float]

MAX_CHARACTERS = 200
MAX_PARAGRAPHS = 8

# What may not begin a line: closing brackets, stops, marks of repetition and length, small kana, units behind a figure.
NOT_AT_START = frozenset(
    "、。，．・：；？！‼⁇⁈⁉‐–〜～…‥ー゛゜ヽヾゝゞ々〻"
    "）〕］｝〉》」』】〙〗〟’”»｠"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ"
    "､｡･ｰｧｨｩｪｫｬｭｮｯﾞﾟ｣"
    ",.:;?!)]}%％‰°℃′″¢"
)
# What may not end a line: opening brackets, and the signs before a figure.
NOT_AT_END = frozenset("「『（〔［｛〈《【〘〖〝‘“«｟([{￥＄￡¥$£€#＃@＠№")
_ONE_MARK_OF_TWO = frozenset("―—…‥─〜～")
_PAUSES = frozenset("、。，．！？!?‼⁉…‥」』）)】》〉♪")

# What it costs to end a line at a place, where one line more costs 1.
_FREE, _PHRASE, _DOUBTFUL, _EMOJI_ALONE, _INSIDE, _FORBIDDEN = 0.0, 0.27, 0.7, 1.5, 2.0, 1000.0
# Of a line that is wider or narrower than the others, times the square of the difference over the widest allowed.
_RAGGED = 2.5

_SKIN = "\U0001f3fb-\U0001f3ff"
_OLD_SYMBOL = "\u00a9\u00ae\u203c-\u2bff\u3030\u303d\u3297\u3299"
_PICTOGRAM = "\U0001f000-\U0001f1e5\U0001f200-\U0001faff"
# Drawn as an emoji without being asked to (Emoji_Presentation below U+1F000 in Unicode's emoji-data.txt 16.0).
_EMOJI_BY_DEFAULT = (
    "\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be"
    "\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757"
    "\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55"
)
_JOINED = f"[{_OLD_SYMBOL}{_PICTOGRAM}](?:\ufe0f|[{_SKIN}])?"
_EMOJI_PATTERN = (
    "[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a keycap
    "|\U0001f3f4[\U000e0061-\U000e007a]{2,6}\U000e007f"  # a region's flag
    f"|{_JOINED}(?:\u200d{_JOINED})+"  # a family
    f"|[{_OLD_SYMBOL}](?:\ufe0f|[{_SKIN}])"
    f"|[{_EMOJI_BY_DEFAULT}{_PICTOGRAM}](?:\ufe0f|[{_SKIN}])?"
)
_EMOJI = re.compile(_EMOJI_PATTERN)
# A letter or digit of a script that writes words apart from each other.
_LETTER = r"[^\W_\u2460-\u24ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
# What is never cut: an emoji with all its parts; a word; a number; a letter with its voicing mark.
_ATOM = re.compile(
    rf"(?P<emoji>{_EMOJI_PATTERN})"
    rf"|{_LETTER}(?:{_LETTER}|['’\-./:&+_@](?={_LETTER})|,(?=\d))*"
    r"|[０-９]+(?:[．，][０-９]+)*"
    r"|(?s:.)[\u3099\u309a]?"
)
_CLUSTER = re.compile(rf"{_EMOJI_PATTERN}|(?s:.)[\u3099\u309a]?")
_SPACES = re.compile(r"[^\S\n\u3000]+")
# Letters and symbols that show nothing: Hangul fillers, the blank Braille cell, the marks of what could not be read.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd")


@dataclass(frozen=True)
class Run:
    """A stretch of a line in one font; where `emoji` is true, `text` is exactly one emoji."""

    text: str
    emoji: bool


@dataclass(frozen=True)
class Layout:
    """Lines, and whether each of them ends where a phrase ends."""

    lines: list[str]
    at_phrases: bool


@dataclass(frozen=True)
class _Atom:
    text: str
    width: float
    # Of ending a line behind this one.
    cost: float
    space: bool = False


def clean_text(text: str, max_characters: int = MAX_CHARACTERS) -> str:
    """What can be shown of `text`: composed (NFC), without control, direction, zero-width and private characters and
    without piled-up accents; the joiners inside an emoji stay.

    Line feeds stay while they make at most `MAX_PARAGRAPHS` lines, and become spaces otherwise. What is longer than
    `max_characters`, an emoji counting as one, ends in an ellipsis.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    shown = "".join(run.text if run.emoji else "".join(map(_shown, run.text)) for run in split_runs(text))
    lines = [line for line in (tidy_spaces(line) for line in shown.split("\n")) if line]
    text = ("\n" if len(lines) <= MAX_PARAGRAPHS else " ").join(lines)
    clusters = _CLUSTER.findall(text)
    if len(clusters) > max_characters:
        text = "".join(clusters[: max_characters - 1]).rstrip() + "…"
    return text


def tidy_spaces(text: str) -> str:
    """No space at either end, and never two of them in a row; an ideographic space stays what it is."""
    return _SPACES.sub(" ", text).strip()


def split_runs(text: str) -> list[Run]:
    """A text as stretches of letters and single emoji, in order."""
    runs: list[Run] = []
    position = 0
    for match in _EMOJI.finditer(text):
        if match.start() > position:
            runs.append(Run(text[position : match.start()], False))
        runs.append(Run(match.group(), True))
        position = match.end()
    if position < len(text):
        runs.append(Run(text[position:], False))
    return runs


def break_lines(text: str, measure: Measure, max_width: float) -> list[str]:
    """Break `text` into as few lines as fit, between phrases where possible, of nearly equal width.

    Args:
        text: cleaned text; a line feed in it always breaks.
        measure: the width of a string, in any unit; that of a line should be nearly the sum of its parts.
        max_width: in the same unit. Only a single letter or emoji that is wider comes out wider.

    Returns:
        The lines, without the spaces at their ends. Words and kinsoku give way only where a line cannot hold them.
    """
    return Breaker(text, measure).layout(max_width).lines


class Breaker:
    """`break_lines` for several widths of the same text: what does not depend on the width is done once."""

    def __init__(self, text: str, measure: Measure) -> None:
        self._measure = measure
        self._paragraphs = [_atoms(paragraph, measure) for paragraph in text.split("\n") if paragraph.strip()]

    def layout(self, max_width: float) -> Layout:
        """The lines for `max_width`, in the unit of `measure`."""
        lines: list[str] = []
        at_phrases = True
        for atoms in self._paragraphs:
            atoms = _cut_too_wide(atoms, self._measure, max_width)
            ends = _cheapest_ends(atoms, max_width, None)
            target = sum(atom.width for atom in atoms) / len(ends)
            ends = _cheapest_ends(atoms, max_width, target)
            starts = [0, *ends[:-1]]
            lines += ["".join(a.text for a in atoms[i:j]).strip() for i, j in zip(starts, ends, strict=True)]
            at_phrases &= all(atoms[end - 1].cost < _DOUBTFUL for end in ends)
        return Layout([line for line in lines if line], at_phrases)


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if character.isspace():
        return character if character == "\u3000" else " "
    if character in "\u3099\u309a":  # voicing marks on letters that have no composed form, as in あ゙
        return character
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Mn", "Me", "Mc") or character in _BLANKS
    return "" if hidden else character


@lru_cache(maxsize=1)
def _parser() -> budoux.Parser:
    return budoux.load_default_japanese_parser()


def _atoms(paragraph: str, measure: Measure) -> list[_Atom]:
    """The paragraph's indivisible pieces, each with its width and the cost of a line's end behind it."""
    phrase_ends: set[int] = set()
    position = 0
    for phrase in _parser().parse(paragraph):
        position += len(phrase)
        phrase_ends.add(position)
    matches = list(_ATOM.finditer(paragraph))
    atoms = []
    for match, after in zip(matches, [*matches[1:], None], strict=True):
        cost = _FREE if after is None else _cost(match, after, match.end() in phrase_ends)
        atoms.append(_Atom(match.group(), measure(match.group()), cost, match.group().isspace()))
    return atoms


def _cost(before: re.Match[str], after: re.Match[str], phrase_end: bool) -> float:
    last, first = before.group()[-1], after.group()[0]
    if after["emoji"] is not None:  # it belongs to what stands before it, unless a space parts them
        if last.isspace():
            return _PHRASE
        return _FORBIDDEN if before["emoji"] is None and last in NOT_AT_END else _EMOJI_ALONE
    if first in NOT_AT_START or (last == first and last in _ONE_MARK_OF_TWO):
        return _FORBIDDEN
    if before["emoji"] is not None or last.isspace() or first.isspace():
        return _FREE
    if last in NOT_AT_END:
        return _FORBIDDEN
    if last in _PAUSES:
        return _FREE if phrase_end else _PHRASE
    if phrase_end:
        return _DOUBTFUL if _script(last) == _script(first) != "" else _PHRASE
    return _INSIDE


def _script(character: str) -> str:
    """Scripts whose words BudouX sometimes cuts in two, so that a phrase's end inside them is doubted."""
    if "\u30a1" <= character <= "\u30fe":
        return "katakana"
    if "\u3400" <= character <= "\u9fff" or character >= "\U00020000" or character == "々":
        return "kanji"
    return ""


def _cut_too_wide(atoms: list[_Atom], measure: Measure, max_width: float) -> list[_Atom]:
    """Words that no line can hold, cut into their letters."""
    result: list[_Atom] = []
    for atom in atoms:
        clusters = _CLUSTER.findall(atom.text)
        if atom.width <= max_width or len(clusters) == 1:
            result.append(atom)
            continue
        result += [_Atom(letter, measure(letter), _FORBIDDEN / 2) for letter in clusters[:-1]]
        result.append(_Atom(clusters[-1], measure(clusters[-1]), atom.cost))
    return result


def _cheapest_ends(atoms: list[_Atom], max_width: float, target: float | None) -> list[int]:
    """Where the lines end (as indices into `atoms`) so that the sum over the lines is least: 1 for each, the cost of its
    end, and how far it is from the width `target` where that is given, squared."""
    count = len(atoms)
    best = [0.0] + [float("inf")] * count
    came_from = [0] * (count + 1)
    for end in range(1, count + 1):
        width = 0.0
        trailing = atoms[end - 1].width if atoms[end - 1].space else 0.0
        for start in range(end - 1, -1, -1):
            width += atoms[start].width
            shown = width - trailing - (atoms[start].width if atoms[start].space else 0.0)
            if shown > max_width and start < end - 1:
                break
            line = 1.0 if target is None else 1.0 + _RAGGED * ((shown - target) / max_width) ** 2
            cost = best[start] + line + (atoms[end - 1].cost if end < count else 0.0)
            if cost < best[end]:
                best[end], came_from[end] = cost, start
    ends = []
    end = count
    while end:
        ends.append(end)
        end = came_from[end]
    return ends[::-1]

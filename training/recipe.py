"""A recipe: how a model is made from jokes, in a dozen lines of TOML. What a recipe does not name stays at its default."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
import typing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bokemodel.search import SearchSettings
from training.errors import FilterError
from training.filters import FilterConfig
from training.train import TrainConfig
from training.vocabulary import TokenizerConfig
from training.weights import WeightConfig

FOLDER = Path(__file__).with_name("recipes")


class RecipeError(Exception):
    """A recipe that cannot be used; the message has one line for each problem."""


@dataclass(frozen=True)
class DecoderSizes:
    """A `bokemodel.decoder.DecoderConfig`, but for what the corpus and the encoder decide.

    Attributes:
        words: numbers of the word layer between a picture's vector and the decoder (`training.word_layer`); 0: none.
    """

    embed: int = 256
    hidden: int = 256
    tied: bool = False
    embed_gain: float = 3.0
    dropout: float = 0.35
    word_dropout: float = 0.0
    topics: int = 0
    words: int = 128
    start: bool = True
    every: bool = False
    output: bool = True


@dataclass(frozen=True)
class WarmStart:
    """How training goes on from the model that is live, where that fits.

    Attributes:
        enabled: false: every run starts from scratch.
        epochs, learning_rate: instead of those of a run from scratch.
        replay: so many jokes that the model knows are learned again for each new one, so that it does not forget them ...
        least: ... and at least so many jokes in an epoch, as far as there are.
    """

    enabled: bool = True
    epochs: int = 6
    learning_rate: float = 5e-4
    replay: float = 3.0
    least: int = 4_000


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        language: "auto" looks at the corpus's letters.
        trigrams: share of what is said next that comes from counts of three units in a row (`bokemodel.trigrams`); 0: none.
        search: single fields of `bokemodel.search.SearchSettings`, which the bundle carries as its defaults. Where
            `max_tokens` is not named it is what the corpus needs.
    """

    name: str = "default"
    language: str = "auto"
    trigrams: float = 0.4
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    decoder: DecoderSizes = field(default_factory=DecoderSizes)
    train: TrainConfig = field(default_factory=TrainConfig)
    warm_start: WarmStart = field(default_factory=WarmStart)
    weights: WeightConfig = field(default_factory=WeightConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    search: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where a number cannot be."""
        train, sizes = self.train, self.decoder
        for name, value, least in (
            ("train.epochs", train.epochs, 1),
            ("train.batch_size", train.batch_size, 1),
            ("train.patience", train.patience, 0),
            ("warm_start.epochs", self.warm_start.epochs, 1),
            ("decoder.embed", sizes.embed, 1),
            ("decoder.hidden", sizes.hidden, 1),
            ("decoder.words", sizes.words, 0),
            ("tokenizer.units", self.tokenizer.units, 300),
            ("tokenizer.sample", self.tokenizer.sample, 1),
        ):
            if value < least:
                raise ValueError(f"{name} = {value}: should be at least {least}")
        for name, share in (
            ("decoder.dropout", sizes.dropout),
            ("trigrams", self.trigrams),
            ("train.weight_decay", train.weight_decay),
        ):
            if not 0 <= share < 1:
                raise ValueError(f"{name} = {share}: should be at least 0 and less than 1")
        if not train.learning_rate > 0:
            raise ValueError(f"train.learning_rate = {train.learning_rate}: should be more than 0")
        if sizes.tied and sizes.embed != sizes.hidden:
            raise ValueError("decoder.tied needs decoder.embed and decoder.hidden to be equal")

    def going_on(self) -> TrainConfig:
        """How training goes on from the live model. What decays is learned again more slowly then: so it decays as much less."""
        train, warm = self.train, self.warm_start
        decay = train.weight_decay * warm.learning_rate / train.learning_rate
        return dataclasses.replace(train, epochs=warm.epochs, learning_rate=warm.learning_rate, weight_decay=decay)

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides how the model comes out."""
        values = {name: value for name, value in asdict(self).items() if name != "name"}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def load_recipe(name: str) -> Recipe:
    """A recipe by its name in training/recipes, or by its file. Raises RecipeError."""
    path = Path(name)
    if path.suffix != ".toml":
        path = FOLDER / f"{name}.toml"
        if not path.is_file():
            known = sorted(p.stem for p in FOLDER.glob("*.toml"))
            raise RecipeError(f"there is no recipe called {name}; there are {', '.join(known)}, or name a .toml file")
    try:
        with path.open("rb") as stream:
            values = tomllib.load(stream)
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no such recipe") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: is not TOML: {error}") from None
    problems: list[str] = []
    recipe = _read(Recipe, {"name": path.stem, **values}, "", problems)
    if problems:
        raise RecipeError("\n".join(f"{path}: {problem}" for problem in problems))
    assert isinstance(recipe, Recipe)
    return recipe


def _read(kind: type[Any], values: dict[str, Any], prefix: str, problems: list[str]) -> Any:
    """An object of a dataclass from a table of the file; what is wrong goes to `problems`."""
    types = typing.get_type_hints(kind)
    given = _values(types, values, prefix, problems)
    try:
        return None if problems else kind(**given)
    except (ValueError, FilterError) as error:
        problems.append(f"{prefix.rstrip('.')}: {error}" if prefix else str(error))
        return None


def _values(types: dict[str, Any], values: dict[str, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    """The values of a table, each of its type."""
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in types:
            close = difflib.get_close_matches(key, types, n=1)
            problems.append(f"{name}: there is no such key" + (f"; do you mean {prefix}{close[0]}?" if close else ""))
        elif dataclasses.is_dataclass(types[key]) or name == "search":
            if not isinstance(value, dict):
                problems.append(f"{name} = {value!r}: should be a section of its own, such as [{name}]")
            elif name == "search":
                given[key] = _values(typing.get_type_hints(SearchSettings), value, f"{name}.", problems)
            else:
                given[key] = _read(typing.cast("type[Any]", types[key]), value, f"{name}.", problems)
        else:
            given[key] = _value(types[key], value, name, problems)
    return given


def _value(kind: Any, value: Any, name: str, problems: list[str]) -> Any:
    if isinstance(value, bool) and kind in (int, float):
        problems.append(f"{name} = {str(value).lower()}: should be a number")
        return None
    try:
        return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        problems.append(f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}: {said[0].lower()}{said[1:]}")
        return None

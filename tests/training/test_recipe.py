"""Recipes: a dozen lines that say how a model is made; a wrong line is one readable message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training.recipe import FOLDER, Recipe, RecipeError, WarmStart, load_recipe
from training.train import TrainConfig


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_ships_loads(path: Path) -> None:
    assert load_recipe(path.stem).name == path.stem
    assert load_recipe(str(path)) == load_recipe(path.stem)


def test_the_default_takes_any_corpus() -> None:
    filters = load_recipe("default").filters
    assert (filters.min_chars, filters.max_chars, filters.min_stars, filters.per_picture_cap) == (1, 200, None, None)


def test_bokete_keeps_what_suits_it() -> None:
    filters = load_recipe("bokete").filters
    assert filters.fill_in_the_blank
    assert (filters.min_chars, filters.max_chars) == (4, 60)
    assert filters.min_stars
    assert filters.per_picture_cap


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_what_is_not_named_stays(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, "[train]\nepochs = 3\n"))
    assert recipe == Recipe(name="mine", train=TrainConfig(epochs=3))


def test_going_on_weights_decay_as_much_less_as_they_learn() -> None:
    train = TrainConfig(epochs=16, learning_rate=4e-3, weight_decay=0.08, average=0.4)
    found = Recipe(train=train, warm_start=WarmStart(epochs=6, learning_rate=5e-4)).going_on()
    assert found == TrainConfig(epochs=6, learning_rate=5e-4, weight_decay=0.01, average=0.4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[decoder]\nhiden = 3", "decoder.hiden: there is no such key; do you mean decoder.hidden?"),
        ("epoch = 3", "epoch: there is no such key"),
        ("[decoder]\nhidden = 'many'", 'decoder.hidden = "many": '),
        ("[train]\nepochs = true", "train.epochs = true: should be a number"),
        ("[train]\nclip = nan", "train.clip = NaN: "),
        ("[train]\nweight_decay = -0.1", "train.weight_decay = -0.1: should be at least 0 and less than 1"),
        ("[train]\nepochs = 0", "train.epochs = 0: should be at least 1"),
        ("train = 3", "train = 3: should be a section of its own, such as [train]"),
        ("[decoder]\ntied = true\nembed = 100", "decoder.tied needs decoder.embed and decoder.hidden to be equal"),
        ("[decoder]\ndropout = 1.0", "decoder.dropout = 1.0: "),
        ("trigrams = 1.0", "trigrams = 1.0: should be at least 0 and less than 1"),
        ("[filters]\nmin_chars = 5\nmax_chars = 2", "filters: min_chars 5 and max_chars 2 let nothing through"),
        ("[filters]\ndomain = 'cat'", 'filters.domain = "cat": '),
        ("[train", "is not TOML: "),
    ],
)
def test_a_wrong_line_is_one_readable_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    message = str(caught.value)
    assert said in message
    assert "mine.toml" in message
    assert len(message.splitlines()) == 1


def test_several_wrong_lines_are_all_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, "a = 1\nb = 2\n[train]\nc = 3"))
    assert len(str(caught.value).splitlines()) == 3


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"there are .*default"):
        load_recipe("nonsense")
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "folder.toml"))


def test_the_digest_tells_whether_another_model_would_come_out() -> None:
    recipe = load_recipe("default")
    assert replace(recipe, name="renamed").digest == recipe.digest
    assert replace(recipe, train=replace(recipe.train, clip=4.0)).digest != recipe.digest

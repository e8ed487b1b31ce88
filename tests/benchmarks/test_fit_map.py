"""Which subjects fit which picture: cases worked by hand, and the map against the corpus and the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from benchmarks import fit_map
from benchmarks.fit_map import Classifier, Fit, FitMapError, Share, fitting_subjects
from bokemodel.encoders import load_encoder
from bokemodel.pictures import open_file
from training.starter.jokes import load_subjects

PHOTOS = Path(__file__).resolve().parents[1] / "data"
DOGS = {
    *("small_dog", "terrier", "hound", "retriever", "sheepdog", "big_dog"),
    *("bulldog", "husky", "fluffy_dog", "corgi", "poodle"),
}


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (["A black dog ."], DOGS),
        (["Two puppies sleep ."], DOGS),
        (["A hot dog ."], {"burger"}),
        (["A black dog jumps over snow ."], DOGS | {"ski"}),
        (["A skier on a slope ."], {"ski", "mountain"}),
        (["A man rides a bike ."], {"bicycle"}),
        (["A man rides a dirt bike ."], {"motorcycle"}),
        (["Children in the water ."], {"sea", "lake"}),
        (["Children drinking water from a fountain ."], {"night_view"}),
        (["People at the beach ."], {"sea"}),
        (["A boy parked his car ."], {"car"}),
        (["A girl in a park ."], {"park"}),
        (["A boy plays soccer ."], {"soccer"}),
        (["A man in a suit ."], {"suit"}),
        (["A girl in a bathing suit ."], {"swimsuit"}),
        (["A boy in a life jacket ."], {"casual_wear", "selfie"}),
        (["A boy in a red jacket ."], {"coat"}),
        (["A woman laughs ."], {"casual_wear", "selfie"}),
        (["A woman laughs .", "A WOMAN WITH A GUITAR"], {"guitar"}),
        (["Something blurry ."], set()),
        ([], set()),
    ],
)
def test_descriptions(descriptions: list[str], expected: set[str]) -> None:
    assert fitting_subjects(descriptions) == expected


def test_words_are_whole() -> None:
    # Neither a carpet with a car in it nor a catcher with a cat.
    assert fitting_subjects(["carpet"]) == {"living_room"}
    assert not fitting_subjects(["catching", "concatenated", "scar", "seabed"])


def test_an_exception_counts_in_its_own_description_only() -> None:
    assert not DOGS & fitting_subjects(["a dog in a hot dog costume"])
    assert fitting_subjects(["a dog in a hot dog costume", "a dog"]) >= DOGS


def test_a_rule_for_nothing_is_a_mistake() -> None:
    ids = {subject.id for subject in load_subjects()}
    assert fit_map.mapped_subjects() <= ids
    # Most of the corpus can be measured at all.
    assert len(fit_map.mapped_subjects()) > 0.9 * len(ids)
    for rule in fit_map.rules():
        assert rule.subjects


def write_labels(folder: Path, *images: str) -> Path:
    lines = [json.dumps({"image": f"images/{image}.jpg"}) for image in images]
    (folder / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_stamps_in_the_order_of_the_labels(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, "food_pizza", "sports_trophy_cup", "clothes_t_scarf")
    assert fit_map.stamps(folder) == [
        Fit("images/food_pizza.jpg", frozenset({"pizza"})),
        Fit("images/sports_trophy_cup.jpg", frozenset()),
        Fit("images/clothes_t_scarf.jpg", frozenset({"coat", "sock"})),
    ]


def test_a_picture_that_the_map_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(FitMapError, match="unicorn"):
        fit_map.stamps(write_labels(tmp_path, "unicorn"))


def test_flickr8k_joins_the_descriptions_of_a_photo(tmp_path: Path) -> None:
    rows = [("b", "A cat ."), ("a", "A cow ."), ("b", "A pizza .")]
    lines = [json.dumps({"image": image, "text": text}) for image, text in rows]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    assert fit_map.flickr8k(tmp_path) == [
        Fit("b", frozenset({"cat", "longhair_cat", "pizza"})),
        Fit("a", frozenset({"cow"})),
    ]


FITS = [
    Fit("1", frozenset({"cat"})),
    Fit("2", frozenset({"cat", "cow"})),
    Fit("3", frozenset()),
    Fit("4", frozenset({"pig"})),
]


def test_share() -> None:
    result = fit_map.share(["cat", "dog", "cat", "pig"], FITS)
    assert result == Share(fitting=2, counted=3, excluded=1)
    assert result.share == pytest.approx(2 / 3)
    assert fit_map.share(["cat"], [Fit("3", frozenset())]).share == 0
    with pytest.raises(ValueError, match=r"shorter|longer"):
        fit_map.share(["cat"], FITS)


def test_chance() -> None:
    # 1, 2 and 1 of the corpus's subjects fit the three pictures that count.
    assert fit_map.chance(FITS) == pytest.approx(4 / 3 / len(load_subjects()))
    # Three of four answers say cat: picture 1 is right in 3/4 of draws, 2 in 4/4, 4 in none.
    assert fit_map.chance(FITS, ["cat", "cat", "cat", "cow"]) == pytest.approx((3 / 4 + 4 / 4 + 0) / 3)


def test_top1_subject_of_real_photos() -> None:
    encoder = cast(Classifier, load_encoder("efficientnet-lite0"))
    images = [open_file(PHOTOS / name) for name in ("cat.jpg", "coffee.jpg")]
    assert fit_map.top1_subject(encoder, encoder.encode(images)) == ["cat", "coffee"]


def test_the_whole_data(shared_data: Path) -> None:
    stamps, photos = fit_map.stamps(shared_data / "stamps"), fit_map.flickr8k(shared_data / "flickr8k")
    assert (len(stamps), len(photos)) == (145, 800)
    assert sum(not fit.subjects for fit in stamps) == 2
    # A map under which everything fits would measure nothing.
    assert fit_map.chance(photos) < 0.05
    assert fit_map.chance(stamps) < 0.01

"""Jokes found by their pictures: neighbours, the band of mismatches, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bokemodel.examples import (
    JOKES,
    VECTORS,
    Example,
    ExamplePicture,
    Examples,
    band,
    mismatch,
    principal_axes,
    retrieve,
)

DIM = 40
AROUND = 24  # pictures on a circle; 8 bits tell them apart


def _circle(pictures: int) -> np.ndarray:
    """Vectors on a circle, in the order of their numbers: the nearest of 0 are 1 and the last."""
    angle = 2 * np.pi * np.arange(pictures) / pictures
    plane = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turned, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, DIM)))
    vectors: np.ndarray = (plane @ turned[:2]).astype(np.float32)
    return vectors


def _examples(pictures: int = AROUND, stars: float | None = 1.0) -> Examples:
    jokes = [
        ExamplePicture(f"{number:064x}", (Example(f"joke {number}", stars, f"https://jokes.example/{number}"),))
        for number in range(pictures)
    ]
    return Examples.of(_circle(pictures), jokes)


def _number(text: str) -> int:
    return int(text.split()[1])


def _steps(one: int, other: int, of: int) -> int:
    return min((one - other) % of, (other - one) % of)


class TestNearest:
    def test_neighbours_come_in_order_with_their_cosines(self) -> None:
        numbers, cosines = _examples().nearest(5 * _circle(AROUND)[[20]], 5)
        assert numbers[0, 0] == 20
        assert {*numbers[0, 1:3]} == {19, 21}
        assert {*numbers[0, 3:]} == {18, 22}
        np.testing.assert_allclose(cosines[0, [0, 1, 3]], np.cos([0, np.pi / 12, np.pi / 6]), atol=0.02)

    def test_asked_for_more_than_there_are_it_gives_all(self) -> None:
        numbers, cosines = _examples(3).nearest(_circle(3), 10)
        assert numbers.shape == cosines.shape == (3, 3)
        assert sorted(numbers[1]) == [0, 1, 2]

    def test_few_axes_in_eight_bits_find_what_whole_vectors_find(self) -> None:
        rng = np.random.default_rng(1)
        inner = rng.normal(size=(600, 60)) * np.linspace(3, 0.3, 60)
        vectors = (inner @ rng.normal(size=(60, 500))).astype(np.float32)
        whole = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        examples = Examples.of(vectors, [ExamplePicture("", (Example(str(i)),)) for i in range(600)])
        found, _ = examples.nearest(vectors[:50], 10)
        wanted = np.argsort(-whole[:50] @ whole.T, axis=1)[:, :10]
        shared = np.mean([len({*one} & {*other}) / 10 for one, other in zip(found, wanted, strict=True)])
        assert shared > 0.9


class TestRetrieve:
    def test_more_stars_win_among_pictures_that_are_as_near(self) -> None:
        jokes = [ExamplePicture("", (Example(f"joke {n}", float(n)),)) for n in range(8)]
        two_places = np.repeat(_circle(2), 4, axis=0)
        (found,) = retrieve(Examples.of(two_places, jokes), _circle(2)[:1], 4, [0])
        assert [one.joke.text for one in found] == ["joke 3", "joke 2", "joke 1", "joke 0"]

    def test_a_picture_that_is_much_nearer_wins_over_stars(self) -> None:
        jokes = [ExamplePicture("", (Example(f"joke {n}", float(n)),)) for n in range(4)]
        (found,) = retrieve(Examples.of(_circle(4), jokes), _circle(4)[:1], 1, [0])
        assert found[0].joke.text == "joke 0"

    def test_the_joke_comes_with_its_source(self) -> None:
        (found,) = retrieve(_examples(), _circle(AROUND)[[7]], 1, [0])
        assert found[0].joke.url == f"https://jokes.example/{_number(found[0].joke.text)}"

    def test_the_seed_decides_between_equal_jokes_only(self) -> None:
        jokes = [ExamplePicture("", tuple(Example(f"joke {k}") for k in range(20)))]
        equal = Examples.of(_circle(1), jokes)
        answers = {retrieve(equal, _circle(1), 1, [seed])[0][0].joke.text for seed in range(12)}
        assert len(answers) > 3
        assert {retrieve(_examples(), _circle(AROUND)[[7]], 1, [seed])[0][0].joke.text for seed in range(12)} == {
            "joke 7"
        }

    def test_equal_texts_are_offered_once(self) -> None:
        jokes = [ExamplePicture("", (Example("the same"),)) for _ in range(10)]
        (found,) = retrieve(Examples.of(_circle(10), jokes), _circle(10)[:1], 5, [0])
        assert [one.joke.text for one in found] == ["the same"]


class TestMismatch:
    def test_jokes_are_of_the_band_and_never_of_the_nearest(self) -> None:
        first, end = band(300)
        offered = [
            _steps(_number(one.joke.text), 50, 300)
            for seed in range(30)
            for one in mismatch(_examples(300), _circle(300)[[50]], 8, [seed])[0]
        ]
        assert min(offered) >= (first - 1) // 2 > 0
        assert max(offered) <= (end + 1) // 2
        assert len({*offered}) > 5

    def test_same_seed_same_jokes_and_each_picture_has_its_own(self) -> None:
        examples, vectors = _examples(200), _circle(200)
        first, second = mismatch(examples, vectors[[3, 90]], 5, [1, 2])
        assert [first, second] == mismatch(examples, vectors[[3, 90]], 5, [1, 2])
        assert mismatch(examples, vectors[[90]], 5, [2]) == [second]
        assert mismatch(examples, vectors[[3]], 5, [9])[0] != first

    def test_better_starred_jokes_are_told_more_often(self) -> None:
        jokes = [ExamplePicture("", (Example(f"joke {n}", float(n % 2)),)) for n in range(400)]
        examples = Examples.of(_circle(400), jokes)
        told = [_number(mismatch(examples, _circle(400)[[0]], 1, [seed])[0][0].joke.text) % 2 for seed in range(60)]
        assert np.mean(told) > 0.75

    @pytest.mark.parametrize("pictures", [1, 2, 3, 10])
    def test_the_smallest_collections_have_an_answer(self, pictures: int) -> None:
        (found,) = mismatch(_examples(pictures), _circle(pictures)[:1], 3, [0])
        assert found
        assert pictures == 1 or "joke 0" not in [one.joke.text for one in found]


class TestStanding:
    def test_stars_are_compared_to_all(self) -> None:
        jokes = [
            ExamplePicture("", (Example("", 4.0), Example("", 2.0))),
            ExamplePicture("", (Example("", 2.0), Example(""))),
        ]
        examples = Examples.of(_circle(2), jokes)
        assert [examples.standing(Example("", stars)) for stars in (4.0, 2.0, 1.0, None)] == pytest.approx(
            [5 / 6, 1 / 3, 0, 0]
        )

    def test_without_any_stars_all_jokes_are_alike(self) -> None:
        assert _examples(stars=None).standing(Example("")) == 0.5


class TestFiles:
    def test_what_is_written_is_read_again_and_answers_alike(self) -> None:
        examples = _examples()
        files = examples.files()
        again = Examples.read({**files, "something.else": b""})
        assert again is not None
        assert again.pictures == examples.pictures
        assert again.files() == files
        assert retrieve(again, _circle(AROUND)[:4], 3, [0] * 4) == retrieve(examples, _circle(AROUND)[:4], 3, [0] * 4)

    def test_the_same_examples_are_the_same_bytes(self) -> None:
        assert _examples().files() == _examples().files()

    def test_twenty_thousand_pictures_take_few_bytes(self) -> None:
        vectors = np.random.default_rng(0).normal(size=(20_000, 160)).astype(np.float32)
        files = Examples.of(vectors, [ExamplePicture("0" * 64, (Example("x" * 30),))] * 20_000).files()
        assert len(files[VECTORS]) < 3e6

    @pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a.example/>x", "https://a.example/ x", 3, ""])
    def test_what_is_no_web_address_is_not_passed_on(self, url: object) -> None:
        files = _examples(2).files()
        line = {"picture": "", "jokes": [{"text": "joke", "stars": 1, "url": url}]}
        examples = Examples.read({**files, JOKES: (json.dumps(line) + "\n").encode() * 2})
        assert examples is not None
        assert examples.pictures[0].jokes == (Example("joke", 1, None),)

    def test_a_bundle_may_carry_none(self) -> None:
        assert Examples.read({VECTORS: b""}) is None

    @pytest.mark.parametrize(
        "damage",
        [
            lambda files: {VECTORS: files[VECTORS][:100]},
            lambda files: {JOKES: files[JOKES][: len(files[JOKES]) // 2]},
            lambda files: {JOKES: b'{"picture": "", "jokes": []}\n' * 100},
            lambda files: {JOKES: b"[1]\n" * 100},
            lambda files: {JOKES: b"\xff" * 10},
            lambda files: {JOKES: b"\n".join(files[JOKES].splitlines()[:-1])},
        ],
    )
    def test_damaged_files_are_named_so(self, damage: object) -> None:
        files = _examples().files()
        with pytest.raises(ValueError, match=r"."):
            Examples.read({**files, **damage(files)})  # type: ignore[operator]


def test_principal_axes_are_those_of_the_whole_decomposition() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 20)) * 0.6 ** np.arange(20) @ rng.normal(size=(20, 70))).astype(np.float32)
    _, _, wanted = np.linalg.svd(vectors, full_matrices=False)
    axes = principal_axes(vectors, 5)
    np.testing.assert_allclose(np.abs(np.sum(axes * wanted[:5].T, axis=0)), 1.0, atol=1e-3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-4)

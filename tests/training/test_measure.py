from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2

from bokemodel.bundle import Bundle, Manifest
from bokemodel.model import BokeModel
from bokemodel.packing import Normalizer
from bokemodel.tokenizer import Tokenizer
from training import measure as measuring
from training.held_out import HeldOutPicture, Joke, NothingHeldOut
from training.measure import counts_characters, difference, evaluate_model, measure, n_gram_units

KINDS = 20  # of pictures; kind k is the k-th unit vector, and its joke is WORDS[k], one token each
WORDS = [f"{a}{b}" for a in "アイウエ" for b in "猫犬鳩亀魚"]


class NoEncoder:
    name, dim, input_size, weights_digest = "none", KINDS, 8, "0" * 64

    def encode(self, images: Any) -> np.ndarray:
        raise AssertionError("the features are given")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    proto = sentencepiece_model_pb2.ModelProto.FromString(Tokenizer.train(WORDS, 400).model)
    known = {piece.piece for piece in proto.pieces}
    for word in WORDS:
        if word not in known:
            proto.pieces.add(piece=word, score=0.0)
    made = Tokenizer(proto.SerializeToString())
    assert all(len(made.encode(word)) == 1 for word in WORDS)
    return made


def model(tokenizer: Tokenizer, look: float, always: int | None = None, language: str = "ja") -> BokeModel:
    """A model worked out by hand: at the first step unit k is tanh(tanh(look)) for a picture of kind k and 0 otherwise,
    and then forgets; word k is said of unit k, after it comes </s>.

    always: a unit that is 1 whatever the picture. With neither, all tokens are equally likely at every step.
    """
    vocabulary = len(tokenizer)
    arrays = {
        "embed": np.zeros((vocabulary, KINDS), np.float32),
        "img2x_w": look * np.eye(KINDS, dtype=np.float32),
        "img2x_b": np.zeros(KINDS, np.float32),
        "lstm_w": np.zeros((4 * KINDS, KINDS), np.float32),
        "lstm_u": np.zeros((4 * KINDS, KINDS), np.float32),
        "lstm_b": np.repeat([30.0, -30.0, 30.0, 0.0], KINDS).astype(np.float32),  # in, forget, out, candidate
        "out_w": np.zeros((vocabulary, KINDS), np.float32),
        "out_b": np.zeros(vocabulary, np.float32),
    }
    arrays["lstm_w"][3 * KINDS :] = np.eye(KINDS)
    if always is not None:
        arrays["img2x_b"][always] = 10.0
    if look or always is not None:
        for kind, word in enumerate(WORDS):
            arrays["out_w"][tokenizer.encode(word)[0], kind] = 80.0
        arrays["out_b"][tokenizer.eos] = 20.0
    manifest = Manifest("none", "0" * 64, KINDS, {}, language=language, search={"max_tokens": 4})
    normalizer = Normalizer(np.zeros(KINDS, np.float32), np.ones(KINDS, np.float32))
    return BokeModel(Bundle(manifest, tokenizer, normalizer, arrays), NoEncoder())


def picture(kind: int, *jokes: Joke) -> HeldOutPicture:
    return HeldOutPicture(f"{kind:064x}", np.eye(KINDS, dtype=np.float32)[kind], jokes or (Joke(WORDS[kind]),))


PICTURES = [picture(kind) for kind in range(KINDS)]


def test_the_picture_decides_everything(tokenizer: Tokenizer) -> None:
    found = evaluate_model(model(tokenizer, look=10.0), PICTURES)
    assert (found.pictures, found.jokes) == (20, 20)
    assert (found.r_at_1, found.r_at_5, found.r_at_10, found.median_rank) == (1.0, 1.0, 1.0, 1.0)
    assert found.r_at_1_ci95 == found.r_at_10_ci95 == found.median_rank_ci95 == (1.0, 1.0)
    assert found.chance_r_at_10 == 0.5
    assert found.nats_per_token == pytest.approx(0.0, abs=1e-6)
    assert found.bits_per_char == pytest.approx(0.0, abs=1e-6)
    assert (found.novelty, found.self_repeat) == (0.0, 0.0)  # it says each picture's own joke
    assert found.distinct_1 == pytest.approx(9 / 40)  # アイウエ猫犬鳩亀魚 in 20 words of 2 characters
    assert found.distinct_2 == pytest.approx(1.0)
    assert found.spearman_funny is None


def test_a_model_that_does_not_look_gets_chance(tokenizer: Tokenizer) -> None:
    found = evaluate_model(model(tokenizer, look=0.0, always=3), PICTURES)
    assert found.r_at_1 == pytest.approx(1 / 20)
    assert found.r_at_5 == pytest.approx(5 / 20)
    assert found.r_at_10 == pytest.approx(found.chance_r_at_10) == 0.5
    assert found.median_rank == pytest.approx(10.5)
    assert (found.novelty, found.self_repeat) == (0.0, 1.0)  # always the fourth word
    assert found.distinct_1 == pytest.approx(2 / 40)
    assert found.distinct_2 == pytest.approx(1 / 20)
    assert found.distinct_2_ci95 == pytest.approx((1 / 20, 1 / 20))


def test_likelihood_by_hand(tokenizer: Tokenizer) -> None:
    """All tokens equally likely: a text of t tokens and c characters costs (t + 1) ln V nats."""
    some = [picture(0, Joke(WORDS[0]), Joke(WORDS[0] + WORDS[1])), picture(1, Joke(WORDS[2] * 3))]
    found = evaluate_model(model(tokenizer, look=0.0), some)
    assert found.nats_per_token == pytest.approx(np.log(len(tokenizer)), rel=1e-5)
    assert found.nats_per_token_ci95 == pytest.approx((found.nats_per_token,) * 2)
    assert found.bits_per_char == pytest.approx((2 + 3 + 4) * np.log2(len(tokenizer)) / (3 + 5 + 7), rel=1e-5)
    by_picture = [(2 + 3) / (3 + 5) * np.log2(len(tokenizer)), 4 / 7 * np.log2(len(tokenizer))]
    assert found.bits_per_char_ci95 == pytest.approx((min(by_picture), max(by_picture)), rel=1e-5)


def test_likelihood_is_the_models_own_whatever_the_batches(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sighted = model(tokenizer, look=0.05)
    some = [picture(k, Joke(WORDS[k] * (1 + k % 4)), Joke(WORDS[-k] + "長い話。")) for k in range(KINDS)]
    texts = [joke.text for one in some for joke in one.jokes]
    total = sighted.log_prob_of_features(np.repeat(np.eye(KINDS, dtype=np.float32), 2, axis=0), texts).sum()
    tokens = sum(len(tokenizer.encode(text)) + 1 for text in texts)
    for at_once in (32_768, 7):
        monkeypatch.setattr(measuring, "_TOKENS_AT_ONCE", at_once)
        assert evaluate_model(sighted, some).nats_per_token == pytest.approx(-total / tokens, rel=1e-5)


def test_a_caption_of_another_picture_stands_behind(tokenizer: Tokenizer) -> None:
    some = [picture(0, Joke(WORDS[1])), picture(1), picture(2)]  # the first joke fits the second picture
    found = evaluate_model(model(tokenizer, look=10.0), some)
    assert found.r_at_1 == pytest.approx(2 / 3)
    assert found.r_at_5 == 1.0
    assert found.median_rank == 1.0
    assert found.chance_r_at_10 == 1.0
    crossed = [picture(0, Joke(WORDS[1])), picture(1, Joke(WORDS[0]))]
    assert evaluate_model(model(tokenizer, look=10.0), crossed).median_rank == 2.0


def test_grounding_is_sampled_evenly(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [picture(k, *[Joke(WORDS[k])] * (1 if k < 5 else 9)) for k in range(KINDS)]
    sighted = model(tokenizer, look=10.0)
    assert measure(sighted, many).captions == 5 + 15 * 5
    monkeypatch.setattr(measuring, "PAIRS", 20 * 22)  # one of each picture, and two more
    assert measure(sighted, many).captions == 22
    monkeypatch.setattr(measuring, "GALLERY", 8)
    found = measure(sighted, many)
    assert (found.gallery, found.metrics.pictures, found.metrics.jokes) == (8, 20, 5 + 15 * 9)
    assert found.metrics.chance_r_at_10 == 1.0
    assert found.metrics.r_at_1 == 1.0
    assert found.metrics.distinct_2 == 1.0  # only these pictures are answered


def test_novelty_is_against_what_the_corpus_holds(tokenizer: Tokenizer) -> None:
    sighted = model(tokenizer, look=10.0)
    asked: list[str] = []

    def written(text: str) -> bool:
        asked.append(text)
        return text in WORDS[:5]

    found = evaluate_model(sighted, PICTURES, written=written)
    assert found.novelty == pytest.approx(15 / 20)
    assert sorted(asked) == sorted(WORDS)
    low, high = found.novelty_ci95 or (0, 0)
    assert 0.5 < low < 0.75 < high < 1.0
    decorated = [picture(k, Joke(f"「{WORDS[k]}」！" if k else "別の話")) for k in range(KINDS)]
    assert evaluate_model(sighted, decorated).novelty == pytest.approx(1 / 20)  # signs make no new joke


def test_some_answers_repeat(tokenizer: Tokenizer) -> None:
    twins = [picture(0), replace(picture(0), digest="f" * 64), picture(1), picture(2)]
    assert evaluate_model(model(tokenizer, look=10.0), twins).self_repeat == 0.5


def test_a_model_without_answers_has_no_variety(tokenizer: Tokenizer) -> None:
    silent = model(tokenizer, look=10.0)
    silent.network.out_b[tokenizer.eos] += 100.0
    found = evaluate_model(silent, PICTURES)
    assert (found.distinct_1, found.distinct_2, found.novelty, found.self_repeat) == (None,) * 4
    assert found.novelty_ci95 is None
    assert found.nats_per_token is not None


def starred(kind: int, stars: list[float | None]) -> HeldOutPicture:
    """Jokes of 2, 4, 6... characters."""
    return picture(kind, *[Joke(WORDS[kind] * (1 + i), value) for i, value in enumerate(stars)])


def test_funny_is_the_mean_over_pictures(tokenizer: Tokenizer) -> None:
    some = [
        starred(0, [1, 2, 3, 4, 5]),  # the longer, the funnier: +1
        starred(1, [1, 2, 3, 5, 4, None]),  # 1 - 6 * 2 / 120 = 0.9
        starred(2, [5, 1, 2, 3]),  # too few
        starred(3, [2, 2, 2, 2, 2]),  # nobody knows
        starred(4, [None] * 6),
    ]
    # Equally likely tokens: ln p a character is -(t + 1) / (2t + 1) ln V, which rises with the length.
    found = measure(model(tokenizer, look=0.0), some)
    assert found.starred == 2
    for name in ("spearman_funny", "funny_by_likelihood", "funny_by_length"):
        estimate = found.estimates[name]
        assert estimate is not None
        assert estimate.value == pytest.approx(0.95)
        assert estimate.ci95 == pytest.approx((0.9, 1.0))


def test_a_scorer_is_asked_instead_of_the_likelihood(tokenizer: Tokenizer) -> None:
    blind, some = model(tokenizer, look=0.0), [starred(3, [1, 2, 3, 4, 5])]

    def scorer(features: np.ndarray, texts: Any, log_probs: np.ndarray) -> np.ndarray:
        assert features.tolist() == [np.eye(KINDS)[3].tolist()] * 5
        np.testing.assert_allclose(log_probs, blind.log_prob_of_features(features, texts), rtol=1e-6)
        return -np.array([len(text) for text in texts], np.float64)

    found = measure(blind, some, scorer=scorer)
    assert found.metrics.spearman_funny == pytest.approx(-1.0)
    likelihood = found.estimates["funny_by_likelihood"]
    assert likelihood is not None
    assert likelihood.value == pytest.approx(1.0)


def test_the_same_whatever_the_order_and_the_time(tokenizer: Tokenizer) -> None:
    restless = model(tokenizer, look=0.1)
    assert evaluate_model(restless, PICTURES) == evaluate_model(restless, PICTURES[::-1])


def test_two_models_on_the_same_pictures(tokenizer: Tokenizer) -> None:
    champion = measure(model(tokenizer, look=0.0, always=3), PICTURES)
    challenger = measure(model(tokenizer, look=10.0), PICTURES)
    gain = difference(challenger, champion, "r_at_10")
    assert gain is not None
    assert gain.value == pytest.approx(0.5)
    assert gain.ci95 == pytest.approx((0.5, 0.5))
    bits = difference(challenger, champion, "bits_per_char")
    assert bits is not None
    assert bits.ci95[0] <= bits.value <= bits.ci95[1] < 0
    assert difference(challenger, champion, "spearman_funny") is None
    with pytest.raises(ValueError, match="different pictures"):
        difference(challenger, measure(model(tokenizer, look=10.0), PICTURES[1:]), "r_at_10")


def test_nothing_to_measure_on(tokenizer: Tokenizer) -> None:
    for nothing in ([], [HeldOutPicture("0" * 64, np.zeros(KINDS, np.float32), ())]):
        with pytest.raises(NothingHeldOut):
            measure(model(tokenizer, look=10.0), nothing)


def test_units_of_n_grams() -> None:
    assert n_gram_units("猫 が Aだ", "ja") == ["猫", "が", "a", "だ"]
    assert n_gram_units("A dog,  a Dog", "en") == ["a", "dog,", "a", "dog"]
    assert counts_characters("ja-JP")
    assert not counts_characters("en")

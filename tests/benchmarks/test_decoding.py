"""The benchmark of decoding measures what it says: a network with trigrams, candidates of full length."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decoding import Ids, counted, measure, some_pictures
from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.network import Network
from bokemodel.search import SearchSettings, sample


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(Decoder(DecoderConfig(80, 6, 8, 8), seed=0).arrays())


def test_it_counts_in_what_the_network_makes_up(network: Network) -> None:
    trigrams = counted(network, 12)
    assert trigrams["ngram_counts"].sum() > 1_000
    assert set(trigrams["ngram_units"]) <= set(range(2, 80))


def test_endless_texts_never_end(network: Network) -> None:
    settings = SearchSettings(candidates=8, max_tokens=5)
    endless, others = (
        sample(network, Ids(endless), some_pictures(network, 1), settings, [0]) for endless in (True, False)
    )  # type: ignore[arg-type]
    assert not endless[0]
    assert others[0]


def test_all_is_measured(network: Network) -> None:
    found = measure(network, 4, 3, 2)
    assert {"sample_ms", "products_ms", "joined_ms", "beam_ms", "sample / products", "sample / joined"} < set(found)
    assert np.isfinite(list(found.values())).all()

"""Pictures decoded in a process of its own, which is killed, hangs and goes with its parent."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from bokemodel.errors import PictureError
from bokemodel.pictures import MAX_PIXELS
from tests.training import deadly_decoding
from tests.training.small import PHOTOS, ROOT
from training import decoding
from training.decoding import Decoder, DecoderDied, open_fitted

CAT = PHOTOS[0].read_bytes()
HOSTILE = "tests.training.deadly_decoding"


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(HOSTILE)
    yield made
    made.close()


def test_the_same_pictures_and_the_same_words_as_in_this_process() -> None:
    decoder = Decoder()
    for photo in PHOTOS:
        data = photo.read_bytes()
        there, here = (opened(data, 64, MAX_PIXELS) for opened in (decoder.open_fitted, open_fitted))
        assert np.array_equal(np.asarray(there), np.asarray(here))
    for data, most in ((b"", MAX_PIXELS), (b"no picture", MAX_PIXELS), (CAT[:3000], MAX_PIXELS), (CAT, 10)):
        said = []
        for opened in (decoder.open_fitted, open_fitted):
            with pytest.raises(PictureError) as raised:
                opened(data, 64, most)
            said.append(str(raised.value))
        assert said[0] == said[1]
    decoder.close()
    with pytest.raises(DecoderDied):
        decoder.open_fitted(CAT, 64, MAX_PIXELS)


def test_a_picture_that_its_reader_does_not_survive_costs_no_other(decoder: Decoder) -> None:
    with pytest.raises(DecoderDied, match="its process ended with SIGABRT"):
        decoder.open_fitted(deadly_decoding.ABORTS, 8, MAX_PIXELS)
    assert decoder.open_fitted(CAT, 8, MAX_PIXELS).size == (8, 8)


def test_a_picture_that_does_not_come_to_an_end(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PATIENCE_S", 1.0)
    with pytest.raises(DecoderDied, match="SIGKILL"):
        decoder.open_fitted(deadly_decoding.HANGS, 8, MAX_PIXELS)
    monkeypatch.undo()
    assert decoder.open_fitted(CAT, 8, MAX_PIXELS).size == (8, 8)


def test_what_a_reader_prints_is_no_answer(decoder: Decoder) -> None:
    with pytest.raises(PictureError):
        decoder.open_fitted(deadly_decoding.PRINTS, 8, MAX_PIXELS)
    assert decoder.open_fitted(CAT, 8, MAX_PIXELS).size == (8, 8)


def test_whoever_closes_it_does_not_wait_for_a_picture(decoder: Decoder) -> None:
    died: list[DecoderDied] = []

    def hang() -> None:
        with pytest.raises(DecoderDied) as raised:
            decoder.open_fitted(deadly_decoding.HANGS, 8, MAX_PIXELS)
        died.append(raised.value)

    thread = threading.Thread(target=hang)
    thread.start()
    while decoder._process is None:
        pass
    decoder.close()
    thread.join()
    assert died


PARENT = """
import os, signal
from training.decoding import Decoder
decoder = Decoder()
try:
    decoder.open_fitted(b"no picture", 8, 1000)
except Exception:
    print(decoder._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_does_not_outlast_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(30)

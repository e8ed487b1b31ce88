"""What runs inside the worker that is measured."""

from __future__ import annotations

import time

from bot import worker
from bot.worker import Answered, Job


def replies(digest: str, photos: list[bytes], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the bare encoder on a prepared picture and of whole replies, in turns, for each photo and round."""
    from bokemodel.encoders.onnx_runtime import OnnxEncoder
    from bokemodel.pictures import open_picture

    encoder = worker.loaded(digest).encoder
    assert isinstance(encoder, OnnxEncoder)
    bare: list[float] = []
    whole: list[float] = []
    prepared = [encoder.preprocess([open_picture(data, short_side=encoder.input_size)]) for data in photos]
    for number in range(-1, rounds):
        for data, picture in zip(photos, prepared, strict=True):
            began = time.perf_counter()
            encoder.forward(picture)
            between = time.perf_counter()
            (answered,) = worker.answer([Job(data, seed=number + 1)], digest)
            ended = time.perf_counter()
            assert isinstance(answered, Answered)
            if number >= 0:  # the first round warms up
                bare.append(between - began)
                whole.append(ended - between)
    return bare, whole

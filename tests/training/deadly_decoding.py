"""`python -m tests.training.deadly_decoding`: the process that decodes pictures, with some that it does not survive."""

from __future__ import annotations

import os
import time

from PIL import Image

from training import decoding

ABORTS, HANGS, PRINTS = b"aborts", b"hangs", b"prints"
# how such pictures' files begin
real = decoding.open_fitted


def open_fitted(data: bytes, size: int, max_pixels: int) -> Image.Image:
    if data.startswith(ABORTS):
        os.abort()
    if data.startswith(HANGS):
        time.sleep(3600)
    if data.startswith(PRINTS):
        print("x" * 1000, flush=True)
    return real(data, size, max_pixels)


if __name__ == "__main__":
    decoding.open_fitted = open_fitted
    decoding.serve()

"""Kernel, stride and padding as Caffe's messages spell them: one number, one for each side, or `_h` and `_w`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How a convolution or a pooling layer slides: pairs are (vertical, horizontal), in pixels."""

    kernel: Pair
    stride: Pair
    pad: Pair


def window_of(param: Any) -> Window:
    """The window of a `ConvolutionParameter` or a `PoolingParameter`. A kernel of (0, 0) means the whole picture."""
    return Window(
        _pair(param.kernel_size, param.kernel_h, param.kernel_w, 0),
        _pair(param.stride, param.stride_h, param.stride_w, 1),
        _pair(param.pad, param.pad_h, param.pad_w, 0),
    )


def _pair(value: Any, vertical: int, horizontal: int, default: int) -> Pair:
    if vertical or horizontal:
        return vertical, horizontal
    numbers = [value] if isinstance(value, int) else list(value)
    first = numbers[0] if numbers else default
    return first, (numbers[1] if len(numbers) > 1 else first)

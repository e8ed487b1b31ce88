"""The average of a decoder's weights over several moments of its training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder


class WeightAverage:
    """Mean of a decoder's weights over several moments (Izmailov et al. 2018)."""

    def __init__(self, decoder: Decoder) -> None:
        self.parameters = [parameter for _, parameter in sorted(decoder.namedparams())]
        self.sums = [np.zeros(p.shape, np.float64) for p in self.parameters]
        self.count = 0

    def add(self) -> None:
        """Count the weights as they are now."""
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            total += chainer.cuda.to_cpu(parameter.array)
        self.count += 1

    def apply(self) -> None:
        """Give the decoder the average."""
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            xp = chainer.backend.get_array_module(parameter.array)
            parameter.array[...] = xp.asarray((total / self.count).astype(np.float32))

    def restore(self, sums: list[NDArray[np.float64]], count: int) -> None:
        """Go on from these sums, of so many moments."""
        for total, saved in zip(self.sums, sums, strict=True):
            total[...] = saved
        self.count = count

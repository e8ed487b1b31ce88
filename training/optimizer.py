"""Adam with clipping, as the training loop uses it: Chainer's, but on a CPU block by block and without arrays in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder

BLOCK = 1 << 14  # numbers worked on at once: weight, gradient and both moments stay in the cache


class BlockedAdamRule(chainer.optimizers.adam.AdamRule):
    """Adam (Kingma & Ba 2015) with decoupled weight decay; its state has Chainer's names, so snapshots are alike."""

    def update_core_cpu(self, param: Any) -> None:
        if param.grad is None:
            return
        hp, alpha = self.hyperparam, self.alpha_t * self.hyperparam.eta
        flat = [array.reshape(-1) for array in (param.array, param.grad, self.state["m"], self.state["v"])]
        room = np.empty(min(BLOCK, len(flat[0])), param.dtype)
        for start in range(0, len(flat[0]), BLOCK):
            p, g, m, v = (array[start : start + BLOCK] for array in flat)
            t = room[: len(p)]
            np.subtract(g, m, out=t)
            t *= 1 - hp.beta1
            m += t
            np.multiply(g, g, out=t)
            t -= v
            t *= 1 - hp.beta2
            v += t
            np.sqrt(v, out=t)
            t += hp.eps
            np.divide(m, t, out=t)
            t *= alpha
            if hp.weight_decay_rate:
                p *= 1 - hp.eta * hp.weight_decay_rate
            p -= t


class BlockedAdam(chainer.optimizers.Adam):
    """Adam whose rule for each weight is `BlockedAdamRule`."""

    def create_update_rule(self) -> BlockedAdamRule:
        return BlockedAdamRule(self.hyperparam)


def make_optimizer(decoder: Decoder, learning_rate: float, clip: float, weight_decay: float = 0.0) -> Any:
    """An optimizer that is set up for a decoder.

    Args:
        clip: the longest that the whole gradient may be.
        weight_decay: share of each weight, but for biases, that is taken off at every step (Loshchilov & Hutter 2019).
            It can be changed later, as `weight_decay_rate`.
    """
    optimizer = BlockedAdam(learning_rate, weight_decay_rate=weight_decay)
    optimizer.setup(decoder)
    for parameter in decoder.params():
        if parameter.ndim == 1:
            parameter.update_rule.hyperparam.weight_decay_rate = 0.0
    for name in decoder.fixed:  # only now: before the set-up a link has no rule to switch off
        decoder[name].disable_update()
    optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(clip))
    return optimizer

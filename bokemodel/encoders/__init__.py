"""Vision networks by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bokemodel.errors import UnknownEncoder

if TYPE_CHECKING:
    from bokemodel.encoders.base import Encoder

NAMES = ("efficientnet-lite0", "caffenet")


def load_encoder(name: str, path: str | Path | None = None, **options: Any) -> Encoder:
    """Load a vision network.

    Args:
        name: one of `NAMES`.
        path: the weights; `caffenet` needs them, `efficientnet-lite0` brings its own.
        options: for `caffenet`: `blob`, `size`, `mean` of another Caffe network.

    Raises:
        UnknownEncoder, WeightsMissing, WeightsUnreadable
    """
    if name == "efficientnet-lite0":
        from bokemodel.encoders.efficientnet_lite0 import EfficientNetLite0

        return EfficientNetLite0(path, **options)
    if name == "caffenet":
        from bokemodel.encoders.caffenet import CaffeNet

        return CaffeNet(path, **options)
    raise UnknownEncoder(f"no encoder is called {name!r}; there are {', '.join(NAMES)}")

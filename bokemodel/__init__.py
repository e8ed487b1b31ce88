"""Pictures in, boke out: vision networks, the LSTM decoder, search, and trained models on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bokemodel.encoders import load_encoder
    from bokemodel.model import Boke, BokeModel

__all__ = ["Boke", "BokeModel", "load_encoder"]


def __getattr__(name: str) -> Any:
    # On demand: the bot imports bokemodel.pictures and must not load the networks' libraries with it.
    if name == "load_encoder":
        from bokemodel.encoders import load_encoder

        return load_encoder
    if name in ("Boke", "BokeModel"):
        from bokemodel import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

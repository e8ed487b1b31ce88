"""Which vision network a run uses: the same here and on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bokemodel.encoders import Backend, load_encoder
from bokemodel.encoders.base import Encoder
from store.sections import Model


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder by its name and, where its weights do not come with the program, by their path on whichever machine."""

    name: str
    path: str | None = None
    backend: Backend = "auto"
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, model: Model) -> EncoderChoice:
        """What the configuration asks for."""
        options: tuple[tuple[str, Any], ...] = ()
        if model.encoder == "caffenet":
            options = (("blob", model.encoder_blob), ("size", model.encoder_size), ("mean", tuple(model.encoder_mean)))
        path = str(model.encoder_path) if model.encoder_path else None
        return cls(model.encoder, path, "onnxruntime" if model.backend == "onnx" else model.backend, options)

    def load(self, threads: int | None = None) -> Encoder:
        """The encoder; `threads` as in `load_encoder`, and the same errors."""
        return load_encoder(self.name, self.path, backend=self.backend, threads=threads, **dict(self.options))

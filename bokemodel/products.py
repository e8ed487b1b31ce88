"""Rows times weights that stay the same, on ONNX Runtime.

A decoder's steps are small: a dozen rows against four megabytes of weights. NumPy's library brings those into the order that its
kernels read them in again at each call, which takes longer than to multiply; ONNX Runtime does it once. And its threads sleep
while they wait, so that a product can have several where other programs run, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.errors import NoGraph

Floats = NDArray[np.float32]
_OPSET, _IR_VERSION = 17, 8  # as those of the encoders' graphs


class OnnxProduct:
    """`rows @ weights`, as NumPy gives it but for rounding."""

    def __init__(self, weights: Floats, threads: int) -> None:
        """Take weights (K, M). Raises NoGraph where ONNX Runtime, or the package that makes graphs, is not installed."""
        from bokemodel.encoders.onnx_runtime import session_options

        try:
            import onnxruntime
            from onnx import TensorProto, helper
        except ImportError as error:
            raise NoGraph(f"{error.name} is not installed") from error
        constant: Any = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=weights.shape)
        constant.data_location = TensorProto.EXTERNAL  # given apart from the graph
        constant.external_data.add(key="location", value="weights")
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["rows", "weights"], ["product"])],
            "product",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", weights.shape[0]])],
            [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["n", weights.shape[1]])],
            [constant],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        options = session_options(threads, prepacking=True)
        values = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weights))
        options.add_external_initializers(["weights"], [values])
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, rows: Floats) -> Floats:
        """Float32 (N, K) to (N, M)."""
        product: Floats = self._session.run(None, {"rows": rows})[0]
        return product

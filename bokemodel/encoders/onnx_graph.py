"""ONNX graphs made of an encoder's own weights, so that both ways of computing it compute the same network.

The input is `pictures`, float32 (N, 3, size, size) as `preprocess` gives them; the output `features`, float32 (N, dim).
CaffeNet's 233 MB stay out of its graph: its weights are declared as external, in the files of its folder of arrays, which
ONNX Runtime maps and reads in place as Chainer does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bokemodel.encoders.base import VisionWeights
from bokemodel.encoders.caffe_arrays import Layer, data_offset
from bokemodel.encoders.caffe_params import window_of
from bokemodel.encoders.caffe_weights import CaffeWeights
from bokemodel.encoders.efficientnet_weights import Conv, EfficientNetWeights, same_padding
from bokemodel.encoders.onnx_runtime import INPUT, OUTPUT
from bokemodel.errors import NoGraph

_OPSET, _IR_VERSION = 17, 8  # of 2022: read by every ONNX Runtime that runs on a Python of today


def build_graph(weights: VisionWeights) -> bytes:
    """The graph of an encoder, as the bytes of an `.onnx` file. Raises NoGraph, WeightsMissing, WeightsUnreadable."""
    if isinstance(weights, EfficientNetWeights):
        graph = _efficientnet(weights)
    elif isinstance(weights, CaffeWeights):
        graph = _caffe(weights)
    else:
        raise NoGraph(f"no ONNX graph is known for {weights.name}")
    return graph.serialized(weights)


class _Graph:
    """Nodes and weights in the making."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def node(self, kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str, array: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def external_weight(self, file: Path, shape: tuple[int, ...]) -> str:
        """A weight that stays in its `.npy` file."""
        tensor = TensorProto(name=file.stem, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": file.name, "offset": data_offset(file), "length": 4 * math.prod(shape)}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return file.stem

    def serialized(self, weights: VisionWeights) -> bytes:
        size = weights.input_size
        graph = helper.make_graph(
            self.nodes,
            weights.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, size, size])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", "dim"])],
            self.initializers,
        )
        opset = helper.make_opsetid("", _OPSET)
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _efficientnet(weights: EfficientNetWeights) -> _Graph:
    graph, layers, size = _Graph(), weights.convolutions(), weights.input_size
    graph.weight("0", np.zeros((), np.float32))
    graph.weight("6", np.full((), 6, np.float32))

    def conv(x: str, name: str, layer: Conv) -> str:
        nonlocal size
        before, after = same_padding(size, layer.kernel, layer.stride)
        size = -(-size // layer.stride)
        inputs = [x, graph.weight(f"{name}.w", layer.w), graph.weight(f"{name}.b", layer.b)]
        pads, strides = [before, before, after, after], [layer.stride, layer.stride]
        y = graph.node("Conv", inputs, name, pads=pads, strides=strides, group=layer.groups)
        return graph.node("Clip", [y, "0", "6"], f"{name}.relu6") if layer.relu6 else y

    h = conv(INPUT, "stem", layers.stem)
    for index, block in enumerate(layers.blocks):
        x, name = h, f"block{index}"
        if block.expand is not None:
            h = conv(h, f"{name}.expand", block.expand)
        h = conv(conv(h, f"{name}.depthwise", block.depthwise), f"{name}.project", block.project)
        if block.residual:
            h = graph.node("Add", [h, x], f"{name}.sum")
    pooled = graph.node("GlobalAveragePool", [conv(h, "head", layers.head)], "pooled")
    graph.node("Flatten", [pooled], OUTPUT)
    return graph


def _caffe(weights: CaffeWeights) -> _Graph:
    graph = _Graph()
    current = {weights.input: INPUT}  # where a blob is now; layers that work in place move it on
    for layer in weights.layers:
        inputs = [current[bottom] for bottom in layer.bottom]
        if layer.type == "Split":
            current.update(dict.fromkeys(layer.top, inputs[0]))
        elif layer.type == "Dropout":  # does nothing but in training
            current[layer.top[0]] = inputs[0]
        else:
            current[layer.top[0]] = _caffe_layer(graph, layer, inputs, f"{layer.name}.{layer.top[0]}")
    graph.node("Flatten", [current[weights.blob]], OUTPUT)
    return graph


def _caffe_layer(graph: _Graph, layer: Layer, x: list[str], y: str) -> str:
    message = layer.message
    match layer.type:
        case "Convolution":
            p = message.convolution_param
            window, dilation = window_of(p), list(p.dilation) or [1]
            return graph.node(
                "Conv", x + _blobs(graph, layer), y, group=p.group, strides=window.stride, pads=window.pad * 2,
                dilations=[dilation[0]] * 2,
            )  # fmt: skip
        case "InnerProduct":
            flat = graph.node("Flatten", x, f"{y}.flat")
            return graph.node("Gemm", [flat, *_blobs(graph, layer)], y, transB=1)
        case "ReLU":
            slope = message.relu_param.negative_slope
            return graph.node("LeakyRelu", x, y, alpha=slope) if slope else graph.node("Relu", x, y)
        case "LRN":
            p = message.lrn_param
            if p.norm_region == p.ACROSS_CHANNELS:
                return graph.node("LRN", x, y, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)
        case "Pooling":
            return _pooling(graph, layer, x, y)
        case "Concat":
            return graph.node("Concat", x, y, axis=message.concat_param.axis)
        case "Softmax":
            return graph.node("Softmax", x, y, axis=message.softmax_param.axis)
        case "Sigmoid":
            return graph.node("Sigmoid", x, y)
        case "Eltwise":
            p = message.eltwise_param
            if not p.coeff:
                return graph.node({p.PROD: "Mul", p.SUM: "Sum", p.MAX: "Max"}[p.operation], x, y)
    raise NoGraph(f"layer {layer.name!r} of type {layer.type} is not translated to ONNX")


def _pooling(graph: _Graph, layer: Layer, x: list[str], y: str) -> str:
    p = layer.message.pooling_param
    window = window_of(p)
    if p.global_pooling:
        return graph.node("GlobalMaxPool" if p.pool == p.MAX else "GlobalAveragePool", x, y)
    shape = {"kernel_shape": window.kernel, "strides": window.stride, "pads": window.pad * 2}
    if p.pool == p.MAX:
        return graph.node("MaxPool", x, y, ceil_mode=1, **shape)
    if p.pool == p.AVE:
        return graph.node("AveragePool", x, y, count_include_pad=1, **shape)
    raise NoGraph(f"layer {layer.name!r} pools at random")


def _blobs(graph: _Graph, layer: Layer) -> list[str]:
    if len(layer.files) != len(layer.blobs):
        raise NoGraph("weights that could not be converted into files stay out of ONNX Runtime")
    return [graph.external_weight(file, blob.shape) for file, blob in zip(layer.files, layer.blobs, strict=True)]

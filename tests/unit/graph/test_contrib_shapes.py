"""Shapes of ONNX Runtime's own operators, against what ONNX Runtime returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from fitwright.graph.summary import summarize

u8 = np.uint8
one, zero = np.float32(0.1), u8(3)


def f(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def q(*shape: int, dtype: Any = u8) -> Any:
    return np.ones(shape, dtype)


LSTM_INPUTS = ["x", "w", "r", "", "", "", "", "", "ws", "wz", "rs", "rz"]
LSTM_WEIGHTS = {"w": q(1, 8, 16), "r": q(1, 4, 16), "ws": f(1), "wz": q(1), "rs": f(1), "rz": q(1)}
SCALES = {"s": one, "z": zero, "t": one, "u": zero}
PAIR = {"as": one, "az": zero, "bs": one, "bz": zero, "cs": one, "cz": zero}
GEMM = {"as": one, "az": zero, "b": q(8, 16), "bs": one, "bz": zero}
QKV = {"q": f(2, 6, 16), "k": f(2, 9, 16), "v": f(2, 9, 24)}
WINDOW = {"kernel_shape": [2, 2], "strides": [2, 2]}
BLOCKS = {"K": 32, "N": 16, "bits": 4, "block_size": 32}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "fused_matmul": ("FusedMatMul", {"a": f(3, 4, 5), "b": f(3, 6, 5)}, {}, {"transB": 1}),
    "fused_matmul_batch": (
        "FusedMatMul",
        {"a": f(4, 3, 5), "b": f(3, 4, 6)},
        {},
        {"transBatchA": 1, "transA": 1},
    ),
    "fused_gemm": (
        "FusedGemm",
        {"a": f(5, 4), "b": f(5, 6)},
        {"c": f(6)},
        {"transA": 1, "activation": "Relu"},
    ),
    "fused_conv": (
        "FusedConv",
        {"x": f(1, 4, 9, 9)},
        {"w": f(8, 4, 3, 3)},
        {"activation": "Relu", "pads": [1] * 4, "strides": [2, 2]},
    ),
    "attention": (
        "Attention",
        {"x": f(2, 6, 16)},
        {"w": f(16, 40), "b": f(40)},
        {"num_heads": 4, "qkv_hidden_sizes": [16, 16, 8]},
    ),
    "multi_head": ("MultiHeadAttention", QKV, {}, {"num_heads": 4}),
    "skip_norm": ("SkipLayerNormalization", {"x": f(2, 6, 16), "s": f(2, 6, 16)}, {"g": f(16)}, {}),
    "nbits": ("MatMulNBits", {"a": f(2, 3, 32)}, {"b": q(16, 1, 16), "s": f(16, 1)}, BLOCKS),
    "dynamic": ("DynamicQuantizeMatMul", {"a": f(2, 3, 8)}, {"b": q(8, 16), "s": one}, {}),
    "qlinear_add": (
        "QLinearAdd",
        {"a": q(2, 3, 4), "b": q(1, 3, 1)},
        PAIR,
        {"order": ["a", "as", "az", "b", "bs", "bz", "cs", "cz"]},
    ),
    "qlinear_pool": ("QLinearAveragePool", {"a": q(2, 3, 7, 7)}, SCALES, WINDOW),
    "qlinear_pool_up": (
        "QLinearAveragePool",
        {"a": q(2, 3, 7, 7)},
        SCALES,
        WINDOW | {"ceil_mode": 1},
    ),
    "nhwc_pool": ("NhwcMaxPool", {"a": q(1, 6, 6, 3)}, {}, WINDOW),
    "global_pool": ("QLinearGlobalAveragePool", {"a": q(2, 3, 5, 5)}, SCALES, {}),
    "qlinear_concat": (
        "QLinearConcat",
        {"a": q(2, 3), "b": q(2, 5)},
        SCALES,
        {"order": ["t", "u", "a", "s", "z", "b", "s", "z"], "axis": 1},
    ),
    "qgemm_to_float": (
        "QGemm",
        {"a": q(4, 8)},
        GEMM,
        {"order": ["a", "as", "az", "b", "bs", "bz"]},
    ),
    "qattention": (
        "QAttention",
        {"x": q(2, 6, 16)},
        {"w": q(16, 48), "b": f(48), "xs": one, "ws": one},
        {"num_heads": 4},
    ),
    "lstm": (
        "DynamicQuantizeLSTM",
        {"x": f(5, 2, 8)},
        LSTM_WEIGHTS,
        {"order": LSTM_INPUTS, "hidden_size": 4, "num_outputs": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_shape_is_what_onnx_runtime_returns(case: str, build) -> None:
    kind, inputs, weights, options = CASES[case]
    options = dict(options)
    order = options.pop("order", [*inputs, *weights])
    outputs = [f"y{i}" for i in range(options.pop("num_outputs", 1))]
    model = build.model(
        [helper.make_node(kind, order, outputs, domain="com.microsoft", **options)],
        {},
        outputs,
        weights,
        domains=("com.microsoft",),
    )
    model.graph.input.extend(
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in inputs.items()
    )
    path = build.save(model)
    summary = summarize(path, shapes={}, batch=1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    real = session.run(None, inputs)
    assert [o.shape for o in summary.outputs] == [a.shape for a in real]
    assert [o.dtype for o in summary.outputs] == [str(a.dtype) for a in real]
    assert summary.uncounted == ()


def test_an_operator_of_onnx_runtime_without_a_shape_here_is_named(build) -> None:
    node = helper.make_node("CropAndResize", ["x"], ["y"], domain="com.microsoft")
    model: onnx.ModelProto = build.model([node], {"x": [1]}, ["y"], domains=("com.microsoft",))
    assert [(u.kind, u.domain) for u in build.summary(model).uncounted] == [
        ("CropAndResize", "com.microsoft")
    ]

"""Small models made in code, for measuring devices and for tests."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NUM_LAYERS = 4
_OPSET = 17
_IR = 8


def matmul_model(
    m: int, k: int, n: int, *, dtype: Literal["float32", "int8"], num_layers: int = NUM_LAYERS
) -> onnx.ModelProto:
    """A chain of matrix products with constant weights, so that GEMM dominates its time.

    ``x`` (m, k) meets weights (k, n) and (n, k) in turn; ``y`` is (m, k) for an even number
    of layers. One run does 2 * m * k * n * num_layers FLOP.

    Args:
        dtype: ``float32``, or ``int8``: uint8 activations and int8 weights, written as
            QuantizeLinear / DequantizeLinear around each product, the form from which
            both ONNX Runtime and OpenVINO choose their integer kernels.
    """
    chain = _int8_chain if dtype == "int8" else _float_chain
    nodes, constants = chain(k, n, num_layers)
    width = k if num_layers % 2 == 0 else n
    graph = helper.make_graph(
        nodes,
        f"matmul_{dtype}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [m, k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [m, width])],
        constants,
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=_IR)


def _shapes(k: int, n: int, num_layers: int) -> list[tuple[int, int]]:
    return [(k, n) if i % 2 == 0 else (n, k) for i in range(num_layers)]


def _float_chain(
    k: int, n: int, num_layers: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Weights of variance 1/rows keep the values near 1: no denormals, no overflow."""
    draw = np.random.default_rng(0)
    nodes, constants, last = [], [], "x"
    for i, shape in enumerate(_shapes(k, n, num_layers)):
        weight = draw.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(shape[0]))
        constants.append(numpy_helper.from_array(weight, f"w{i}"))
        made = "y" if i == num_layers - 1 else f"h{i}"
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [made], name=f"matmul{i}"))
        last = made
    return nodes, constants


def _int8_chain(
    k: int, n: int, num_layers: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Every product reads and writes through a quantise / dequantise pair."""
    draw = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(np.array(np.float32(1 / 127)), "scale"),
        numpy_helper.from_array(np.array(np.uint8(128)), "zero"),
        numpy_helper.from_array(np.array(np.int8(0)), "weight_zero"),
    ]
    nodes = _pair("x", "x_q", "x_dq")
    last = "x_dq"
    for i, shape in enumerate(_shapes(k, n, num_layers)):
        weight = draw.integers(-127, 128, shape, dtype=np.int8)
        scale = np.float32(np.sqrt(3 / shape[0]) / 127)  # variance 1/rows after scaling
        constants.append(numpy_helper.from_array(weight, f"w{i}"))
        constants.append(numpy_helper.from_array(np.array(scale), f"w{i}_scale"))
        made = "y" if i == num_layers - 1 else f"h{i}_dq"
        weight_in = [f"w{i}", f"w{i}_scale", "weight_zero"]
        nodes.append(helper.make_node("DequantizeLinear", weight_in, [f"w{i}_dq"]))
        nodes.append(helper.make_node("MatMul", [last, f"w{i}_dq"], [f"h{i}"], name=f"matmul{i}"))
        nodes += _pair(f"h{i}", f"h{i}_q", made)
        last = made
    return nodes, constants


def _pair(source: str, quantised: str, made: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [source, "scale", "zero"], [quantised]),
        helper.make_node("DequantizeLinear", [quantised, "scale", "zero"], [made]),
    ]

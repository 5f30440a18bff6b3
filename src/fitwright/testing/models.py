"""Small ONNX models with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fitwright.ports import Array

HIDDEN, CLASSES = 32, 5


def weights() -> tuple[Array, Array]:
    """The same two matrices every time."""
    rng = np.random.default_rng(7)
    first = rng.standard_normal((16, HIDDEN)) / 4
    second = rng.standard_normal((HIDDEN, CLASSES)) / 4
    return first.astype(np.float32), second.astype(np.float32)


def write_two_layers(path: Path, *, batch: int | str = "batch", out: int = 1) -> Path:
    """``hidden = relu(x @ first)``, ``y = hidden @ second``; both are outputs.

    Args:
        batch: fixed size, or a name for any size.
        out: element type of `y` as in `onnx.TensorProto`; float32 unless stated.
    """
    first, second = weights()
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["product"]),
        helper.make_node("Relu", ["product"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["score"]),
        helper.make_node("Cast", ["score"], ["y"], to=out),
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "two_layers",
        [tensor("x", TensorProto.FLOAT, [batch, 16])],
        [tensor("y", out, [batch, CLASSES]), tensor("hidden", TensorProto.FLOAT, [batch, HIDDEN])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def two_layers(x: Array) -> dict[str, Array]:
    """What that model answers, in float64."""
    first, second = weights()
    hidden = np.maximum(x.astype(np.float64) @ first, 0)
    return {"y": hidden @ second, "hidden": hidden}

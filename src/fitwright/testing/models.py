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


def write_masked_encoder(path: Path, *, tokens: int | str = "tokens", opset: int = 18) -> Path:
    """One layer of self-attention over token ids, padding hidden by a mask.

    Inputs ``ids`` and ``mask``, both int64 (batch, tokens); outputs ``states``, float32 (batch,
    tokens, 32), and ``pooled``, float32 (batch, 32), of the first token.
    """
    rng = np.random.default_rng(5)
    held = {
        name: (rng.standard_normal(shape) / 6).astype(np.float32)
        for name, shape in (("table", (50, HIDDEN)), *((n, (HIDDEN, HIDDEN)) for n in ("q", "k")))
    }
    constants: dict[str, Array] = {
        "one": np.array(1, np.float32),
        "far": np.array(-1e9, np.float32),
        "first": np.array(0, np.int64),
    }
    axis = {"middle": np.array([1], np.int64)}
    every: dict[str, Array] = {**held, **constants, **axis}
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "ids"], ["x"]),
        node("MatMul", ["x", "q"], ["queries"]),
        node("MatMul", ["x", "k"], ["keys"]),
        node("Transpose", ["keys"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["queries", "turned"], ["scores"]),
        node("Cast", ["mask"], ["kept"], to=TensorProto.FLOAT),
        node("Sub", ["one", "kept"], ["hidden"]),
        node("Mul", ["hidden", "far"], ["bias"]),
        node("Unsqueeze", ["bias", "middle"], ["biases"]),
        node("Add", ["scores", "biases"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("MatMul", ["weights", "x"], ["states"]),
        node("Gather", ["states", "first"], ["pooled"], axis=1),
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "masked_encoder",
        [tensor(name, TensorProto.INT64, ["batch", tokens]) for name in ("ids", "mask")],
        [
            tensor("states", TensorProto.FLOAT, ["batch", tokens, HIDDEN]),
            tensor("pooled", TensorProto.FLOAT, ["batch", HIDDEN]),
        ],
        [numpy_helper.from_array(v, n) for n, v in every.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path

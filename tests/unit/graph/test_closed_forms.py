"""Whole models against the formulas on paper: a CNN, a transformer encoder, an LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

node = helper.make_node

# exact up to this: the issue asks for 1 %; the rules are exact, so nothing is given away
TOLERANCE = 0.01


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def test_a_convolutional_network(build) -> None:
    batch, classes, size = 4, 10, 32
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1] * 4),
        node("Relu", ["c0"], ["r0"]),
        node("Conv", ["r0", "w1"], ["c1"], pads=[1] * 4, strides=[2, 2], group=16),  # depthwise
        node("Conv", ["c1", "w2"], ["c2"]),  # pointwise
        node("MaxPool", ["c2"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    features = 32 * (size // 4) ** 2
    weights = {
        "w0": zeros(16, 3, 3, 3),
        "b0": zeros(16),
        "w1": zeros(16, 1, 3, 3),
        "w2": zeros(32, 16, 1, 1),
        "w3": zeros(classes, features),
        "b3": zeros(classes),
    }
    summary = build.summary(
        build.model(nodes, {"x": ["n", 3, size, size]}, ["y"], weights), batch=batch
    )
    half = size // 2
    macs = (
        size * size * 16 * 3 * 9 + half * half * 16 * 9 + half * half * 32 * 16 + features * classes
    )
    assert summary.flops == pytest.approx(2 * batch * macs, rel=TOLERANCE)
    elementwise = (
        2 * 16 * size * size  # bias and Relu of the first convolution
        + features * 4  # max over 2 x 2 windows
        + classes  # bias
    )
    assert summary.elementwise_flops == pytest.approx(batch * elementwise, rel=TOLERANCE)
    assert summary.num_parameters == sum(w.size for w in weights.values())
    assert summary.weight_bytes == 4 * summary.num_parameters
    assert summary.uncounted == ()
    assert summary.is_classifier_shape
    assert summary.outputs[0].shape == (batch, classes)


def encoder(build, layers: int, hidden: int, heads: int) -> onnx.ModelProto:
    """Post-norm encoder layers, attention written out in MatMul, Transpose and Softmax."""
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Any] = {"split": np.array([0, 0, heads, hidden // heads])}
    weights["join"] = np.array([0, 0, hidden])
    weights["scale"] = np.float32(0.125)
    last = "x"

    def dense(source: str, out: str, rows: int, columns: int) -> str:
        weights[f"{out}_w"], weights[f"{out}_b"] = zeros(rows, columns), zeros(columns)
        nodes.append(node("MatMul", [source, f"{out}_w"], [f"{out}_m"]))
        nodes.append(node("Add", [f"{out}_m", f"{out}_b"], [out]))
        return out

    def heads_of(source: str, perm: list[int]) -> str:
        nodes.append(node("Reshape", [source, "split"], [f"{source}_r"]))
        nodes.append(node("Transpose", [f"{source}_r"], [f"{source}_h"], perm=perm))
        return f"{source}_h"

    def norm(a: str, b: str, out: str) -> str:
        weights[f"{out}_s"], weights[f"{out}_b"] = zeros(hidden), zeros(hidden)
        nodes.append(node("Add", [a, b], [f"{out}_a"]))
        inputs = [f"{out}_a", f"{out}_s", f"{out}_b"]
        nodes.append(node("LayerNormalization", inputs, [out]))
        return out

    for i in range(layers):
        q = heads_of(dense(last, f"q{i}", hidden, hidden), [0, 2, 1, 3])
        k = heads_of(dense(last, f"k{i}", hidden, hidden), [0, 2, 3, 1])
        v = heads_of(dense(last, f"v{i}", hidden, hidden), [0, 2, 1, 3])
        nodes.append(node("MatMul", [q, k], [f"s{i}"]))
        nodes.append(node("Mul", [f"s{i}", "scale"], [f"ss{i}"]))
        nodes.append(node("Softmax", [f"ss{i}"], [f"p{i}"]))
        nodes.append(node("MatMul", [f"p{i}", v], [f"o{i}"]))
        nodes.append(node("Transpose", [f"o{i}"], [f"ot{i}"], perm=[0, 2, 1, 3]))
        nodes.append(node("Reshape", [f"ot{i}", "join"], [f"oj{i}"]))
        out = dense(f"oj{i}", f"out{i}", hidden, hidden)
        first = norm(last, out, f"n{i}")
        wide = dense(first, f"up{i}", hidden, 4 * hidden)
        nodes.append(node("Gelu", [wide], [f"g{i}"]))
        last = norm(first, dense(f"g{i}", f"down{i}", 4 * hidden, hidden), f"m{i}")
    return build.model(nodes, {"x": ["batch", "seq", hidden]}, [last], weights)


def test_a_transformer_encoder(build) -> None:
    layers, hidden, heads, batch, seq = 2, 64, 4, 3, 40
    summary = build.summary(encoder(build, layers, hidden, heads), batch=batch, seq=seq)
    per_layer = 24 * batch * seq * hidden**2 + 4 * batch * seq**2 * hidden
    assert summary.flops == pytest.approx(layers * per_layer, rel=TOLERANCE)
    tokens = batch * seq
    elementwise = layers * (
        tokens * 9 * hidden  # biases: 4 of width hidden, 1 of 4 hidden, 1 of hidden
        + batch * heads * seq**2 * 6  # scale and softmax
        + tokens * 2 * hidden * (1 + 7)  # two residual sums, two LayerNorms
        + tokens * 4 * hidden * 5  # Gelu
    )
    assert summary.elementwise_flops == pytest.approx(elementwise, rel=TOLERANCE)
    parameters = layers * (12 * hidden**2 + 13 * hidden) + 1  # and the scale
    assert summary.num_parameters == parameters
    assert summary.uncounted == ()
    assert summary.bindings == {"batch": batch, "seq": seq}
    assert summary.inputs[0].shape == (batch, seq, hidden)
    assert not summary.is_classifier_shape


@pytest.mark.parametrize("directions", [1, 2])
def test_an_lstm(directions: int, build) -> None:
    steps, batch, width, hidden = 20, 3, 24, 32
    weights = {
        "w": zeros(directions, 4 * hidden, width),
        "r": zeros(directions, 4 * hidden, hidden),
        "b": zeros(directions, 8 * hidden),
    }
    lstm = node(
        "LSTM",
        ["x", "w", "r", "b"],
        ["y"],
        hidden_size=hidden,
        direction="bidirectional" if directions == 2 else "forward",
    )
    model = build.model([lstm], {"x": ["seq", "batch", width]}, ["y"], weights)
    summary = build.summary(model, batch=batch, seq=steps)
    macs = directions * steps * batch * 4 * hidden * (width + hidden)
    assert summary.flops == pytest.approx(2 * macs, rel=TOLERANCE)
    assert summary.num_parameters == directions * 4 * hidden * (width + hidden + 2)
    assert summary.outputs[0].shape == (steps, directions, batch, hidden)
    assert summary.uncounted == ()


def test_the_same_encoder_layer_costs_the_same_written_as_one_attention_operator(build) -> None:
    batch, heads, seq, size = 2, 4, 16, 8
    shape = [batch, heads, seq, size]
    fused = build.model(
        [node("Attention", ["q", "k", "v"], ["y"])],
        {"q": shape, "k": shape, "v": shape},
        ["y"],
        opset=23,
    )
    parts = [
        node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "kt"], ["s"]),
        node("Softmax", ["s"], ["p"]),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    written_out = build.model(parts, {"q": shape, "k": shape, "v": shape}, ["y"], opset=23)
    assert build.summary(fused).flops == build.summary(written_out).flops

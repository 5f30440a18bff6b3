"""Counting rules, operator by operator, against counts made another way."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fitwright.graph.cost.table import RULES

relaxed = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLOAT, UINT8, INT8 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


def multiply_adds(op: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """MACs of a convolution by visiting every output element and every tap, padding included."""
    attributes = {a.name: helper.get_attribute_value(a) for a in op.attribute}
    batch, _, *space = shapes["x"]
    out_channels, in_per_group, *kernel = shapes["w"]
    pads, strides, dilations = (attributes[k] for k in ("pads", "strides", "dilations"))
    half = len(space)
    out = [
        len(range(0, s + pads[i] + pads[half + i] - dilations[i] * (kernel[i] - 1), strides[i]))
        for i, s in enumerate(space)
    ]
    count = 0
    for _ in product(range(batch), range(out_channels), *map(range, out)):
        for _ in product(range(in_per_group), *map(range, kernel)):
            count += 1
    return count


@relaxed
@given(data=st.data())
def test_a_convolution_counts_every_tap_of_every_output(shared_build, data) -> None:
    axes = data.draw(st.integers(1, 2))
    group = data.draw(st.sampled_from([1, 2, 3]))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    shapes = {
        "x": (data.draw(st.integers(1, 2)), group * data.draw(st.integers(1, 2)), *[7] * axes),
        "w": (group * data.draw(st.integers(1, 2)), 0, *kernel),
    }
    shapes["w"] = (shapes["w"][0], shapes["x"][1] // group, *kernel)
    conv = helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        group=group,
        pads=data.draw(st.lists(st.integers(0, 2), min_size=2 * axes, max_size=2 * axes)),
        strides=data.draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes)),
        dilations=data.draw(st.lists(st.integers(1, 2), min_size=axes, max_size=axes)),
    )
    model = shared_build.model([conv], {"x": shapes["x"]}, ["y"], {"w": zeros(*shapes["w"])})
    summary = shared_build.summary(model)
    assert summary.flops == 2 * multiply_adds(conv, shapes)


@relaxed
@given(
    batch=st.lists(st.integers(1, 3), max_size=2),
    m=st.integers(1, 9),
    k=st.integers(1, 9),
    n=st.integers(1, 9),
)
def test_a_batched_product_is_two_m_k_n_each(shared_build, batch, m, k, n) -> None:
    matmul = helper.make_node("MatMul", ["a", "b"], ["y"])
    model = shared_build.model([matmul], {"a": [*batch, m, k], "b": [*batch, k, n]}, ["y"])
    assert shared_build.summary(model).flops == 2 * prod(batch) * m * k * n


@relaxed
@given(m=st.integers(1, 9), k=st.integers(1, 9), n=st.integers(1, 9), b=st.integers(1, 4))
def test_einsum_of_a_product_counts_as_the_product(shared_build, m, k, n, b) -> None:
    einsum = helper.make_node("Einsum", ["a", "b"], ["y"], equation="...mk,kn->...mn")
    model = shared_build.model([einsum], {"a": [b, m, k], "b": [k, n]}, ["y"])
    assert shared_build.summary(model).flops == 2 * b * m * k * n


def test_an_outer_product_by_einsum_is_elementwise(cost_of) -> None:
    row = cost_of("Einsum", {"a": [3], "b": [5]}, equation="i,j->ij")
    assert (row.flops, row.elementwise_flops) == (0, 15)


@pytest.mark.parametrize("turn_a", [0, 1])
@pytest.mark.parametrize("turn_b", [0, 1])
def test_gemm_counts_the_same_whichever_way_its_matrices_lie(turn_a, turn_b, cost_of) -> None:
    a, b = ([7, 5], [5, 3])
    row = cost_of(
        "Gemm",
        {"a": a[::-1] if turn_a else a, "b": b[::-1] if turn_b else b},
        {"c": zeros(3)},
        transA=turn_a,
        transB=turn_b,
    )
    assert (row.flops, row.elementwise_flops) == (2 * 7 * 5 * 3, 21)


def test_a_transposed_convolution_mirrors_the_forward_one(cost_of) -> None:
    forward = cost_of("Conv", {"x": [1, 4, 9, 9]}, {"w": zeros(6, 4, 3, 3)}, strides=[2, 2])
    back = cost_of("ConvTranspose", {"x": [1, 6, 4, 4]}, {"w": zeros(6, 4, 3, 3)}, strides=[2, 2])
    assert forward.flops == back.flops


def test_bidirectional_gru_is_twice_the_forward_one(cost_of) -> None:
    def gru(directions: int) -> Any:
        weights = {"w": zeros(directions, 15, 4), "r": zeros(directions, 15, 5)}
        way = "bidirectional" if directions == 2 else "forward"
        return cost_of("GRU", {"x": [6, 2, 4]}, weights, hidden_size=5, direction=way)

    assert gru(1).flops == 2 * 6 * 2 * 15 * (4 + 5)
    assert gru(2).flops == 2 * gru(1).flops


def test_integer_forms_count_the_float_product(cost_of) -> None:
    plain = cost_of("MatMul", {"a": [4, 8]}, {"b": zeros(8, 16)})
    integer = cost_of(
        "MatMulInteger", {"a": [4, 8]}, {"b": zeros(8, 16, dtype=np.uint8)}, element=UINT8
    )
    assert integer.flops == plain.flops
    dynamic = cost_of(
        "DynamicQuantizeMatMul",
        {"a": [4, 8]},
        {"b": zeros(8, 16, dtype=np.int8), "s": np.float32(1)},
        domain="com.microsoft",
    )
    assert dynamic.flops == plain.flops
    assert dynamic.elementwise_flops == 5 * 32 + 2 * 64  # quantise A; scale the result
    blocks = cost_of(
        "MatMulNBits",
        {"a": [4, 32]},
        {"b": zeros(16, 1, 16, dtype=np.uint8), "s": zeros(16)},
        domain="com.microsoft",
        K=32,
        N=16,
        bits=4,
        block_size=32,
    )
    assert blocks.flops == 2 * 4 * 32 * 16
    assert blocks.weight_bytes == 16 * 16 + 4 * 16


def test_qlinear_conv_counts_the_float_convolution(cost_of) -> None:
    plain = cost_of("Conv", {"x": [1, 3, 8, 8]}, {"w": zeros(4, 3, 3, 3)})
    one, zero = np.float32(1), np.uint8(0)
    weights = {"xs": one, "xz": zero, "w": zeros(4, 3, 3, 3, dtype=np.uint8), "ws": one, "wz": zero}
    row = cost_of(
        "QLinearConv", {"x": [1, 3, 8, 8]}, weights | {"ys": one, "yz": zero}, element=UINT8
    )
    assert row.flops == plain.flops


def test_fused_attention_includes_its_projections(cost_of) -> None:
    batch, seq, width, heads = 2, 6, 16, 4
    row = cost_of(
        "Attention",
        {"x": [batch, seq, width]},
        {"w": zeros(width, 3 * width), "b": zeros(3 * width)},
        domain="com.microsoft",
        num_heads=heads,
    )
    assert row.flops == 2 * batch * seq * width * 3 * width + 4 * batch * seq * seq * width


def test_a_gather_reads_only_the_rows_it_takes(cost_of) -> None:
    row = cost_of(
        "Gather", {"i": [2, 3]}, {"t": zeros(1000, 8)}, element=TensorProto.INT64, order=["t", "i"]
    )
    assert row.bytes_read == 2 * 3 * 8 * 4 + 6 * 8
    assert row.weight_bytes == 1000 * 8 * 4
    assert (row.flops, row.elementwise_flops) == (0, 0)


def test_int4_weights_take_half_a_byte(build) -> None:
    weight = TensorProto(name="w", dims=[9], data_type=TensorProto.INT4, raw_data=bytes(5))
    scale = np.float32(1)
    dequantize = helper.make_node("DequantizeLinear", ["w", "s"], ["d"])
    add = helper.make_node("Add", ["x", "d"], ["y"])
    summary = build.summary(
        build.model([dequantize, add], {"x": [9]}, ["y"], {"w": weight, "s": scale})
    )
    assert summary.operators[0].bytes_read == 5 + 4


@pytest.mark.parametrize("kind", ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"])
def test_views_move_nothing(kind: str, cost_of) -> None:
    shapes = {"Reshape": np.array([4]), "Squeeze": np.array([0]), "Unsqueeze": np.array([0])}
    weights = {"s": shapes[kind]} if kind in shapes else {}
    row = cost_of(kind, {"x": [1, 4]}, weights)
    assert (row.bytes_read, row.bytes_written, row.flops, row.elementwise_flops) == (0, 0, 0, 0)


def test_an_operator_without_a_rule_is_named_and_never_zero(build) -> None:
    image = helper.make_node("ImageDecoder", ["x"], ["y"])
    summary = build.summary(build.model([image], {"x": [100]}, ["y"], element=UINT8))
    assert summary.operators[0].flops is None
    assert summary.operators[0].elementwise_flops is None
    assert [(u.kind, u.num_operators) for u in summary.uncounted] == [("ImageDecoder", 1)]


def test_what_follows_from_unknown_shapes_is_uncounted_too(build) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT),
        helper.make_node("Exp", ["f"], ["e"]),
        helper.make_node("ReduceSum", ["e"], ["y"], keepdims=0),
        helper.make_node("Exp", ["x"], ["z"]),
    ]
    summary = build.summary(build.model(nodes, {"x": [8]}, ["y", "z"]))
    counts = {o.kind: o.elementwise_flops for o in summary.operators[:4]}
    assert counts == {"NonZero": None, "Cast": None, "Exp": None, "ReduceSum": None}
    assert summary.operators[4].elementwise_flops == 8
    assert all(u.reason for u in summary.uncounted)


def test_a_shared_weight_is_counted_once_and_read_twice(build) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    summary = build.summary(build.model(nodes, {"x": [2, 8]}, ["y"], {"w": zeros(8, 8)}))
    assert summary.num_parameters == 64
    assert [o.weight_bytes for o in summary.operators] == [256, 0]
    assert all(o.bytes_read == 256 + 64 for o in summary.operators)


def test_shapes_computed_in_the_graph_are_followed(build) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], end=1),
        helper.make_node("Concat", ["s", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    weights = {"rest": np.array([-1]), "w": zeros(12, 2)}
    summary = build.summary(build.model(nodes, {"x": ["b", 3, 4]}, ["y"], weights), batch=5)
    assert summary.flops == 2 * 5 * 12 * 2
    assert summary.outputs[0].shape == (5, 2)


def test_every_rule_is_of_a_domain_that_the_door_lets_in() -> None:
    assert {domain for domain, _ in RULES} == {"", "ai.onnx.ml", "com.microsoft"}

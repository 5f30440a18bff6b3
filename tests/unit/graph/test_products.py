"""The matrix product behind each operator, against the formulas on paper."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.records.model import ModelSummary, OperatorCost, Product

node = helper.make_node


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


def only(summary: ModelSummary) -> tuple[OperatorCost, Product]:
    (operator,) = summary.operators
    assert operator.product is not None
    return operator, operator.product


def flops(product: Product) -> int:
    p = product
    return 2 * p.m * p.n * p.k * p.num_products * p.num_steps


def test_a_dense_layer_is_one_product_over_all_rows(build) -> None:
    model = build.model(
        [node("MatMul", ["x", "w"], ["y"])], {"x": [2, 5, 7]}, ["y"], {"w": zeros(7, 11)}
    )
    operator, product = only(build.summary(model))
    assert product == Product(m=10, n=11, k=7)
    assert flops(product) == operator.flops
    assert operator.dtype == "float32"


def test_a_product_of_activations_is_one_per_head(build) -> None:
    model = build.model(
        [node("MatMul", ["q", "k"], ["y"])], {"q": [2, 3, 5, 7], "k": [2, 3, 7, 5]}, ["y"]
    )
    operator, product = only(build.summary(model))
    assert product == Product(m=5, n=5, k=7, num_products=6, has_weights=False)
    assert flops(product) == operator.flops


def test_einsum_of_two_operands_knows_its_product(build) -> None:
    model = build.model(
        [node("Einsum", ["q", "k"], ["y"], equation="bhqd,bhkd->bhqk")],
        {"q": [2, 3, 5, 7], "k": [2, 3, 4, 7]},
        ["y"],
    )
    operator, product = only(build.summary(model))
    assert product == Product(m=5, n=4, k=7, num_products=6, has_weights=False)
    assert flops(product) == operator.flops


@pytest.mark.parametrize(("transposed", "shape"), [(0, (7, 11)), (1, (11, 7))])
def test_gemm_knows_its_product(build, transposed, shape) -> None:
    gemm = node("Gemm", ["x", "w"], ["y"], transB=transposed)
    model = build.model([gemm], {"x": [3, 7]}, ["y"], {"w": zeros(*shape)})
    operator, product = only(build.summary(model))
    assert product == Product(m=3, n=11, k=7)
    assert flops(product) == operator.flops


@pytest.mark.parametrize("group", [1, 2, 6])
def test_a_convolution_is_an_implicit_product_per_group(build, group) -> None:
    conv = node("Conv", ["x", "w"], ["y"], group=group, strides=[2, 2])
    weights = {"w": zeros(12, 6 // group, 3, 3)}
    model = build.model([conv], {"x": [2, 6, 9, 11]}, ["y"], weights)
    operator, product = only(build.summary(model))
    positions, window = 2 * 4 * 5, 6 // group * 9
    assert product == Product(
        m=positions, n=12 // group, k=window, num_products=group, kernel=(3, 3)
    )
    assert flops(product) == operator.flops


def test_a_transposed_convolution_spreads_each_input_over_the_window(build) -> None:
    conv = node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    model = build.model([conv], {"x": [2, 6, 4, 5]}, ["y"], {"w": zeros(6, 3, 2, 2)})
    operator, product = only(build.summary(model))
    assert product == Product(m=2 * 4 * 5, n=3 * 4, k=6, kernel=(2, 2))
    assert flops(product) == operator.flops


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_recurrent_layer_repeats_its_product_step_by_step(build, kind, gates) -> None:
    steps, batch, width, hidden = 9, 2, 5, 4
    weights = {"w": zeros(2, gates * hidden, width), "r": zeros(2, gates * hidden, hidden)}
    recurrent = node(kind, ["x", "w", "r"], ["y"], hidden_size=hidden, direction="bidirectional")
    model = build.model([recurrent], {"x": [steps, batch, width]}, ["y"], weights)
    operator, product = only(build.summary(model))
    assert product == Product(
        m=batch, n=gates * hidden, k=width + hidden, num_products=2, num_steps=steps
    )
    assert flops(product) == operator.flops


def test_attention_states_the_product_of_its_scores(build) -> None:
    attention = node("Attention", ["q", "k", "v"], ["y"], q_num_heads=4, kv_num_heads=2)
    inputs = {"q": [2, 5, 32], "k": [2, 6, 16], "v": [2, 6, 16]}
    operator, product = only(build.summary(build.model([attention], inputs, ["y"], opset=23)))
    assert product == Product(m=5, n=6, k=8, num_products=8, has_weights=False)
    assert operator.flops == 2 * flops(product)  # the weighted values are as large


def quantised(*, kind: str) -> tuple[Any, dict[str, Any]]:
    scales = {"s": np.float32(1.0), "a0": np.uint8(0), "w0": np.int8(0)}
    if kind == "QLinearConv":
        inputs = ["x", "s", "a0", "w", "s", "w0", "s", "a0"]
        return node(kind, inputs, ["y"]), scales | {"w": zeros(8, 3, 3, 3, dtype=np.int8)}
    inputs = ["x", "s", "a0", "w", "s", "w0", "s", "a0"]
    return node(kind, inputs, ["y"]), scales | {"w": zeros(7, 11, dtype=np.int8)}


@pytest.mark.parametrize(
    ("kind", "shape", "product"),
    [
        ("QLinearMatMul", [3, 7], Product(m=3, n=11, k=7)),
        ("QLinearConv", [1, 3, 6, 6], Product(m=16, n=8, k=27, kernel=(3, 3))),
    ],
)
def test_products_of_integers_say_that_they_are(build, kind, shape, product) -> None:
    op, weights = quantised(kind=kind)
    model = build.model([op], {"x": shape}, ["y"], weights, element=TensorProto.UINT8)
    operator, found = only(build.summary(model))
    assert found == product
    assert operator.dtype == "int8"
    assert flops(found) == operator.flops


def test_integers_multiplied_to_32_bits_are_a_product_of_int8(build) -> None:
    model = build.model(
        [node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": [3, 7]},
        ["y"],
        {"w": zeros(7, 11, dtype=np.int8)},
        element=TensorProto.UINT8,
    )
    operator, product = only(build.summary(model))
    assert (operator.dtype, product) == ("int8", Product(m=3, n=11, k=7))


def test_block_quantised_weights_meet_floats(build) -> None:
    packed = numpy_helper.from_array(np.zeros((11, 2, 8), np.uint8), "w")
    op = node(
        "MatMulNBits", ["x", "w", "s"], ["y"],
        domain="com.microsoft", K=32, N=11, bits=4, block_size=16,
    )  # fmt: skip
    model = build.model(
        [op], {"x": [3, 32]}, ["y"], {"w": packed, "s": zeros(22)}, domains=["com.microsoft"]
    )
    operator, product = only(build.summary(model))
    assert (operator.dtype, product) == ("float32", Product(m=3, n=11, k=32))


def test_an_operator_knows_whose_results_it_reads(build) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Reshape", ["a", "shape"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("Add", ["c", "b"], ["y"]),
    ]
    weights = {"w": zeros(4, 4), "shape": np.array([2, 2, 4])}
    summary = build.summary(build.model(nodes, {"x": [4, 4]}, ["y"], weights))
    assert [o.reads_from for o in summary.operators] == [(), (0,), (1,), (2, 1)]
    assert [o.is_view for o in summary.operators] == [False, True, False, False]
    assert [o.reads_inputs for o in summary.operators] == [True, False, False, False]


def test_a_summary_of_an_older_version_still_reads() -> None:
    old = {
        "name": "a", "kind": "MatMul", "flops": 2, "elementwise_flops": 0, "bytes_read": 8,
        "bytes_written": 4, "weight_bytes": 4, "num_parameters": 1, "activation_bytes": 4,
    }  # fmt: skip
    read = OperatorCost.model_validate_json(json.dumps(old))
    assert (read.product, read.dtype, read.reads_from, read.is_view) == (None, "", (), False)

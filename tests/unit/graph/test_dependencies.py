"""Who reads whose result, as a model file has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fitwright.graph.dependencies import Coverage, dependencies_of
from fitwright.graph.read import read_model


def model(nodes: list[Any], weights: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    tensors = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in weights.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])


def test_weights_are_no_reads_and_matrices_show_rows_in_and_columns_out() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Gemm", ["h", "v"], ["y"], name="second", transB=1),
    ]
    first, second = dependencies_of(model(nodes, {"w": (4, 8), "v": (3, 8)}))
    assert (first.reads, first.writes, first.weight) == (("x",), ("h",), (4, 8))
    assert (second.reads, second.weight) == (("h",), (8, 3))


def test_what_only_constants_feed_is_a_constant_and_keeps_its_shape() -> None:
    nodes = [
        helper.make_node("Transpose", ["w"], ["wt"], name="flip", perm=[1, 0]),
        helper.make_node("MatMul", ["x", "wt"], ["y"], name="product"),
    ]
    (product,) = dependencies_of(model(nodes, {"w": (8, 4)}))
    assert (product.name, product.reads, product.weight) == ("product", ("x",), (4, 8))


def test_nameless_and_repeated_names_give_way_to_the_first_output() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"], name="same"),
        helper.make_node("Relu", ["b"], ["y"], name="same"),
    ]
    assert [n.name for n in dependencies_of(model(nodes, {}))] == ["a", "b", "y"]


def test_a_depthwise_convolution_keeps_its_channels_apart() -> None:
    def convolution(weight: tuple[int, ...], group: int) -> bool:
        node = helper.make_node("Conv", ["x", "w"], ["y"], name="c", group=group)
        return dependencies_of(model([node], {"w": weight}))[0].is_depthwise

    assert convolution((8, 1, 3, 3), 8)
    assert not convolution((8, 4, 3, 3), 2)
    assert not convolution((8, 1, 3, 3), 1)  # one input channel, one group


def test_a_fused_node_stands_for_all_between_what_it_reads_and_writes() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node("Add", ["h", "b"], ["s"], name="sum"),
        helper.make_node("Relu", ["s"], ["y"], name="relu"),
    ]
    coverage = Coverage(dependencies_of(model(nodes, {"w": (4, 8), "b": (8,)})))
    assert [n.name for n in coverage.of(["x"], ["y"])] == ["product", "sum", "relu"]
    assert [n.name for n in coverage.of(["s"], ["y"])] == ["relu"]
    assert coverage.of(["x"], ["unknown"]) == ()


def test_what_a_body_captures_is_read_by_the_operator_that_holds_it(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["h"], ["z"])],
        "then",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Neg", ["x"], ["h"], name="outside"),
        helper.make_node("Cast", ["x"], ["c"], name="cond", to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch),
    ]
    path = tmp_path / "m.onnx"
    onnx.save(model(nodes, {}), path)
    *_, branching = dependencies_of(read_model(path))
    assert (branching.name, branching.reads) == ("if", ("c", "h"))

"""If counts its larger branch; Loop and Scan their body times the trips, when known."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

node = helper.make_node
info = helper.make_tensor_value_info
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


def branch(columns: int) -> onnx.GraphProto:
    product = node("MatMul", ["x", f"w{columns}"], ["h"])
    total = node("ReduceSum", ["h"], ["o"], keepdims=0)
    return helper.make_graph([product, total], "b", [], [onnx.ValueInfoProto(name="o")])


def conditional(build, condition: Any) -> Any:
    choose = node("If", ["c"], ["y"], then_branch=branch(3), else_branch=branch(9))
    weights = {"w3": np.zeros((8, 3), np.float32), "w9": np.zeros((8, 9), np.float32)}
    nodes = [choose]
    if condition is None:
        nodes = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Cast", ["m"], ["c"], to=BOOL)]
        nodes.append(choose)
    else:
        weights["c"] = np.array(condition)
    return build.summary(build.model(nodes, {"x": [2, 8]}, ["y"], weights))


@pytest.mark.parametrize(("condition", "columns"), [(None, 9), (True, 3), (False, 9)])
def test_if_counts_the_branch_taken_or_the_larger(condition, columns: int, build) -> None:
    assert conditional(build, condition).flops == 2 * 2 * 8 * columns


def test_the_inside_of_a_branch_adds_to_the_peak(build) -> None:
    summary = conditional(build, True)
    # x (2, 8), h (2, 3), o and y: scalars
    assert summary.peak_activation_bytes == 4 * (16 + 6 + 1 + 1)


def loop(build, *, limit: Any, stop_when_negative: bool = False, grows: bool = False) -> Any:
    body_nodes = [node("MatMul", ["s", "w"], ["s1"])]
    if grows:
        body_nodes = [node("Concat", ["s", "s"], ["s1"], axis=0)]
    if stop_when_negative:
        body_nodes.append(node("ReduceMax", ["s1"], ["m"], keepdims=0))
        body_nodes.append(node("Cast", ["m"], ["c1"], to=BOOL))
    else:
        body_nodes.append(node("Identity", ["c"], ["c1"]))
    body_nodes.append(node("Identity", ["s1"], ["each"]))
    body = helper.make_graph(
        body_nodes,
        "b",
        [info("i", INT64, []), info("c", BOOL, []), info("s", FLOAT, None)],
        [onnx.ValueInfoProto(name=n) for n in ("c1", "s1", "each")],
    )
    nodes = [node("Loop", ["n", "", "x"], ["last", "all"], body=body)]
    weights = {"w": np.zeros((8, 8), np.float32)}
    inputs: dict[str, Any] = {"x": [2, 8]}
    if limit is None:
        nodes.insert(0, node("ReduceMax", ["x"], ["m"], keepdims=0))
        nodes.insert(1, node("Cast", ["m"], ["n"], to=INT64))
    else:
        weights["n"] = np.array(limit)
    return build.summary(build.model(nodes, inputs, ["last", "all"], weights))


def test_a_loop_with_a_known_trip_count_is_its_body_so_many_times(build) -> None:
    summary = loop(build, limit=7)
    assert summary.flops == 7 * 2 * 2 * 8 * 8
    assert summary.outputs[1].shape == (7, 2, 8)
    assert summary.uncounted == ()


@pytest.mark.parametrize("options", [{"limit": None}, {"limit": 7, "stop_when_negative": True}])
def test_a_loop_that_data_may_end_is_uncounted(options: dict[str, Any], build) -> None:
    summary = loop(build, **options)
    assert summary.operators[-1].flops is None
    assert "trip count unknown" in {u.reason for u in summary.uncounted}


def test_a_loop_whose_state_grows_is_uncounted(build) -> None:
    summary = loop(build, limit=7, grows=True)
    assert summary.operators[-1].flops is None
    assert {u.kind for u in summary.uncounted} >= {"Loop", "Concat"}


def test_a_scan_is_its_body_times_the_scanned_length(build) -> None:
    body = helper.make_graph(
        [
            node("MatMul", ["row", "w"], ["h"]),
            node("Add", ["h", "s"], ["s1"]),
            node("Identity", ["s1"], ["o"]),
        ],
        "b",
        [info("s", FLOAT, None), info("row", FLOAT, None)],
        [onnx.ValueInfoProto(name=n) for n in ("s1", "o")],
    )
    scan = node("Scan", ["zero", "x"], ["last", "all"], body=body, num_scan_inputs=1)
    weights = {"w": np.zeros((8, 8), np.float32), "zero": np.zeros((2, 8), np.float32)}
    model = build.model([scan], {"x": [11, 2, 8]}, ["last", "all"], weights)
    summary = build.summary(model)
    assert summary.flops == 11 * 2 * 2 * 8 * 8
    assert summary.elementwise_flops == 11 * 16
    assert summary.outputs[1].shape == (11, 2, 8)


def test_local_functions_appear_operator_by_operator_with_their_attributes(build) -> None:
    inner = node("Softmax", ["a"], ["s"])
    inner.attribute.add(name="axis", ref_attr_name="along", type=onnx.AttributeProto.INT)
    function = helper.make_function(
        "local",
        "Head",
        ["a", "w"],
        ["b"],
        [node("MatMul", ["s", "w"], ["b"]), inner][::-1],
        [helper.make_opsetid("", 21)],
        attributes=["along"],
    )
    call = node("Head", ["x", "w"], ["y"], domain="local", name="head", along=1)
    model = build.model(
        [call],
        {"x": [2, 8]},
        ["y"],
        {"w": np.zeros((8, 3), np.float32)},
        domains=("local",),
        functions=[function],
    )
    summary = build.summary(model)
    assert [o.kind for o in summary.operators] == ["Softmax", "MatMul"]
    assert all(o.name.startswith("head/") for o in summary.operators)
    assert summary.flops == 2 * 2 * 8 * 3
    assert summary.num_parameters == 24
    assert summary.outputs[0].shape == (2, 3)


def test_malformed_control_flow_is_named_and_does_not_crash(build) -> None:
    empty = helper.make_graph([], "b", [], [])
    hostile = [
        node("If", ["x"], ["a"]),
        node("Loop", [], ["b"], body=empty),
        node("Scan", ["x"], ["c"], body=empty, num_scan_inputs=-3),
        node("Scan", ["x"], ["d"], num_scan_inputs="many"),
    ]
    summary = build.summary(build.model(hostile, {"x": [2]}, ["a", "b", "c", "d"]))
    assert [o.flops for o in summary.operators] == [None] * 4

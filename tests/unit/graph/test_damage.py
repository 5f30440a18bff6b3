"""Files damaged at random are read or refused; nothing else ever comes out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fitwright.errors import ModelRefused
from fitwright.graph.summary import summarize

node = helper.make_node
info = helper.make_tensor_value_info


@pytest.fixture(scope="session")
def whole(shared_build) -> bytes:
    """A small model with a loop, a function, computed shapes and several rules."""
    body = helper.make_graph(
        [node("Identity", ["c"], ["c1"]), node("MatMul", ["s", "w"], ["s1"])],
        "b",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []), info("s", 1, None)],
        [onnx.ValueInfoProto(name=n) for n in ("c1", "s1")],
    )
    function = helper.make_function(
        "l", "F", ["a"], ["b"], [node("Softmax", ["a"], ["b"])], [helper.make_opsetid("", 21)]
    )
    nodes = [
        node("Loop", ["n", "", "x"], ["h"], body=body),
        node("F", ["h"], ["h2"], domain="l"),
        node("Shape", ["h2"], ["sh"]),
        node("Reshape", ["h2", "sh"], ["h3"]),
        node("Einsum", ["h3", "w"], ["h4"], equation="ab,bc->ac"),
        node("Unsqueeze", ["h4", "ax"], ["h5"]),
        node("Conv", ["h5", "k"], ["y"], pads=[1, 1]),
    ]
    weights = {
        "w": np.zeros((4, 4), np.float32),
        "n": np.array(3),
        "ax": np.array([1]),
        "k": np.zeros((2, 1, 3), np.float32),
    }
    model: onnx.ModelProto = shared_build.model(
        nodes, {"x": ["b", 4]}, ["y"], weights, domains=("l",), functions=[function]
    )
    assert shared_build.summary(model).uncounted == ()
    return bytes(model.SerializeToString())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_ends_in_a_summary_or_a_refusal(shared_build, whole, data) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["set", "cut", "repeat"])):
            case "set":
                damaged[at] = data.draw(st.integers(0, 255))
            case "cut":
                del damaged[at : min(at + data.draw(st.integers(1, 8)), len(damaged) - 1)]
            case "repeat":
                damaged[at:at] = damaged[at : at + data.draw(st.integers(1, 30))]
    path = shared_build.folder / "damaged.onnx"
    path.write_bytes(damaged)
    try:
        summarize(path, shapes={}, batch=1)
    except ModelRefused as refusal:
        assert refusal.code.startswith("FW2")
        assert len(str(refusal).splitlines()) <= 8

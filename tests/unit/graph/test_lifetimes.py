"""When activations live, and the peak that follows."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

node = helper.make_node


def test_a_chain_keeps_two_buffers_alive(build) -> None:
    nodes = [node("Relu", [f"h{i}"], [f"h{i + 1}"]) for i in range(5)]
    summary = build.summary(build.model(nodes, {"h0": [100]}, ["h5"]))
    assert summary.peak_activation_bytes == 2 * 400
    assert [(t.name, t.first, t.last) for t in summary.lifetimes][:3] == [
        ("h0", 0, 0),
        ("h1", 0, 1),
        ("h2", 1, 2),
    ]


def test_a_residual_keeps_its_input_until_it_is_added(build) -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Add", ["x", "b"], ["y"]),
    ]
    summary = build.summary(build.model(nodes, {"x": [100]}, ["y"]))
    assert summary.peak_activation_bytes == 3 * 400


def test_a_view_shares_the_buffer_it_looks_at(build) -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Reshape", ["a", "shape"], ["v"]),
        node("Relu", ["v"], ["y"]),
    ]
    model = build.model(nodes, {"x": [100]}, ["y"], {"shape": np.array([10, 10])})
    summary = build.summary(model)
    assert {t.name: (t.first, t.last) for t in summary.lifetimes}["a"] == (0, 2)
    assert "v" not in {t.name for t in summary.lifetimes}
    assert summary.peak_activation_bytes == 2 * 400


def test_weights_have_no_lifetime(build) -> None:
    model = build.model(
        [node("Add", ["x", "w"], ["y"])], {"x": [4]}, ["y"], {"w": np.zeros(4, np.float32)}
    )
    assert {t.name for t in build.summary(model).lifetimes} == {"x", "y"}


def test_an_output_made_early_lives_to_the_end(build) -> None:
    nodes = [node("Relu", ["x"], ["early"]), *(node("Relu", [s], [t]) for s, t in ["xa", "ab"])]
    summary = build.summary(build.model(nodes, {"x": [4]}, ["early", "b"]))
    assert {t.name: t.last for t in summary.lifetimes}["early"] == 2


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12),
    size=st.integers(1, 50),
)
def test_the_peak_lies_between_its_bounds_for_any_graph(shared_build, reads, size) -> None:
    """At least what one operator touches, at most everything at once; rechecked point by point."""
    nodes = [
        node("Add", [f"h{a % (i + 1)}", f"h{b % (i + 1)}"], [f"h{i + 1}"])
        for i, (a, b) in enumerate(reads)
    ]
    last = f"h{len(reads)}"
    summary = shared_build.summary(shared_build.model(nodes, {"h0": [size]}, [last]))
    touched = max(4 * size * len({*n.input, *n.output}) for n in nodes)
    total = sum(t.bytes for t in summary.lifetimes)
    assert touched <= summary.peak_activation_bytes <= total
    at_each = [
        sum(t.bytes for t in summary.lifetimes if t.first <= i <= t.last) for i in range(len(nodes))
    ]
    assert summary.peak_activation_bytes == max(at_each)

"""Chains of reshapes and transposes: any chain, done by fewer operators, moves the same."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.graph.rewrite.edit import Tally
from fitwright.graph.rewrite.views import View, merge_views, view
from rewriting_proof import Rewritten

SHAPES = [
    shape
    for rank in (1, 2, 3, 4)
    for shape in itertools.product((1, 2, 3, 4, 6, 12), repeat=rank)
    if math.prod(shape) == 12
]


def plain(shape: tuple[int, ...]) -> View:
    value = ir.Value(name="x", shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
    found = view(value)
    assert found is not None
    return found


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[str, tuple[int, ...]]]]:
    shape = draw(st.sampled_from(SHAPES))
    start, steps = shape, []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            shape = draw(st.sampled_from(SHAPES))
            steps.append(("Reshape", shape))
        else:
            perm = tuple(draw(st.permutations(range(len(shape)))))
            shape = tuple(shape[axis] for axis in perm)
            steps.append(("Transpose", perm))
    return start, steps


def done(array: np.ndarray, steps) -> np.ndarray:
    for kind, numbers in steps:
        array = array.reshape(numbers) if kind == "Reshape" else array.transpose(numbers)
    return array


@given(chains())
def test_the_fewest_steps_move_every_element_to_the_same_place(chain) -> None:
    start, steps = chain
    found: View | None = plain(start)
    for kind, numbers in steps:
        assert found is not None
        found = found.transposed(numbers) if kind == "Transpose" else found.reshaped(numbers)
        if found is None:
            return  # a factor that cannot be split so: such a chain is left alone
    assert found is not None
    array = np.arange(12).reshape(start)
    np.testing.assert_array_equal(done(array, found.steps()), done(array, steps))
    assert len(found.steps()) <= 3


def merged(model: ir.Model) -> Tally:
    tally = Tally()
    merge_views(model.graph, tally)
    return tally


NUMBERS = {
    "four": np.asarray([1, 6, 2, 4], np.int64),
    "three": np.asarray([-1, 6, 4], np.int64),
    "back": np.asarray([1, 2, 4, 6], np.int64),
    "flat": np.asarray([1, 6, 8], np.int64),
}


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("a = Transpose<perm=[0,2,1]>(x) b = Transpose<perm=[0,2,1]>(a) y = Relu(b)", ["Relu"]),
        (
            """a = Reshape(x, four) b = Transpose<perm=[0,2,1,3]>(a) c = Reshape(b, three)
            d = Transpose<perm=[0,2,1]>(c) e = Reshape(d, back) y = Relu(e)""",
            ["Reshape", "Transpose", "Relu"],
        ),
        (
            """a = Reshape(x, four) b = Transpose<perm=[0,2,1,3]>(a)
            c = Transpose<perm=[0,2,1,3]>(b) d = Reshape(c, flat) y = Relu(d)""",
            ["Relu"],
        ),
        ("a = Transpose<perm=[0,2,1]>(x) y = Relu(a)", ["Transpose", "Relu"]),
    ],
    ids=["there and back", "keys of an attention", "heads there and back", "one alone"],
)
def test_chains_of_exporters(rewritten: Rewritten, body: str, left: list[str]) -> None:
    made = "1,2,4,6" if "back" in body else "1,8,6" if len(left) == 2 else "1,6,8"
    text = f"g (float[1,6,8] x) => (float[{made}] y) {{ {body} }}"
    found = rewritten(text, merged, weights=NUMBERS)
    assert found.kinds == left
    assert found.distance == 0.0  # exact: elements are moved, not computed


def test_an_intermediate_that_others_read_is_kept_for_them(rewritten: Rewritten) -> None:
    text = """g (float[1,6,8] x) => (float[1,6,8] y, float[1,8,6] z) {
      a = Transpose<perm=[0,2,1]>(x) b = Transpose<perm=[0,2,1]>(a) y = Relu(b) z = Neg(a) }"""
    found = rewritten(text, merged)
    assert sorted(found.kinds) == ["Neg", "Relu", "Transpose"]
    assert found.distance == 0.0  # exact: elements are moved, not computed

"""Operators that do nothing, constants, branches, scales; and what only looks like them."""

from __future__ import annotations

import numpy as np
import pytest

from fitwright.graph.rewrite.simplify import simplify
from rewriting_proof import CLOSE, Rewritten

DRAW = np.random.default_rng(7)
W = {
    "w": DRAW.normal(size=(8, 4)).astype(np.float32),
    "k": DRAW.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "bias": DRAW.normal(size=4).astype(np.float32),
    "per": np.asarray([1, 2, 3, 4], np.float32),
    "perc": np.asarray([1, 2, 3, 4], np.float32).reshape(1, 4, 1, 1),
    "perh": DRAW.normal(size=(1, 1, 6, 1)).astype(np.float32),
    "pos": np.asarray([1, 2, 3, 4], np.float32),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "zero": np.float32(0),
    "zeros": np.zeros((8,), np.float32),
    "grow": np.zeros((2, 5, 8), np.float32),
    "yes": np.ones((5, 8), bool),
    "true": np.asarray(True),
    "shape": np.asarray([5, 8], np.int64),
}


def plain(body: str, shape: str = "5,8") -> str:
    return f"g (float[5,8] x) => (float[{shape}] y) {{ {body} }}"


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("a = Identity(x) b = Add(a, zeros) y = Relu(b)", ["Relu"]),
        ("a = Mul(one, x) b = Div(a, one) c = Sub(b, zero) y = Relu(c)", ["Relu"]),
        ("a = Expand(x, shape) y = Relu(a)", ["Relu"]),
        ("a = Cast<to=11>(x) b = Cast<to=1>(a) y = Relu(b)", ["Relu"]),
        ("a = Where(yes, x, zero) y = Relu(a)", ["Relu"]),
        ("s = Shape(x) a = Reshape(x, s) y = Relu(a)", ["Relu"]),
        ("a = Mul(x, half) b = Mul(a, half) y = Relu(b)", ["Mul", "Relu"]),
        ("h = Add(half, half) a = Mul(x, h) y = Relu(a)", ["Relu"]),
    ],
)
def test_what_does_nothing_goes(rewritten: Rewritten, body: str, left: list[str]) -> None:
    found = rewritten(plain(body), simplify, weights=W)
    assert found.kinds == left
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("a = Sub(zero, x) y = Relu(a)", "Sub"),
        ("a = Div(one, x) y = Relu(a)", "Div"),
        ("a = Cast<to=6>(x) b = Cast<to=1>(a) y = Relu(b)", "Cast"),
        ("a = Mul(x, half) c = Neg(a) b = Mul(a, half) d = Add(b, c) y = Relu(d)", "Neg"),
    ],
    ids=["0 - x", "1 / x", "a cast that rounds", "a product read twice"],
)
def test_what_does_something_stays(rewritten: Rewritten, body: str, kept: str) -> None:
    found = rewritten(plain(body), simplify, weights=W)
    assert kept in found.kinds
    assert found.distance < CLOSE


def test_adding_zeros_that_widen_the_shape_is_not_nothing(rewritten: Rewritten) -> None:
    text = "g (float[5,8] x) => (float[2,5,8] y) { a = Add(x, grow) y = Relu(a) }"
    assert not rewritten(text, simplify, weights=W).tally.modified


@pytest.mark.parametrize("factor", ["half", "per"])
def test_scales_after_a_product_go_into_its_weight(rewritten: Rewritten, factor: str) -> None:
    body = f"p = MatMul(x, w) s = Mul(p, {factor}) y = Relu(s)"
    found = rewritten(plain(body, "5,4"), simplify, weights=W)
    assert found.kinds == ["MatMul", "Relu"]
    assert found.distance < CLOSE


def test_the_weight_of_another_reader_keeps_its_values(rewritten: Rewritten) -> None:
    body = "p = MatMul(x, w) s = Mul(p, half) q = MatMul(x, w) z = Sub(s, q) y = Relu(z)"
    found = rewritten(plain(body, "5,4"), simplify, weights=W)
    assert found.kinds == ["MatMul", "MatMul", "Sub", "Relu"]
    assert found.distance < CLOSE


def test_a_factor_per_row_stays(rewritten: Rewritten) -> None:
    text = """g (float[1,2,6,8] x) => (float[1,2,6,4] y) {
      p = MatMul(x, w) s = Mul(p, perh) y = Relu(s) }"""
    assert not rewritten(text, simplify, weights=W).tally.modified


CONV = "c = Conv<pads=[1,1,1,1]>(x, k{bias}) "


@pytest.mark.parametrize("bias", ["", ", bias"])
@pytest.mark.parametrize(
    "body",
    [
        "n = BatchNormalization<epsilon=0.001>(c, per, bias, bias, pos) y = Relu(n)",
        "n = Mul(c, perc) y = Relu(n)",
        "n = Div(c, half) y = Relu(n)",
        "n = Add(c, perc) y = Relu(n)",
        "n = Mul(c, perc) m = Add(n, perc) y = Relu(m)",
    ],
)
def test_what_follows_a_convolution_goes_into_it(
    rewritten: Rewritten, body: str, bias: str
) -> None:
    text = f"g (float[1,3,6,6] x) => (float[1,4,6,6] y) {{ {CONV.format(bias=bias)} {body} }}"
    found = rewritten(text, simplify, weights=W)
    assert found.kinds == ["Conv", "Relu"]
    assert found.distance < CLOSE


@pytest.mark.parametrize("alone", [True, False])
def test_a_convolution_that_others_read_is_not_scaled(rewritten: Rewritten, alone: bool) -> None:
    last = "y = Relu(n)" if alone else "m = Neg(c) o = Add(n, m) y = Relu(o)"
    body = f"{CONV.format(bias='')} n = Mul(c, perc) {last}"
    found = rewritten(
        f"g (float[1,3,6,6] x) => (float[1,4,6,6] y) {{ {body} }}", simplify, weights=W
    )
    assert ("Mul" in found.kinds) is not alone
    assert found.distance < CLOSE


def test_a_gemm_takes_the_scale_and_the_addition(rewritten: Rewritten) -> None:
    body = "p = Gemm(x, w, bias) s = Mul(p, per) a = Add(s, bias) y = Relu(a)"
    found = rewritten(plain(body, "5,4"), simplify, weights=W)
    assert found.kinds == ["Gemm", "Relu"]
    assert found.distance < CLOSE


def test_a_branch_that_a_constant_decides_is_inlined(rewritten: Rewritten) -> None:
    body = """i = If (true) <
      then_branch = t () => (float[5,8] a) { a = Add(x, half) },
      else_branch = e () => (float[5,8] c) { c = Sub(x, half) }
    > y = Relu(i)"""
    found = rewritten(plain(body), simplify, weights=W)
    assert found.kinds == ["Add", "Relu"]
    assert found.distance < CLOSE


def test_a_large_result_stays_computed(rewritten: Rewritten) -> None:
    text = """g (float[1] x) => (float[600,600] y) {
      r = Expand(half, big) n = Neg(r) y = Add(n, x) }"""
    found = rewritten(text, simplify, weights=W | {"big": np.asarray([600, 600], np.int64)})
    assert not found.tally.modified

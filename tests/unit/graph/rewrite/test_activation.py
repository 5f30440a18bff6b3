"""Activations in the forms that exporters write, and near misses."""

from __future__ import annotations

import numpy as np
import pytest

from fitwright.graph.rewrite.activation import fuse_activation
from rewriting_proof import CLOSE, Rewritten

NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "six": 6.0,
    "sixth": 1 / 6,
    "zero": 0.0,
    "root": np.sqrt(2.0),
    "inverse": np.sqrt(0.5),
    "slope": np.sqrt(2 / np.pi),
    "cubic": 0.044715,
}
WEIGHTS = {name: np.float32(value) for name, value in NUMBERS.items()}


def graph(body: str) -> str:
    return f"g (float[3,40] x) => (float[3,40] y) {{ {body} }}"


TANH = "p = Pow(x, three) c = Mul(p, cubic) a = Add(x, c) s = Mul(a, slope) t = Tanh(s)"


@pytest.mark.parametrize(
    "body",
    [
        "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)",
        "d = Mul(inverse, x) e = Erf(d) a = Add(one, e) m = Mul(half, a) y = Mul(x, m)",
        "h = Mul(x, half) d = Div(x, root) e = Erf(d) a = Add(e, one) y = Mul(h, a)",
        "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(a, x) y = Div(m, two)",
        TANH + " a1 = Add(t, one) h = Mul(x, half) y = Mul(h, a1)",
        TANH.replace("Pow(x, three)", "Mul(x, q)").replace("p =", "q = Mul(x, x) p =")
        + " a1 = Add(one, t) m = Mul(x, a1) y = Mul(m, half)",
    ],
    ids=["torch", "dynamo", "half first", "halved", "tanh", "cube as products"],
)
def test_every_form_of_gelu_becomes_one_operator(rewritten: Rewritten, body: str) -> None:
    found = rewritten(graph(body), fuse_activation, weights=WEIGHTS)
    assert found.kinds == ["Gelu"]
    assert found.distance < CLOSE
    assert found.model.opset_import[0].version == 20


@pytest.mark.parametrize(
    "body",
    [
        "a = Add(x, three) c = Clip(a, zero, six) d = Div(c, six) y = Mul(x, d)",
        "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Mul(m, sixth)",
        "s = HardSigmoid<alpha=0.16666667, beta=0.5>(x) y = Mul(s, x)",
    ],
)
def test_hard_swish(rewritten: Rewritten, body: str) -> None:
    found = rewritten(graph(body), fuse_activation, weights=WEIGHTS)
    assert found.kinds == ["HardSwish"]
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    "body",
    [
        "d = Div(x, two) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)",
        "d = Div(x, root) e = Erf(d) a = Add(e, half) m = Mul(x, a) y = Mul(m, half)",
        "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(e, a) y = Mul(m, half)",
        "s = HardSigmoid<alpha=0.2, beta=0.5>(x) y = Mul(s, x)",
        "s = HardSigmoid(x) y = Mul(s, x)",
        "a = Add(x, three) c = Clip(a, one, six) d = Div(c, six) y = Mul(x, d)",
        TANH.replace("Pow(x, three)", "Pow(x, two)")
        + " a1 = Add(t, one) h = Mul(x, half) y = Mul(h, a1)",
    ],
    ids=[
        "other root",
        "other sum",
        "other factor",
        "other slope",
        "default",
        "other bound",
        "square",
    ],
)
def test_near_misses_stay(rewritten: Rewritten, body: str) -> None:
    assert not rewritten(graph(body), fuse_activation, weights=WEIGHTS).tally.modified


def test_a_part_that_is_needed_elsewhere_keeps_the_whole(rewritten: Rewritten) -> None:
    text = """g (float[3,40] x) => (float[3,40] y, float[3,40] e) {
      d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half) }"""
    found = rewritten(text, fuse_activation, weights=WEIGHTS)
    assert not found.tally.modified
    assert found.tally.left == {"a Gelu whose parts are needed elsewhere": 1}


def test_an_old_opset_is_named_and_left(rewritten: Rewritten) -> None:
    body = "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)"
    found = rewritten(graph(body), fuse_activation, weights=WEIGHTS, opset=11)
    assert found.tally.left == {
        "the opset cannot be raised to 20: its opset 11 is older than 13": 1
    }

"""Normalisations in the forms that exporters write, and near misses."""

from __future__ import annotations

import numpy as np
import pytest

from fitwright.graph.rewrite.normalization import fuse_normalization
from rewriting_proof import CLOSE, Rewritten

DRAW = np.random.default_rng(5)
WEIGHTS = {
    "w": DRAW.normal(size=16).astype(np.float32),
    "b": DRAW.normal(size=16).astype(np.float32),
    "wide": DRAW.normal(size=(1, 1, 16)).astype(np.float32),
    "rows": DRAW.normal(size=(5, 1)).astype(np.float32),
    "eps": np.float32(1e-5),
    "two": np.float32(2),
    "one": np.float32(1),
    "last": np.asarray([-1], np.int64),
    "middle": np.asarray([1], np.int64),
}

CENTRE = "m = ReduceMean(x, last) c = Sub(x, m) "
VARIANCE = "p = Pow(c, two) v = ReduceMean(p, last) e = Add(v, eps) s = Sqrt(e) "
LAYER = CENTRE + VARIANCE + "n = Div(c, s) "
RMS = "p = Pow(x, two) v = ReduceMean(p, last) e = Add(v, eps) s = Sqrt(e) "


def graph(body: str) -> str:
    return f"g (float[2,5,16] x) => (float[2,5,16] y) {{ {body} }}"


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (LAYER + "k = Mul(n, w) y = Add(k, b)", 3),
        (LAYER + "k = Mul(w, n) y = Add(b, k)", 3),
        (LAYER + "k = Mul(n, wide) y = Add(k, b)", 3),
        (LAYER + "y = Mul(n, w)", 2),
        (CENTRE + VARIANCE.replace("Pow(c, two)", "Mul(c, c)") + "y = Div(c, s)", 2),
        (CENTRE + VARIANCE + "r = Reciprocal(s) n = Mul(c, r) k = Mul(n, w) y = Add(k, b)", 3),
        (
            CENTRE + "c2 = Sub(x, m) " + VARIANCE.replace("Pow(c,", "Pow(c2,") + "y = Div(c, s)",
            2,
        ),
    ],
    ids=["usual", "turned", "wide weight", "no bias", "bare", "reciprocal", "centred twice"],
)
def test_layer_normalisation_becomes_one_operator(
    rewritten: Rewritten, body: str, inputs: int
) -> None:
    found = rewritten(graph(body), fuse_normalization, weights=WEIGHTS)
    assert found.kinds == ["LayerNormalization"]
    assert len(found.model.graph.node[0].input) == inputs
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    "body",
    [
        RMS + "n = Div(x, s) y = Mul(w, n)",
        RMS + "r = Reciprocal(s) n = Mul(x, r) y = Mul(n, w)",
        RMS + "r = Div(one, s) y = Mul(x, r)",
        RMS.replace("Pow(x, two)", "Mul(x, x)") + "y = Div(x, s)",
    ],
)
def test_root_mean_square_normalisation_becomes_one_operator(
    rewritten: Rewritten, body: str
) -> None:
    found = rewritten(graph(body), fuse_normalization, weights=WEIGHTS)
    assert found.kinds == ["RMSNormalization"]
    assert found.distance < CLOSE
    assert found.tally.changed == {"normalisation as RMSNormalization": 1}


def test_the_older_form_of_the_mean_is_read_too(rewritten: Rewritten) -> None:
    body = (LAYER + "k = Mul(n, w) y = Add(k, b)").replace(
        "ReduceMean(x, last)", "ReduceMean<axes=[-1]>(x)"
    )
    body = body.replace("ReduceMean(p, last)", "ReduceMean<axes=[2]>(p)")
    found = rewritten(graph(body), fuse_normalization, weights=WEIGHTS, opset=17)
    assert found.kinds == ["LayerNormalization"]
    assert found.distance < CLOSE


def test_a_weight_per_row_stays_outside(rewritten: Rewritten) -> None:
    found = rewritten(graph(LAYER + "y = Mul(n, rows)"), fuse_normalization, weights=WEIGHTS)
    assert found.kinds == ["LayerNormalization", "Mul"]
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (LAYER.replace("last", "middle") + "y = Mul(n, w)", "over other axes than the last"),
        (RMS + "n = Div(x, s) y = Add(n, s)", "needed elsewhere"),
    ],
)
def test_what_is_another_normalisation_stays(rewritten: Rewritten, body: str, why: str) -> None:
    found = rewritten(graph(body), fuse_normalization, weights=WEIGHTS)
    assert not found.tally.modified
    assert any(why in reason for reason in found.tally.left)


def test_a_quotient_by_something_else_is_no_normalisation(rewritten: Rewritten) -> None:
    body = CENTRE + "p = Pow(c, two) v = ReduceMean(p, last) e = Add(v, eps) y = Div(c, e)"
    found = rewritten(graph(body), fuse_normalization, weights=WEIGHTS)
    assert not found.tally.modified and not found.tally.left

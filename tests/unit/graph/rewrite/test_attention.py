"""Attention in the forms that exporters write, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from fitwright.graph.rewrite.attention import fuse_attention, plain_attention
from rewriting_proof import CLOSE, Rewritten

LOW = float(np.finfo(np.float32).min)
HEADS = np.asarray([1, 6, 2, 4], np.int64)
FLAT = np.asarray([1, 6, 8], np.int64)
SHAPES = {"heads": HEADS, "flat": FLAT}

# q, k, v of shape (1, 6, 8): 6 tokens, 2 heads of 4
SPLIT = """
  q4 = Reshape(q, heads)  qh = Transpose<perm=[0,2,1,3]>(q4)
  k4 = Reshape(k, heads)  kt = Transpose<perm=[0,2,3,1]>(k4)
  v4 = Reshape(v, heads)  vh = Transpose<perm=[0,2,1,3]>(v4)
"""
JOIN = "o4 = Transpose<perm=[0,2,1,3]>(oh)  y = Reshape(o4, flat)"
INPUTS = "float[1,6,8] q, float[1,6,8] k, float[1,6,8] v"


def graph(middle: str, *, inputs: str = INPUTS, split: str = SPLIT, join: str = JOIN) -> str:
    return f"g ({inputs}) => (float[1,6,8] y) {{ {split} {middle} {join} }}"


EAGER = "s = MatMul(qh, kt)  c = Mul(s, half)  p = Softmax<axis=-1>(c)  oh = MatMul(p, vh)"
SDPA = """
  qs = Mul(qh, root)  ks = Mul(kt, root)  s = MatMul(qs, ks)
  p = Softmax<axis=-1>(s)  n = IsNaN(p)  g = Where(n, zero, p)  oh = MatMul(g, vh)
"""
NUMBERS = {
    "half": np.float32(0.5),
    "two": np.float32(2.0),
    "root": np.float32(np.sqrt(0.5)),
    "zero": np.float32(0.0),
}


@pytest.mark.parametrize(
    "middle",
    [
        EAGER,
        EAGER.replace("Mul(s, half)", "Mul(half, s)"),
        EAGER.replace("Mul(s, half)", "Div(s, two)"),
        SDPA,
        "qs = Div(qh, two)  s = MatMul(qs, kt)  p = Softmax<axis=3>(s)  oh = MatMul(p, vh)",
        "s = MatMul(qh, kt)  p = Softmax<axis=-1>(s)  oh = MatMul(p, vh)",
    ],
    ids=["eager", "number first", "divided", "sdpa with guard", "query divided", "no scale"],
)
def test_the_exporters_forms_become_one_operator_without_a_transpose(
    rewritten: Rewritten, middle: str
) -> None:
    found = rewritten(graph(middle), fuse_attention, weights=SHAPES | NUMBERS)
    assert found.tally.changed == {"attention as one operator": 1}
    assert found.kinds == ["Attention"]
    assert found.distance < CLOSE
    assert found.model.opset_import[0].version == 23


CAUSAL = np.where(np.tril(np.ones((6, 6), bool)), 0.0, LOW).astype(np.float32)
SEEN = np.tril(np.ones((1, 1, 6, 6), bool))


@pytest.mark.parametrize("mask", [CAUSAL, CAUSAL[None, None], CAUSAL[None, None, :1]])
def test_a_constant_mask_is_handed_over_in_four_axes(rewritten: Rewritten, mask) -> None:
    middle = EAGER.replace("Softmax<axis=-1>(c)", "Softmax<axis=-1>(m)").replace(
        "p =", "m = Add(c, mask)  p ="
    )
    found = rewritten(graph(middle), fuse_attention, weights=SHAPES | NUMBERS | {"mask": mask})
    assert found.kinds[-1] == "Attention"
    assert found.distance < CLOSE


def test_a_mask_of_zeros_is_left_away(rewritten: Rewritten) -> None:
    middle = EAGER.replace("p = Softmax<axis=-1>(c)", "m = Add(mask, c) p = Softmax<axis=-1>(m)")
    weights = SHAPES | NUMBERS | {"mask": np.zeros((1, 1, 6, 6), np.float32)}
    found = rewritten(graph(middle), fuse_attention, weights=weights)
    assert len(found.model.graph.node[-1].input) == 3
    assert found.distance < CLOSE


@pytest.mark.parametrize("low", [LOW, -np.inf, -1e9])
def test_a_causal_mask_put_in_by_where_becomes_an_added_one(rewritten: Rewritten, low) -> None:
    middle = EAGER.replace(
        "p = Softmax<axis=-1>(c)", "m = Where(seen, c, low) p = Softmax<axis=-1>(m)"
    )
    weights = SHAPES | NUMBERS | {"seen": SEEN, "low": np.float32(low)}
    found = rewritten(graph(middle), fuse_attention, weights=weights)
    assert found.tally.changed == {"attention as one operator": 1}
    assert found.distance < CLOSE


MASKED_BY_INPUT = "b = Cast<to=9>(mask)  a = Where(b, zero, low) c = Mul(s0, half) m = Add(c, a)"


@pytest.mark.parametrize(
    "visible", [np.ones((1, 1, 1, 6)), np.asarray([[[[1, 1, 1, 0, 0, 0]]]])], ids=["all", "half"]
)
def test_a_mask_from_an_input_is_kept_as_an_input(rewritten: Rewritten, visible) -> None:
    middle = f"s0 = MatMul(qh, kt) {MASKED_BY_INPUT} p = Softmax<axis=-1>(m) oh = MatMul(p, vh)"
    draw = np.random.default_rng(1)
    feeds = {n: draw.normal(size=(1, 6, 8)).astype(np.float32) for n in "qkv"}
    feeds["mask"] = visible.astype(np.int64)
    found = rewritten(
        graph(middle, inputs=INPUTS + ", int64[1,1,1,6] mask"),
        fuse_attention,
        weights=SHAPES | NUMBERS | {"low": np.float32(LOW)},
        feeds=[feeds],
    )
    assert found.tally.changed == {"attention as one operator": 1}
    assert found.distance < CLOSE


def guarded(low: float) -> tuple[str, dict[str, object]]:
    middle = f"""s0 = MatMul(qh, kt) {MASKED_BY_INPUT} p = Softmax<axis=-1>(m)
      n = IsNaN(p) g = Where(n, zero, p) oh = MatMul(g, vh)"""
    text = graph(middle, inputs=INPUTS + ", int64[1,1,1,6] mask")
    return text, SHAPES | NUMBERS | {"low": np.float32(low)}


def test_a_guard_after_a_finite_mask_is_dead(rewritten: Rewritten) -> None:
    text, weights = guarded(LOW)
    found = rewritten(text, fuse_attention, weights=weights)
    assert found.tally.changed == {"attention as one operator": 1}
    assert "IsNaN" not in found.kinds


def test_a_row_hidden_by_minus_infinity_stays_zero(rewritten: Rewritten) -> None:
    text, weights = guarded(-np.inf)
    draw = np.random.default_rng(1)
    feeds = {n: draw.normal(size=(1, 6, 8)).astype(np.float32) for n in "qkv"}
    hidden = feeds | {"mask": np.zeros((1, 1, 1, 6), np.int64)}
    partly = feeds | {"mask": np.asarray([[[[1, 1, 0, 0, 0, 0]]]], np.int64)}
    found = rewritten(text, fuse_attention, weights=weights, feeds=[hidden, partly])
    assert found.tally.changed == {"attention as one operator": 1}
    assert "IsNaN" not in found.kinds
    assert found.distance < CLOSE


def test_heads_without_a_batch_are_fused_too(rewritten: Rewritten) -> None:
    text = """g (float[2,6,4] q, float[2,6,4] k, float[2,6,4] v) => (float[2,6,4] y) {
      kt = Transpose<perm=[0,2,1]>(k) s = MatMul(q, kt) c = Mul(s, half)
      p = Softmax<axis=-1>(c) y = MatMul(p, v) }"""
    found = rewritten(text, fuse_attention, weights=NUMBERS)
    assert found.tally.changed == {"attention as one operator": 1}
    assert found.distance < CLOSE
    assert found.model.graph.output[0].name == "y"


def test_queries_of_another_length_than_keys(rewritten: Rewritten) -> None:
    text = """g (float[1,2,3,4] q, float[1,2,7,4] k, float[1,2,7,5] v) => (float[1,2,3,5] y) {
      kt = Transpose<perm=[0,1,3,2]>(k) s = MatMul(q, kt) c = Mul(s, half)
      p = Softmax<axis=-1>(c) y = MatMul(p, v) }"""
    found = rewritten(text, fuse_attention, weights=NUMBERS)
    assert found.kinds.count("Attention") == 1
    assert found.distance < CLOSE


PLAIN = "s = MatMul(qh, kt)  c = Mul(s, half)  p = Softmax<axis=-1>(c)  oh = MatMul(p, vh)"


@pytest.mark.parametrize(
    ("middle", "why"),
    [
        (PLAIN.replace("axis=-1", "axis=2"), "another axis than the keys"),
        (PLAIN.replace("Mul(s, half)", "Mul(s, minus)"), "not above 0"),
        (
            "s = MatMul(qh, kt)  m = Add(s, mask)  c = Mul(m, half)"
            "  p = Softmax<axis=-1>(c)  oh = MatMul(p, vh)",
            "scaled after the mask",
        ),
        (
            "s = MatMul(qh, kt)  c = Tanh(s)  p = Softmax<axis=-1>(c)  oh = MatMul(p, vh)",
            "something else",
        ),
        (PLAIN + "  t = ReduceMax<keepdims=0>(p)  oh2 = Add(oh, t)", "straight into one product"),
        (PLAIN + "  t = ReduceMax<keepdims=0>(c)  oh2 = Add(oh, t)", "read elsewhere"),
    ],
    ids=["axis", "negative", "scaled mask", "capped", "weights read", "scores read"],
)
def test_what_only_looks_like_attention_stays(rewritten: Rewritten, middle: str, why: str) -> None:
    join = JOIN.replace("(oh)", "(oh2)") if "oh2" in middle else JOIN
    weights = SHAPES | NUMBERS | {"minus": np.float32(-1), "mask": CAUSAL}
    found = rewritten(graph(middle, join=join), fuse_attention, weights=weights)
    assert not found.tally.modified
    (reason,) = found.tally.left
    assert why in reason


def test_an_opset_that_cannot_be_raised_is_named(rewritten: Rewritten) -> None:
    grid = "gs = GridSample(image, grid)"
    inputs = INPUTS + ", float[1,1,4,4] image, float[1,2,2,2] grid"
    text = graph(PLAIN + grid, inputs=inputs).replace(
        "(float[1,6,8] y)", "(float[1,6,8] y, float[1,1,2,2] gs)"
    )
    found = rewritten(text, fuse_attention, weights=SHAPES | NUMBERS)
    assert not found.tally.modified
    assert "GridSample means something else" in next(iter(found.tally.left))


def test_reductions_and_splits_are_written_in_their_new_form(rewritten: Rewritten) -> None:
    more = "a, b = Split<axis=2>(q) z = ReduceMean<axes=[1], keepdims=0>(a)"
    text = graph(PLAIN + more).replace("(float[1,6,8] y)", "(float[1,6,8] y, float[1,4] z)")
    found = rewritten(text, fuse_attention, weights=SHAPES | NUMBERS, opset=17)
    assert found.tally.modified
    assert found.distance < CLOSE


PRODUCTS = ["MatMul", "Mul", "Softmax", "MatMul"]
MASKED = ["MatMul", "Mul", "Add", "Softmax", "MatMul"]


def core(kinds: list[str]) -> list[str]:
    """Without the layouts of operands and result, and without what makes the mask."""
    first = kinds.index("MatMul")
    inner = [k for k in kinds[first:] if k not in ("Reshape", "Transpose", "Cast", "Where")]
    return [k for k in inner if k != "Expand"]


def test_detours_are_taken_out_and_the_scale_is_put_in_one_place(rewritten: Rewritten) -> None:
    found = rewritten(graph(SDPA), plain_attention, weights=SHAPES | NUMBERS)
    assert found.tally.changed == {"attention in its plain form": 1}
    assert core(found.kinds) == PRODUCTS
    assert found.distance < CLOSE


def test_attention_in_its_plain_form_stays(rewritten: Rewritten) -> None:
    found = rewritten(graph(EAGER), plain_attention, weights=SHAPES | NUMBERS)
    assert found.tally.changed == {}
    assert found.tally.left == {"attention in its plain form already": 1}


def test_a_plain_attention_adds_its_masks_once_and_has_no_guard(rewritten: Rewritten) -> None:
    text, weights = guarded(LOW)
    found = rewritten(text, plain_attention, weights=weights)
    assert core(found.kinds) == MASKED
    assert found.distance < CLOSE


def test_a_row_hidden_by_minus_infinity_stays_zero_in_the_plain_form(rewritten: Rewritten) -> None:
    text, weights = guarded(-np.inf)
    draw = np.random.default_rng(1)
    feeds = {n: draw.normal(size=(1, 6, 8)).astype(np.float32) for n in "qkv"}
    hidden = feeds | {"mask": np.zeros((1, 1, 1, 6), np.int64)}
    partly = feeds | {"mask": np.asarray([[[[1, 1, 0, 0, 0, 0]]]], np.int64)}
    found = rewritten(text, plain_attention, weights=weights, feeds=[hidden, partly])
    assert found.tally.changed == {"attention in its plain form": 1}
    assert found.distance < CLOSE

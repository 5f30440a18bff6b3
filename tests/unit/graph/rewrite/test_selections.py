"""Rows that nobody reads are not computed; what is read of several places stays whole."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.graph.rewrite.attention import fuse_attention
from fitwright.graph.rewrite.edit import Tally
from fitwright.graph.rewrite.needs import Selection, selected
from fitwright.graph.rewrite.simplify import simplify
from rewriting_proof import CLOSE, Outcome, Rewritten, proven

DRAW = np.random.default_rng(11)
BATCH, TOKENS, WIDTH, HEADS = 2, 5, 8, 2


def normal(*shape: int) -> Any:
    return DRAW.normal(size=shape).astype(np.float32)


def ints(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


W: dict[str, Any] = {
    **{name: normal(WIDTH, WIDTH) for name in ("w", "wq", "wk", "wv", "wo", "wf")},
    "batched": normal(BATCH, WIDTH, WIDTH),
    "channels": np.abs(normal(WIDTH)) + 1,
    "per_token": normal(TOKENS, 1),
    "place_codes": normal(1, TOKENS, WIDTH),
    "mask": normal(TOKENS, TOKENS),
    "flags": normal(1, TOKENS, 1) > 0,
    "two": np.float32(2),
    "low": np.float32(-1),
    "high": np.float32(1),
    "first": np.asarray(0, np.int64),
    "last": np.asarray(-1, np.int64),
    "some": ints(3, 1),
    "from1": ints(1),
    "to3": ints(3),
    "minus1": ints(-1),
    "axis1": ints(1),
    "axis2": ints(2),
    "apart": ints(BATCH, TOKENS, HEADS, WIDTH // HEADS),
    "together": ints(BATCH, TOKENS, WIDTH),
    "grown": ints(2, BATCH, TOKENS, WIDTH),
    "front": ints(0),
}


def rows_of(found: Outcome, kind: str) -> list[tuple[int, ...]]:
    """Shapes of what the operators of a kind compute."""
    model = onnx.shape_inference.infer_shapes(found.model, strict_mode=True)
    known = {v.name: v for v in (*model.graph.value_info, *model.graph.output)}
    return [
        tuple(d.dim_value for d in known[node.output[0]].type.tensor_type.shape.dim)
        for node in model.graph.node
        if node.op_type == kind
    ]


def graph(body: str, *, shape: str = f"{BATCH},{WIDTH}") -> str:
    return f"g (float[{BATCH},{TOKENS},{WIDTH}] x) => (float[{shape}] y) {{ {body} }}"


FIRST = "y = Gather<axis=1>(t, first)"

BETWEEN = {
    "nothing": "t = Identity(p)",
    "an activation": "t = Tanh(p)",
    "a clip": "t = Clip(p, low, high)",
    "a sum with what is read whole": "t = Add(p, x)",
    "a sum over channels": "t = Mul(channels, p)",
    "a factor per token": "t = Mul(p, per_token)",
    "place codes": "t = Add(place_codes, p)",
    "a choice": "t = Where(flags, p, two)",
    "a softmax over channels": "t = Softmax<axis=-1>(p)",
    "a norm": "t = LayerNormalization(p, channels, channels)",
    "a norm written out": (
        "m = ReduceMean(p, minus1) d = Sub(p, m) q = Mul(d, d) v = ReduceMean(q, minus1) "
        "s = Sqrt(v) t = Div(d, s)"
    ),
    "a second product": "h = Relu(p) t = MatMul(h, w)",
    "a product by weights of each batch": "h = Relu(p) t = MatMul(h, batched)",
    "heads apart and together": (
        "h = Reshape(p, apart) a = Transpose<perm=[0,2,1,3]>(h) r = Relu(a) "
        "b = Transpose<perm=[0,2,1,3]>(r) t = Reshape(b, together)"
    ),
    "an axis more and less": "h = Unsqueeze(p, front) r = Relu(h) t = Squeeze(r, front)",
    "joined channels": "j = Concat<axis=2>(p, x) s = Sigmoid(j) t = ReduceSum(s, axis2)",
    "a residual": "n = Tanh(p) r = MatMul(n, wf) t = Add(p, r)",
}


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN.keys())
def test_a_product_computes_the_row_that_is_read(rewritten: Rewritten, between: str) -> None:
    out = f"{BATCH},1" if "t = ReduceSum" in between else f"{BATCH},{WIDTH}"
    found = rewritten(graph(f"p = MatMul(x, w) {between} {FIRST}", shape=out), simplify, weights=W)
    products = rows_of(found, "MatMul")
    assert products and all(math.prod(shape) == BATCH * WIDTH for shape in products)
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    ("end", "rows"),
    [
        ("y = Gather<axis=1>(t, some)", 2),
        ("y = Slice(t, from1, to3, axis1)", 2),
    ],
    ids=["two places", "a range"],
)
def test_several_rows_keep_their_order(rewritten: Rewritten, end: str, rows: int) -> None:
    text = graph(f"p = MatMul(x, w) t = Add(p, x) {end}", shape=f"{BATCH},{rows},{WIDTH}")
    found = rewritten(text, simplify, weights=W)
    assert rows_of(found, "MatMul") == [(BATCH, rows, WIDTH)]
    assert found.distance < CLOSE


def test_columns_that_are_read_come_from_a_smaller_weight(rewritten: Rewritten) -> None:
    text = graph("p = MatMul(x, w) t = Relu(p) y = Gather<axis=2>(t, some)", shape="2,5,2")
    found = rewritten(text, simplify, weights=W)
    assert rows_of(found, "MatMul") == [(BATCH, TOKENS, 2)]
    assert found.kinds == ["MatMul", "Relu"]  # the weight is cut now, not at run time
    assert found.distance < CLOSE


@pytest.mark.parametrize("turned", [0, 1])
def test_a_gemm_computes_the_row_that_is_read(rewritten: Rewritten, turned: int) -> None:
    text = f"""g (float[8,8] x) => (float[8] y) {{
      p = Gemm<transA={turned}>(x, w, channels) t = Relu(p) y = Gather(t, last) }}"""
    found = rewritten(text, simplify, weights=W)
    assert rows_of(found, "Gemm") == [(1, WIDTH)]
    assert found.distance < CLOSE


STAYS = {
    "a softmax over the tokens": "t = Softmax<axis=1>(p) y = Gather<axis=1>(t, first)",
    "a mean over the tokens": "t = ReduceMean(p, axis1) y = Gather<axis=0>(t, some01)",
    "a norm over tokens and channels": (
        "t = LayerNormalization<axis=1>(p, place) y = Gather<axis=1>(t, first)"
    ),
    "two readers of different places": (
        "a = Gather<axis=1>(p, first) b = Gather<axis=1>(p, last) y = Add(a, b)"
    ),
    "a reader of the whole": (
        "a = Gather<axis=1>(p, first) m = ReduceMax<keepdims=0>(p, axis1) y = Add(a, m)"
    ),
    "every row, in another order": (
        "t = Relu(p) a = Gather<axis=1>(t, all) y = ReduceMax<keepdims=0>(a, axis1)"
    ),
}


@pytest.mark.parametrize("rest", STAYS.values(), ids=STAYS.keys())
def test_what_is_read_otherwise_is_computed_whole(rewritten: Rewritten, rest: str) -> None:
    shape = f"{BATCH},1,{WIDTH}" if "some01" in rest else f"{BATCH},{WIDTH}"
    more = {"some01": ints(1, 0), "place": normal(TOKENS, WIDTH), "all": ints(4, 3, 2, 1, 0)}
    found = rewritten(graph(f"p = MatMul(x, w) {rest}", shape=shape), simplify, weights=W | more)
    assert rows_of(found, "MatMul") == [(BATCH, TOKENS, WIDTH)]


def test_an_output_that_is_also_selected_from_stays_whole(rewritten: Rewritten) -> None:
    text = f"""g (float[{BATCH},{TOKENS},{WIDTH}] x)
      => (float[{BATCH},{WIDTH}] y, float[{BATCH},{TOKENS},{WIDTH}] t) {{
      p = MatMul(x, w) t = Relu(p) {FIRST} }}"""
    assert rows_of(rewritten(text, simplify, weights=W), "MatMul") == [(BATCH, TOKENS, WIDTH)]


@pytest.mark.parametrize(("axes", "rows"), [("", TOKENS), (", axis2", 1)])
def test_a_squeeze_must_name_its_axes(rewritten: Rewritten, axes: str, rows: int) -> None:
    body = f"p = MatMul(x, w) m = ReduceMax(p, axis2) s = Squeeze(m{axes}) t = Relu(s) {FIRST}"
    found = rewritten(graph(body, shape=f"{BATCH}"), simplify, weights=W)
    assert rows_of(found, "MatMul") == [(BATCH, rows, WIDTH)]
    assert found.distance < CLOSE


def test_what_a_branch_reads_stays_whole(rewritten: Rewritten) -> None:
    whole = f"float[{BATCH},{TOKENS},{WIDTH}]"
    text = f"""g ({whole} x, bool c) => (float[{BATCH},{WIDTH}] y, {whole} z) {{
      p = MatMul(x, w) t = Relu(p)
      z = If(c) <then_branch = yes () => ({whole} a) {{ a = Tanh(t) }},
                 else_branch = no () => ({whole} b) {{ b = Neg(t) }}>
      {FIRST} }}"""
    assert not rewritten(text, simplify, weights=W).tally.modified


def test_a_place_known_only_at_run_time_selects_nothing_before(rewritten: Rewritten) -> None:
    text = f"""g (float[{BATCH},{TOKENS},{WIDTH}] x, int64 at) => (float[{BATCH},{WIDTH}] y) {{
      p = MatMul(x, w) t = Relu(p) y = Gather<axis=1>(t, at) }}"""
    assert not rewritten(text, simplify, weights=W).tally.modified


def test_where_no_product_gets_smaller_nothing_moves(rewritten: Rewritten) -> None:
    assert not rewritten(graph(f"t = Tanh(x) {FIRST}"), simplify, weights=W).tally.modified


def test_the_softmax_of_an_early_opset_worked_on_all_later_axes(rewritten: Rewritten) -> None:
    text = graph(f"p = MatMul(x, w) t = Softmax<axis=1>(p) {FIRST}")
    assert rows_of(rewritten(text, simplify, weights=W, opset=11), "MatMul") == [
        (BATCH, TOKENS, WIDTH)
    ]


def test_rows_of_an_early_opset_are_gathered(rewritten: Rewritten) -> None:
    found = rewritten(
        graph(f"p = MatMul(x, w) t = Add(p, x) {FIRST}"), simplify, weights=W, opset=9
    )
    assert rows_of(found, "MatMul") == [(BATCH, 1, WIDTH)]
    assert found.distance < CLOSE


LAYER = f"""g (float[{BATCH},{TOKENS},{WIDTH}] x) => (float[{BATCH},{WIDTH}] y) {{
  n = LayerNormalization(x, channels, channels)
  q0 = MatMul(n, wq) q1 = Reshape(q0, apart) q = Transpose<perm=[0,2,1,3]>(q1)
  k0 = MatMul(n, wk) k1 = Reshape(k0, apart) k = Transpose<perm=[0,2,3,1]>(k1)
  v0 = MatMul(n, wv) v1 = Reshape(v0, apart) v = Transpose<perm=[0,2,1,3]>(v1)
  s0 = MatMul(q, k) s1 = Div(s0, two) s = Add(s1, mask) p = Softmax<axis=-1>(s)
  o0 = MatMul(p, v) o1 = Transpose<perm=[0,2,1,3]>(o0) o2 = Reshape(o1, together)
  o = MatMul(o2, wo) r = Add(x, o)
  m = LayerNormalization(r, channels, channels)
  f0 = MatMul(m, w) f1 = Relu(f0) f = MatMul(f1, wf) t = Add(r, f)
  y = Gather<axis=1>(t, PLACE) }}"""


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_layer_of_which_one_token_is_read(rewritten: Rewritten, place: str) -> None:
    found = rewritten(LAYER.replace("PLACE", place), simplify, weights=W)
    sizes = [math.prod(shape) for shape in rows_of(found, "MatMul")]
    whole, one = BATCH * TOKENS * WIDTH, BATCH * WIDTH
    scores = BATCH * HEADS * TOKENS
    # keys and values of every token; scores, weighted values and three dense products of one
    assert sorted(sizes) == sorted([whole, whole, one, scores, one, one, one, one])
    assert found.distance < CLOSE
    assert found.tally.changed["product computed only where it is read"] == 6


@pytest.mark.parametrize("place", ["first", "last"])
def test_attention_of_one_query_becomes_one_operator(rewritten: Rewritten, place: str) -> None:
    def both(model: ir.Model) -> Tally:
        simplify(model)
        return fuse_attention(model)

    found = rewritten(LAYER.replace("PLACE", place), both, weights=W)
    assert found.kinds.count("Attention") == 1
    assert found.distance < CLOSE


@pytest.mark.parametrize(
    ("counts", "query", "out"),
    [
        ("q_num_heads=2,kv_num_heads=2", "2,5,8", "2,8"),
        ("", "2,2,5,4", "2,2,4"),
    ],
    ids=["tokens", "heads"],
)
@pytest.mark.parametrize(("causal", "rows"), [(0, 1), (1, TOKENS)])
def test_one_attention_operator_computes_the_query_that_is_read(
    rewritten: Rewritten, counts: str, query: str, out: str, causal: int, rows: int
) -> None:
    attributes = ",".join(filter(None, (counts, f"is_causal={causal}")))
    axis = query.count(",") - 1
    text = f"""g (float[{query}] x, float[{query}] k) => (float[{out}] y) {{
      t = Attention<{attributes}>(x, k, k, mask) y = Gather<axis={axis}>(t, last) }}"""
    found = rewritten(text, simplify, weights=W, opset=23)
    assert rows_of(found, "Attention")[0][-2] == rows
    assert found.distance < CLOSE


STEPS = {
    "relu": "Relu({0})",
    "sum": "Add({0}, x)",
    "codes": "Add({0}, place_codes)",
    "dense": "MatMul({0}, w)",
    "softmax": "Softmax<axis={axis}>({0})",
    "norm": "LayerNormalization({0}, channels, channels)",
    "mean": "ReduceMean({0}, minus1)",
    "factor": "Mul({0}, per_token)",
}


@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    softmax_axis=st.sampled_from([1, 2]),
    axis=st.sampled_from([0, 1]),
    places=st.lists(st.integers(-2, 1), min_size=1, max_size=2),
)
def test_any_chain_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[str],
    softmax_axis: int,
    axis: int,
    places: list[int],
) -> None:
    body, last = "v0 = MatMul(x, w) ", "v0"
    for at, step in enumerate(steps, start=1):
        body += f"v{at} = {STEPS[step].format(last, axis=softmax_axis)} "
        # a mean leaves one channel; what follows grows it again by the sum with x
        body += f"u{at} = Add(v{at}, x) " if step == "mean" else f"u{at} = Identity(v{at}) "
        last = f"u{at}"
    body += f"y = Gather<axis={axis}>({last}, places)"
    shape = [BATCH, TOKENS, WIDTH]
    shape[axis] = len(places)
    text = graph(body, shape=",".join(map(str, shape)))
    run = partial(proven, tmp_path_factory.mktemp("chain"))
    assert run(text, simplify, weights=W | {"places": ints(*places)}).distance < CLOSE


@given(
    size=st.integers(1, 6),
    start=st.integers(-8, 8),
    end=st.integers(-8, 8),
    step=st.integers(1, 3),
)
def test_a_slice_reads_what_numpy_reads(size: int, start: int, end: int, step: int) -> None:
    value = ir.Value(name="v", shape=ir.Shape((2, size)), type=ir.TensorType(ir.DataType.FLOAT))
    bounds = [
        ir.Value(name=name, const_value=ir.tensor(np.asarray([number], np.int64)))
        for name, number in (("s", start), ("e", end), ("a", -1), ("t", step))
    ]
    kept = tuple(int(i) for i in np.arange(size)[start:end:step])
    found = selected(ir.node("Slice", [value, *bounds]))
    expected = Selection(1, kept) if 0 < len(kept) < size else None
    assert found == expected

"""A batch is cut where samples do not mix, and the parts give what the whole gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import parser

from fitwright.errors import ModelRefused
from fitwright.graph.divide import divide_batch
from rewriting_proof import answers

DRAW = np.random.default_rng(5)
BATCH, TOKENS, WIDTH, HEADS = 4, 3, 8, 2


def normal(*shape: int) -> Any:
    return DRAW.normal(size=shape).astype(np.float32)


def ints(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


def same(*shape: int, axis: int = 0) -> Any:
    """The same values for every sample."""
    one = normal(*shape[:axis], 1, *shape[axis + 1 :])
    return np.repeat(one, shape[axis], axis)


GRID = np.stack(np.meshgrid(np.arange(BATCH), np.arange(TOKENS), indexing="ij"), -1)
W: dict[str, Any] = {
    "w": normal(WIDTH, WIDTH),
    "wide": normal(WIDTH, 4 * WIDTH),
    "kernel": normal(5, TOKENS, 3),
    "up": normal(TOKENS, 5, 3),
    "table": normal(10, WIDTH),
    "channels": np.abs(normal(WIDTH)) + 1,
    "tokens": np.abs(normal(TOKENS)) + 1,
    "alike": same(BATCH, 1, WIDTH),
    "alike_rows": same(BATCH, WIDTH),
    "unlike": normal(BATCH, 1, WIDTH),
    "states": same(1, BATCH, 5, axis=1),
    "w_lstm": normal(1, 20, WIDTH),
    "r_lstm": normal(1, 20, 5),
    "w_gru": normal(1, 15, WIDTH),
    "r_gru": normal(1, 15, 5),
    "lengths": np.asarray([2] * BATCH, np.int32),
    "rows": ints(BATCH * TOKENS, WIDTH),
    "apart": ints(BATCH, TOKENS, HEADS, WIDTH // HEADS),
    "heads": ints(BATCH * HEADS, TOKENS, WIDTH // HEADS),
    "together": ints(BATCH, TOKENS, WIDTH),
    "split_heads": ints(BATCH, HEADS, TOKENS, WIDTH // HEADS),
    "tokens_first": ints(TOKENS * BATCH, WIDTH),
    "tokens_apart": ints(TOKENS, BATCH, WIDTH),
    "flat": ints(-1),
    "grown": ints(BATCH, 2, WIDTH),
    "twice_wide": ints(BATCH, TOKENS, 2 * WIDTH),
    "axis0": ints(0),
    "axis1": ints(1),
    "axis2": ints(2),
    "from0": ints(0),
    "to2": ints(2),
    "once_twice": ints(1, 2, 1),
    "ends": ints(0, 1, 0, 0, 0, 2),
    "ends_of_batch": ints(1, 0, 0, 1, 0, 0),
    "picked": ints(2, 0),
    "grid": GRID,
    "swapped": GRID[::-1].copy(),
    "halves": ints(4, 4),
    "two": np.asarray(2, np.int64),
    "k": ints(2),
    "low": np.float32(-1),
    "high": np.float32(1),
    "scale": np.float32(0.1),
    "zero": np.uint8(128),
}


def cut(folder: Path, text: str, *, parts: int = 2, opset: int = 18) -> float:
    """Divide a model given as text; how far the parts' outputs are from the whole's."""
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>\n'
    model = parser.parse_model(head + text)
    read = {name for node in model.graph.node for name in node.input}
    stored = [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in W.items() if n in read]
    model.graph.initializer.extend(stored)
    whole, part = folder / "whole.onnx", folder / "part.onnx"
    onnx.save(model, whole)
    divide_batch(whole, part, parts=parts)
    onnx.checker.check_model(onnx.load(part), full_check=True)
    feeds = fed(model)
    shares = [{n: np.split(v, parts)[i] for n, v in feeds.items()} for i in range(parts)]
    found = [np.concatenate(each) for each in zip(*(answers(part, s) for s in shares), strict=True)]
    expected = answers(whole, feeds)
    assert [f.shape for f in found] == [e.shape for e in expected]
    return max(float(np.abs(f - e).max()) for f, e in zip(found, expected, strict=True))


def fed(model: onnx.ModelProto) -> dict[str, Any]:
    feeds: dict[str, Any] = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        is_float = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        feeds[value.name] = normal(*shape) if is_float else DRAW.integers(0, 10, shape)
    return feeds


def about(body: str, *, out: str = "float[4,3,8]") -> str:
    return f"agraph (float[4,3,8] x) => ({out} y) {{ {body} }}"


KEPT = {
    "elementwise": about("a = Relu(x) b = Add(a, x) y = Mul(b, channels)"),
    "clip": about("y = Clip(x, low, high)"),
    "product": about("y = MatMul(x, w)"),
    "constant for each sample": about("a = MatMul(x, w) y = Add(a, alike)"),
    "norm": about("y = LayerNormalization<axis=-1>(x, channels)"),
    "softmax": about("y = Softmax<axis=-1>(x)"),
    "softmax along tokens": about("y = Softmax<axis=1>(x)"),
    "reduction": about("y = ReduceMean<keepdims=0>(x, axis1)", out="float[4,8]"),
    "largest": about("v, i = TopK<axis=1>(x, k) y = Add(v, alike)", out="float[4,2,8]"),
    "place of the largest": about("y = ArgMax<axis=2, keepdims=0>(x)", out="int64[4,3]"),
    "running sum": about("y = CumSum(x, two)"),
    "rows": about("a = Reshape(x, rows) b = MatMul(a, w) y = Reshape(b, together)"),
    "flattened": about("y = Flatten<axis=1>(x)", out="float[4,24]"),
    "flattened rows": about("y = Flatten<axis=2>(x)", out="float[12,8]"),
    "first axis dropped and back": about("a = Unsqueeze(x, axis1) y = Squeeze(a, axis1)"),
    "merged heads": about(
        "a = Reshape(x, apart) b = Transpose<perm=[0,2,1,3]>(a) c = Reshape(b, heads)"
        "d = Transpose<perm=[0,2,1]>(c) e = MatMul(c, d) y = Softmax<axis=-1>(e)",
        out="float[8,3,3]",
    ),
    "samples behind tokens": about(
        "a = Transpose<perm=[1,0,2]>(x) b = Reshape(a, tokens_first) c = MatMul(b, w)"
        "d = Reshape(c, tokens_apart) y = Transpose<perm=[1,0,2]>(d)"
    ),
    "gemm": about(
        "a = Reshape(x, rows) b = Gemm(a, w, channels) y = Reshape(b, together)"
    ),
    "gemm transposed": about(
        "a = Flatten<axis=2>(x) t = Transpose<perm=[1,0]>(a) y = Gemm<transA=1>(t, w)",
        out="float[12,8]",
    ),
    "split": about("a, b = Split<axis=2>(x, halves) c = Add(a, b) y = Concat<axis=2>(c, b)"),
    "concat": about("a = Concat<axis=1>(alike, x) y = Slice(a, from0, to2, axis1)",
                    out="float[4,2,8]"),
    "selection": about("a = Gather<axis=1>(x, picked) y = Relu(a)", out="float[4,2,8]"),
    "one token": about("a = Gather<axis=1>(x, two) y = MatMul(a, w)", out="float[4,8]"),
    "expand": about("a = ReduceMax(x, axis1) y = Expand(a, together)"),
    "tile": about("y = Tile(x, once_twice)", out="float[4,6,8]"),
    "pad": about("y = Pad(x, ends)", out="float[4,4,10]"),
    "triangle": about("y = Trilu(x)"),
    "convolution": about("y = Conv<pads=[1,1]>(x, kernel)", out="float[4,5,8]"),
    "transposed convolution": about(
        "y = ConvTranspose<pads=[1,1]>(x, up)", out="float[4,5,8]"
    ),
    "pool": about("y = MaxPool<kernel_shape=[2], strides=[2]>(x)", out="float[4,3,4]"),
    "global pool": about("y = GlobalAveragePool(x)", out="float[4,3,1]"),
    "batch norm": about("y = BatchNormalization(x, tokens, tokens, tokens, tokens)"),
    "instance norm": about("y = InstanceNormalization(x, tokens, tokens)"),
    "resize": about("y = Resize(x, , , twice_wide)", out="float[4,3,16]"),
    "quantised": about("a = QuantizeLinear(x, scale, zero) y = DequantizeLinear(a, scale, zero)"),
    "einsum": about("y = Einsum<equation=\"btc,cd->btd\">(x, w)"),
    "einsum of samples": about("y = Einsum<equation=\"btc,bsc->bts\">(x, x)", out="float[4,3,3]"),
    "lstm": about(
        "t = Transpose<perm=[1,0,2]>(x)"
        "h, last = LSTM<hidden_size=5>(t, w_lstm, r_lstm, , , states, states)"
        "a = Transpose<perm=[2,0,1,3]>(h) y = Squeeze(a, axis2)",
        out="float[4,3,5]",
    ),
    "last state of a gru": about(
        "t = Transpose<perm=[1,0,2]>(x)"
        "h, last = GRU<hidden_size=5>(t, w_gru, r_gru, , lengths) y = Squeeze(last, axis0)",
        out="float[4,5]",
    ),
    "table": (
        "agraph (int64[4,3] x) => (float[4,3,8] y) { a = Gather(table, x) y = Add(a, alike) }"
    ),
    "several": (
        "agraph (float[4,3,8] x, float[4,3] m) => (float[4,3,8] y, float[4,8] z)"
        "{ a = Unsqueeze(m, axis2) y = Mul(x, a) z = ReduceSum<keepdims=0>(y, axis1) }"
    ),
    "places that name their sample": (
        "agraph (float[4,3] x) => (float[4,3] y) { y = GatherND(x, grid) }"
    ),
}  # fmt: skip

REFUSED = {
    "softmax over samples": (about("y = Softmax<axis=0>(x)"), "Softmax"),
    "mean over samples": (
        about("m = ReduceMean(x, axis0) y = Sub(x, m)"),
        "'x' is read in part and as a whole",
    ),
    "samples against samples": (
        about("a = Flatten(x) t = Transpose<perm=[1,0]>(a) y = MatMul(a, t)", out="float[4,4]"),
        "read in part and as a whole",
    ),
    "another constant for each": (about("y = Add(x, unlike)"), "'unlike' differs"),
    "samples picked": (about("y = Gather(x, picked)", out="float[2,3,8]"), "reads all samples"),
    "samples cut": (about("y = Slice(x, from0, to2, axis0)", out="float[2,3,8]"), "Slice"),
    "running sum over samples": (about("y = CumSum(x, axis0)"), "CumSum"),
    "padded samples": (about("y = Pad(x, ends_of_batch)", out="float[6,3,8]"), "Pad"),
    "split samples": (
        about("a, b = Split<num_outputs=2>(x) c = Add(a, b) y = Concat<axis=0>(c, c)"),
        "Concat",
    ),
    "training": (
        about(
            "y, m, v = BatchNormalization<training_mode=1>(x, tokens, tokens, tokens, tokens)"
        ),
        "BatchNormalization",
    ),
    "places in another order": (
        "agraph (float[4,3] x) => (float[4,3] y) { y = GatherND(x, swapped) }",
        "in another order",
    ),
    "a shape that is read": (
        about("s = Shape(x) a = Reshape(x, flat) y = Reshape(a, s)"), "read in part and as a whole",
    ),
    "no batch in front": (
        "agraph (float[4,3,8] x) => (float[3,8] y) { y = ReduceSum<keepdims=0>(x, axis0) }",
        "'y' does not open",
    ),
    "an input without": (
        "agraph (float[4,3,8] x, float[8] b) => (float[4,3,8] y) { y = Add(x, b) }",
        "same number of samples",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_give_what_the_whole_gave(text: str, parts: int, tmp_path: Path) -> None:
    # each sample goes through the same sums, in another number of rows
    assert cut(tmp_path, text, parts=parts) < 1e-5


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_may_mix_samples_is_refused_with_its_reason(
    text: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused, match=why) as caught:
        cut(tmp_path, text)
    assert caught.value.code == "FW249"
    assert not (tmp_path / "part.onnx").exists()


def test_a_batch_that_makes_no_equal_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="3 parts"):
        cut(tmp_path, KEPT["product"], parts=3)


@pytest.mark.parametrize(("axis", "fits"), [(1, True), (0, False)])
def test_an_old_softmax_works_on_all_axes_behind(axis: int, fits: bool, tmp_path: Path) -> None:
    text = about(f"y = Softmax<axis={axis}>(x)")
    if fits:
        assert cut(tmp_path, text, opset=12) < 1e-5
    else:
        with pytest.raises(ModelRefused):
            cut(tmp_path, text, opset=12)


STEPS = (
    "y{i} = Relu({x})",
    "y{i} = MatMul({x}, w)",
    "y{i} = Add({x}, alike)",
    "y{i} = Sub({x}, x)",
    "y{i} = LayerNormalization({x}, channels)",
    "y{i} = Softmax<axis=-1>({x})",
    "a{i} = ReduceMean({x}, axis1) y{i} = Add({x}, a{i})",
    "a{i} = Reshape({x}, rows) b{i} = MatMul(a{i}, w) y{i} = Reshape(b{i}, together)",
    "a{i} = Transpose<perm=[1,0,2]>({x}) b{i} = Reshape(a{i}, tokens_first) c{i} = Relu(b{i})"
    "d{i} = Reshape(c{i}, tokens_apart) y{i} = Transpose<perm=[1,0,2]>(d{i})",
    "a{i} = Reshape({x}, apart) b{i} = Transpose<perm=[0,2,1,3]>(a{i}) c{i} = Reshape(b{i}, heads)"
    "d{i} = Reshape(c{i}, split_heads) e{i} = Transpose<perm=[0,2,1,3]>(d{i})"
    "y{i} = Reshape(e{i}, together)",
)


@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))
def test_any_chain_of_steps_that_keep_samples_apart_is_cut(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ["x", *(f"y{i}" for i in range(len(steps)))]
    body = " ".join(step.format(i=i, x=names[i]) for i, step in enumerate(steps))
    text = about(f"{body} y = Identity({names[-1]})")
    assert cut(tmp_path_factory.mktemp("chain"), text) < 1e-4  # sums of six steps

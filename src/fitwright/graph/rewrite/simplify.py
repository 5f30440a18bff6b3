"""Operators that do nothing or that their neighbour can do as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fitwright.graph.rewrite.constants import cut_branches, fold_constants
from fitwright.graph.rewrite.edit import (
    Tally,
    infer_shapes,
    new_constant,
    nodes_of,
    put,
    replaceable,
    sizes,
    swept,
)
from fitwright.graph.rewrite.match import (
    array,
    float_attribute,
    int_attribute,
    is_standard,
    number,
    producer,
)
from fitwright.graph.rewrite.selections import move_selections
from fitwright.graph.rewrite.views import merge_views

_MOST_ROUNDS = 8
_EXACT: dict[ir.DataType, frozenset[ir.DataType]] = {
    ir.DataType.FLOAT16: frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE}),
    ir.DataType.BFLOAT16: frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE}),
    ir.DataType.FLOAT: frozenset({ir.DataType.DOUBLE}),
    ir.DataType.INT32: frozenset({ir.DataType.INT64, ir.DataType.DOUBLE}),
    ir.DataType.BOOL: frozenset(
        {ir.DataType.INT32, ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.FLOAT16}
    ),
}
"""From each type those that hold all of its values, so that a way there and back is none."""


def simplify(model: ir.Model) -> Tally:
    """Everything of this module and of its neighbours, until nothing changes any more.

    Requires: static shapes, stated in the graph. Ensures: the same outputs, up to rounding
    where scales were folded into weights.
    """
    tally = Tally()
    for _ in range(_MOST_ROUNDS):
        before = sum(tally.changed.values())
        if fold_constants(model, tally):
            infer_shapes(model)
        cut_branches(model, tally)
        for node in nodes_of(model.graph):
            _without_effect(node, tally)
            _cast_back(node, tally)
        for node in nodes_of(model.graph):
            for fold in _FOLDS:
                if fold(model.graph, node, tally):
                    break
        move_selections(model, tally)
        merge_views(model.graph, tally)
        swept(model)
        if sum(tally.changed.values()) == before:
            break
    return tally


def _without_effect(node: ir.Node, tally: Tally) -> None:
    """Adding 0, multiplying by 1, expanding to the same shape, casting to the same type."""
    if not node.outputs:
        return
    source, out = _passed_on(node), node.outputs[0]
    if source is None or sizes(source) is None or sizes(source) != sizes(out):
        return
    if source.dtype != out.dtype or not replaceable(source, out):
        return
    put(source, out)
    tally.change("operator without effect dropped")


def _passed_on(node: ir.Node) -> ir.Value | None:
    """The operand that comes out unchanged, if there is one."""
    first = node.inputs[0] if node.inputs else None
    if is_standard(node, "Identity", "Expand", "Cast"):
        return first
    if is_standard(node, "Add", "Sub", "Mul", "Div"):
        neutral = 0.0 if node.op_type in ("Add", "Sub") else 1.0
        left, right = node.inputs
        if _all_are(right, neutral):
            return left
        if node.op_type in ("Add", "Mul") and _all_are(left, neutral):
            return right
    return None


def _all_are(value: ir.Value | None, wanted: float) -> bool:
    values = array(value)
    return values is not None and values.dtype.kind in "fiu" and bool((values == wanted).all())


def _cast_back(node: ir.Node, tally: Tally) -> None:
    """A cast to a wider type and back again."""
    inner = producer(node.inputs[0], "Cast") if is_standard(node, "Cast") else None
    if inner is None:
        return
    source, middle, out = inner.inputs[0], inner.outputs[0], node.outputs[0]
    if source is None or source.dtype is None or source.dtype != out.dtype:
        return
    if middle.dtype in _EXACT.get(source.dtype, ()) and replaceable(source, out):
        put(source, out)
        tally.change("cast there and back dropped")


def _scale_into_weight(graph: ir.Graph, node: ir.Node, tally: Tally) -> bool:
    """A number or one factor per output channel, multiplied into the weight before it."""
    if not is_standard(node, "Mul", "Div"):
        return False
    found = _weighted_operand(node)
    if found is None:
        return False
    before, values = found
    factor = 1.0 / values if node.op_type == "Div" else values
    if not np.isfinite(factor).all() or not _scaled(graph, before, factor):
        return False
    put(before.outputs[0], node.outputs[0])
    tally.change("scale folded into weights")
    return True


def _weighted_operand(node: ir.Node) -> tuple[ir.Node, NDArray[Any]] | None:
    """(the product or convolution, the factors) where nothing else reads the product."""
    left, right = node.inputs
    pairs = [(left, right), (right, left)] if node.op_type == "Mul" else [(left, right)]
    for value, by in pairs:
        before, values = producer(value, "MatMul", "Gemm", "Conv"), array(by)
        if before is None or values is None or value is None or not values.all():
            continue
        alone = len(value.uses()) == 1 and not value.is_graph_output()
        if alone and sizes(value) == sizes(node.outputs[0]) and values.dtype.kind == "f":
            return before, values
    return None


def _scaled(graph: ir.Graph, node: ir.Node, factor: NDArray[Any]) -> bool:
    """Multiply the weight and bias of a node by one factor per output channel, in place."""
    weight = array(node.inputs[1])
    if weight is None or weight.dtype.kind != "f":
        return False
    axis = _channel_axis(node, weight)
    rank = len(sizes(node.outputs[0]) or ())
    per_channel = _per_channel(factor, weight.shape[axis], rank=rank, axis=_output_axis(node, rank))
    if per_channel is None:
        return False
    shape = [1] * weight.ndim
    shape[axis] = -1
    bias = array(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if len(node.inputs) > 2 and node.inputs[2] is not None and bias is None:
        return False
    if bias is not None and bias.shape != (weight.shape[axis],):
        return False
    _swap(graph, node, 1, weight * per_channel.reshape(shape))
    if bias is not None:
        _swap(graph, node, 2, bias * per_channel)
    return True


def _channel_axis(node: ir.Node, weight: NDArray[Any]) -> int:
    """Which axis of the weight counts the output channels."""
    if node.op_type == "Conv":
        return 0
    turned = node.op_type == "Gemm" and bool(int_attribute(node, "transB", 0))
    return 0 if turned else weight.ndim - 1


def _output_axis(node: ir.Node, rank: int) -> int:
    return 1 if node.op_type == "Conv" else rank - 1


def _per_channel(
    factor: NDArray[Any], channels: int, *, rank: int, axis: int
) -> NDArray[Any] | None:
    """The factors as (channels,), when they vary over that axis of the output at most."""
    whole = (1,) * (rank - factor.ndim) + factor.shape
    if len(whole) != rank or any(dim != 1 for i, dim in enumerate(whole) if i != axis):
        return None
    if factor.size not in (1, channels):
        return None
    return np.broadcast_to(factor.reshape(-1), (channels,))


def _swap(graph: ir.Graph, node: ir.Node, index: int, values: NDArray[Any]) -> None:
    old = node.inputs[index]
    assert old is not None and old.dtype is not None, "only constants are exchanged"
    new = new_constant(graph, values.astype(old.dtype.numpy()), hint=old.name or "weight")
    node.replace_input_with(index, new)


def _normalisation_into_convolution(graph: ir.Graph, node: ir.Node, tally: Tally) -> bool:
    """Batch normalisation after a convolution, as the convolution's weight and bias."""
    if not is_standard(node, "BatchNormalization") or any(o.uses() for o in node.outputs[1:]):
        return False
    conv = producer(node.inputs[0], "Conv")
    scale, shift, mean, variance = (array(v) for v in node.inputs[1:5])
    if conv is None or scale is None or shift is None or mean is None or variance is None:
        return False
    if len(conv.outputs[0].uses()) > 1 or conv.outputs[0].is_graph_output():
        return False
    epsilon = float_attribute(node, "epsilon", 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    bias = array(conv.inputs[2]) if len(conv.inputs) > 2 and conv.inputs[2] else np.zeros_like(mean)
    weight = array(conv.inputs[1])
    if weight is None or bias is None or not np.isfinite(factor).all():
        return False
    _swap(graph, conv, 1, weight * factor.reshape(-1, *[1] * (weight.ndim - 1)))
    conv.resize_inputs(3)
    made = new_constant(graph, (shift + (bias - mean) * factor).astype(weight.dtype), hint="bias")
    conv.replace_input_with(2, made)
    put(conv.outputs[0], node.outputs[0])
    tally.change("batch normalisation folded into a convolution")
    return True


def _addition_into_bias(graph: ir.Graph, node: ir.Node, tally: Tally) -> bool:
    """A constant per channel added after a convolution or a Gemm, as its bias."""
    if not is_standard(node, "Add"):
        return False
    left, right = node.inputs
    for value, by in ((left, right), (right, left)):
        before, added = producer(value, "Conv", "Gemm"), array(by)
        if before is None or added is None or value is None or len(value.uses()) > 1:
            continue
        if value.is_graph_output() or sizes(value) != sizes(node.outputs[0]):
            continue
        if _biased(graph, before, added):
            put(before.outputs[0], node.outputs[0])
            tally.change("addition folded into a bias")
            return True
    return False


def _biased(graph: ir.Graph, node: ir.Node, added: NDArray[Any]) -> bool:
    weight, rank = array(node.inputs[1]), len(sizes(node.outputs[0]) or ())
    if weight is None or not math.isclose(float_attribute(node, "beta", 1.0), 1.0):
        return False
    channels = weight.shape[_channel_axis(node, weight)]
    per_channel = _per_channel(added, channels, rank=rank, axis=_output_axis(node, rank))
    present = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = array(node.inputs[2]) if present else np.zeros(channels, weight.dtype)
    if per_channel is None or bias is None or bias.shape != (channels,):
        return False
    node.resize_inputs(3)
    made = new_constant(graph, (bias + per_channel).astype(weight.dtype), hint="bias")
    node.replace_input_with(2, made)
    return True


def _numbers_joined(graph: ir.Graph, node: ir.Node, tally: Tally) -> bool:
    """A number multiplied after a number: one product of both."""
    if not is_standard(node, "Mul", "Div"):
        return False
    by = number(node.inputs[1])
    earlier = producer(node.inputs[0], "Mul", "Div")
    if by is None or earlier is None or not by:
        return False
    first, value = number(earlier.inputs[1]), earlier.inputs[0]
    if first is None or not first or value is None or value.dtype is None:
        return False
    if len(earlier.outputs[0].uses()) > 1 or value.dtype not in (
        ir.DataType.FLOAT,
        ir.DataType.FLOAT16,
    ):
        return False
    total = (first if earlier.op_type == "Mul" else 1 / first) * (
        by if node.op_type == "Mul" else 1 / by
    )
    joined = ir.node(
        "Mul",
        [value, new_constant(graph, np.asarray(total, value.dtype.numpy()), hint="scale")],
    )
    joined.outputs[0].dtype, joined.outputs[0].shape = value.dtype, node.outputs[0].shape
    graph.insert_before(node, joined)
    put(joined.outputs[0], node.outputs[0])
    tally.change("two scales joined")
    return True


_FOLDS: tuple[Callable[[ir.Graph, ir.Node, Tally], bool], ...] = (
    _normalisation_into_convolution,
    _numbers_joined,
    _scale_into_weight,
    _addition_into_bias,
)

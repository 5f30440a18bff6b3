"""Masks of attention: what they may hide, and when a guard against NaN is dead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import new_constant, sizes
from fitwright.graph.rewrite.match import Number, Value, array, is_standard, match, number, op

HIDDEN = -1e4
"""What is added at least so far below zero leaves a weight of 0 in float32 softmax."""

_GUARD = op("Where", op("IsNaN", Value("weights")), Number(0.0), Value("weights"))


def guarded_softmax(softmax: ir.Node) -> tuple[ir.Value, bool]:
    """The weights as the next operator reads them, and whether a NaN guard lies between."""
    weights = softmax.outputs[0]
    readers = {use.node for use in weights.uses()}
    for node in readers:
        found = match(_GUARD, node) if is_standard(node, "Where") else None
        if found is not None and readers == set(found.nodes):
            return node.outputs[0], True
    return weights, False


def may_hide_a_row(masks: Sequence[ir.Value]) -> bool:
    """Whether some query may see no key at all, so that softmax gives NaN.

    Scores are finite where inputs are; a row turns NaN only when minus infinity is added to
    all of it. Two masks may reach it together even when each is finite.
    """
    if len(masks) > 1:
        return True
    return any(not _leaves_each_row(mask) for mask in masks)


def _leaves_each_row(mask: ir.Value) -> bool:
    values = array(mask)
    if values is not None:
        return bool(np.isfinite(values).any(axis=-1).all()) if values.ndim else False
    node = mask.producer()
    if node is None:
        return False
    if is_standard(node, "Expand", "Reshape", "Unsqueeze", "Identity"):
        return _all_finite(mask)
    if is_standard(node, "Where"):
        return _all_finite(mask)
    return False


def _all_finite(value: ir.Value | None) -> bool:
    """Whether every element is finite, whatever the inputs: chosen among finite constants."""
    values = array(value)
    if values is not None:
        return bool(np.isfinite(values).all())
    node = value.producer() if value is not None else None
    if node is None:
        return False
    if is_standard(node, "Expand", "Reshape", "Unsqueeze", "Identity"):
        return _all_finite(node.inputs[0])
    return is_standard(node, "Where") and all(_all_finite(v) for v in node.inputs[1:])


def additive_of_where(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """``Where(seen, scores, low)`` as (scores, what could be added instead).

    The same only where every query sees some key and `low` is low enough; so for constant
    masks alone. The second value is a new initializer of the node's graph.
    """
    seen, scores, low = array(node.inputs[0]), node.inputs[1], number(node.inputs[2])
    turned = False
    if low is None:
        scores, low, turned = node.inputs[2], number(node.inputs[1]), True
    graph = node.graph
    if seen is None or low is None or scores is None or not isinstance(graph, ir.Graph):
        return None
    visible = ~seen if turned else seen
    if low > HIDDEN or not visible.ndim or not visible.any(axis=-1).all():
        return None
    if scores.dtype is None or sizes(scores) != sizes(node.outputs[0]):
        return None
    mask = np.where(visible, 0.0, low).astype(scores.dtype.numpy())
    return scores, new_constant(graph, mask, hint="mask")

"""What the contract promises about inputs, used: masks that hide nothing, guards that guard
nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import Tally, new_constant, nodes_of, put, replaceable, sizes
from fitwright.graph.rewrite.masks import guarded_softmax, may_hide_a_row
from fitwright.graph.rewrite.match import is_standard
from fitwright.graph.rewrite.scores import taken_apart
from fitwright.graph.rewrite.simplify import simplify


def drop_masks(model: ir.Model, *, constant_inputs: Mapping[str, float]) -> Tally:
    """Put the promised values in the place of their inputs, fold, and drop dead NaN guards.

    Requires: static shapes, stated in the graph. Ensures: the same outputs for inputs that
    keep the promise; the inputs stay in the interface, though nothing may read them.
    """
    tally = Tally()
    for value in model.graph.inputs:
        promised = constant_inputs.get(value.name or "")
        if promised is not None and value.uses():
            _fix(model.graph, value, promised, tally)
    if tally.modified:
        for what, times in simplify(model).changed.items():
            tally.change(what, times)
    drop_guards(model.graph, tally)
    return tally


def _fix(graph: ir.Graph, value: ir.Value, promised: float, tally: Tally) -> None:
    shape = sizes(value)
    if shape is None or value.dtype is None:
        tally.leave(f"input '{value.name}' has no definite shape")
        return
    filled = np.full(shape, promised, value.dtype.numpy())
    value.replace_all_uses_with(new_constant(graph, filled, hint=f"{value.name}_promised"))
    tally.change(f"input '{value.name}' taken as {promised:g}")


def drop_guards(graph: ir.Graph, tally: Tally) -> None:
    """Drop guards against NaN after a softmax over scores that no mask can hide whole."""
    for node in nodes_of(graph):
        if not is_standard(node, "Softmax"):
            continue
        guarded, is_guarded = guarded_softmax(node)
        if not is_guarded:
            continue
        parts = taken_apart(node.inputs[0])
        if isinstance(parts, str):
            tally.leave(f"a NaN guard after {parts}")
        elif may_hide_a_row(parts.masks):
            tally.leave("a NaN guard that is needed: its mask may hide a whole row")
        elif replaceable(node.outputs[0], guarded):
            put(node.outputs[0], guarded)
            tally.change("dead NaN guard dropped")

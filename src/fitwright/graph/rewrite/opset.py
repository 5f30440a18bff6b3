"""Raising a model's opset where every operator keeps its meaning, and refusing otherwise."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import new_constant
from fitwright.graph.rewrite.match import STANDARD

OLDEST = 13
"""Below it axes moved from attributes to inputs in too many operators."""
NEWEST = 24
"""What was read, version by version, in onnx's changelog for the two tables below."""
_IR_OF_OPSET = ((25, 13), (24, 12), (23, 11), (21, 10), (20, 9))
"""Oldest IR version that goes with an opset, newest first."""

# Operators whose meaning changed, and in which opset; all others only took further types or
# attributes whose default is the old behaviour.
CHANGED: dict[str, int] = {
    "BatchNormalization": 14,
    "RoiAlign": 16,
    "OptionalGetElement": 18,
    "OptionalHasElement": 18,
    "DFT": 20,
    "GridSample": 20,
    "GroupNormalization": 21,
}
_REDUCTIONS = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"}
    | {"ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare"}
)
_AXES_ARE_INPUTS = 18


def standard_opset(model: ir.Model) -> int:
    """Version of the standard operator set; 0 when the model imports none."""
    return next((v for d, v in model.opset_imports.items() if d in STANDARD), 0)


def hindrance(model: ir.Model, version: int) -> str | None:
    """Why the model cannot be raised to that opset as it stands, or None."""
    now = standard_opset(model)
    if now >= version:
        return None
    if now < OLDEST:
        return f"its opset {now} is older than {OLDEST}"
    if model.functions:
        return "it has functions of its own, which state their own opsets"
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain not in STANDARD:
            continue
        if now < CHANGED.get(node.op_type, 0) <= version and not _harmless(node):
            return f"{node.op_type} means something else from opset {CHANGED[node.op_type]} on"
        if node.op_type == "AveragePool" and now < 19 <= version and _rounds_up(node):
            return "AveragePool with ceil_mode counts otherwise from opset 19 on"
    return None


def raise_opset(model: ir.Model, version: int) -> None:
    """State a newer opset; operators whose form changed are written in the new form.

    Requires: no `hindrance`. Ensures: the same outputs; an IR version that goes with it.
    """
    now = standard_opset(model)
    if now >= version:
        return
    assert hindrance(model, version) is None, "`hindrance` is asked before raising"
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain in STANDARD and now < _AXES_ARE_INPUTS <= version:
            _renewed(model.graph, node)
        node.version = None
    for domain in [d for d in model.opset_imports if d in STANDARD]:
        del model.opset_imports[domain]
    model.opset_imports[""] = version
    needed = next((i for opset, i in _IR_OF_OPSET if version >= opset), 8)
    model.ir_version = max(model.ir_version or 0, needed)


def _renewed(main: ir.Graph, node: ir.Node) -> None:
    """The forms of opset 18: axes of a reduction as input, the number of a split's outputs."""
    if node.op_type in _REDUCTIONS and "axes" in node.attributes and len(node.inputs) == 1:
        axes = node.attributes["axes"].as_ints()
        del node.attributes["axes"]
        node.resize_inputs(2)
        node.replace_input_with(1, new_constant(main, np.asarray(axes, np.int64), hint="axes"))
    if node.op_type == "Split" and (len(node.inputs) < 2 or node.inputs[1] is None):
        node.attributes.add(ir.AttrInt64("num_outputs", len(node.outputs)))


def _harmless(node: ir.Node) -> bool:
    """Batch normalisation changed in its training outputs only."""
    return node.op_type == "BatchNormalization" and not any(o.uses() for o in node.outputs[1:])


def _rounds_up(node: ir.Node) -> bool:
    mode = node.attributes.get("ceil_mode")
    return mode is not None and bool(mode.as_int())

"""What is computed from constants alone, computed once; and branches that constants decide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from fitwright.graph.rewrite.edit import (
    Tally,
    new_constant,
    nodes_of,
    put,
    replaceable,
    sizes,
)
from fitwright.graph.rewrite.match import array, int_attribute, is_standard
from fitwright.graph.rewrite.opset import standard_opset

MOST_BYTES = 1 << 20
"""A constant may grow to this; a larger one only when its operands are as large together."""
# Plain arithmetic, shapes and indexing: what reaches a mask, a shape or a branch.
FOLDED = frozenset(
    {"Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Cos", "CumSum"}
    | {"Div", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements"}
    | {"GatherND", "Greater", "GreaterOrEqual", "Identity", "IsNaN", "Less", "LessOrEqual", "Max"}
    | {"Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "Pow", "Range", "Reciprocal"}
    | {"ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterND", "Shape"}
    | {"Sign", "Sin", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose"}
    | {"Trilu", "Unsqueeze", "Where", "Xor"}
)
_NUMPY_KINDS = "biuf"


def fold_constants(model: ir.Model, tally: Tally) -> bool:
    """Operators of `FOLDED` whose operands are constants become their result.

    Ensures: the same outputs; a result that would be larger than `MOST_BYTES` and than its
    operands stays computed.

    Returns:
        Whether any was folded; shapes that hung on it can then be inferred.
    """
    graph, opset, folded = model.graph, standard_opset(model), False
    for node in nodes_of(graph):
        if not is_standard(node, *FOLDED) or any(o.is_graph_output() for o in node.outputs):
            continue
        results = _static_shape(node) or _evaluated(node, opset)
        if results is None:
            continue
        for value, found in zip(node.outputs, results, strict=True):
            if value.uses():
                value.replace_all_uses_with(new_constant(graph, found, hint=value.name or "c"))
        graph.remove(node, safe=True)
        tally.change("constant folded")
        folded = True
    return folded


def _static_shape(node: ir.Node) -> list[NDArray[Any]] | None:
    """Shape and Size of a value whose shape is known."""
    shape = sizes(node.inputs[0]) if node.op_type in ("Shape", "Size") else None
    if shape is None:
        return None
    if node.op_type == "Size":
        return [np.asarray(math.prod(shape), np.int64)]
    start = int_attribute(node, "start", 0)
    end = int_attribute(node, "end", len(shape))
    return [np.asarray(shape[start:end], np.int64)]


def _evaluated(node: ir.Node, opset: int) -> list[NDArray[Any]] | None:
    given = {v.name or "": array(v) for v in node.inputs if v is not None}
    operands = {name: values for name, values in given.items() if values is not None}
    if not node.inputs or len(operands) < len(given) or not _pays(node, operands):
        return None
    if any(a.dtype.kind not in _NUMPY_KINDS for a in operands.values()):
        return None
    if any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
        return None
    try:
        run = ReferenceEvaluator(ir.to_proto(node), opsets={"": opset})
        results = [np.asarray(r) for r in run.run(None, operands)]
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return None  # what onnx's own evaluator cannot do stays computed
    allowed = max(MOST_BYTES, sum(a.nbytes for a in operands.values()))
    fits = sum(r.nbytes for r in results) <= allowed and len(results) == len(node.outputs)
    return results if fits and all(r.dtype.kind in _NUMPY_KINDS for r in results) else None


def _pays(node: ir.Node, operands: dict[str, NDArray[Any]]) -> bool:
    """Before anything is computed: no weight is moved about, no known result is too large."""
    total = sum(a.nbytes for a in operands.values())
    made = [sizes(o) for o in node.outputs]
    widest = max((a.dtype.itemsize for a in operands.values()), default=8)
    known = all(shape is not None for shape in made)
    size = sum(math.prod(shape or ()) * widest for shape in made) if known else total
    return size <= max(MOST_BYTES, total)


def cut_branches(model: ir.Model, tally: Tally) -> None:
    """Where and If whose condition is a constant: only the branch that is taken stays."""
    for node in nodes_of(model.graph):
        if is_standard(node, "Where"):
            _decided(node, tally)
        elif is_standard(node, "If"):
            _inlined(model.graph, node, tally)


def _decided(node: ir.Node, tally: Tally) -> None:
    condition, out = array(node.inputs[0]), node.outputs[0]
    if condition is None or not condition.size or condition.all() != condition.any():
        return
    taken = node.inputs[1] if condition.all() else node.inputs[2]
    shape = sizes(out)
    if taken is None or shape is None or sizes(taken) != shape or not replaceable(taken, out):
        return
    put(taken, out)
    tally.change("branch that is never taken cut")


def _inlined(graph: ir.Graph, node: ir.Node, tally: Tally) -> None:
    condition = array(node.inputs[0])
    if condition is None or condition.size != 1:
        return
    name = "then_branch" if condition.all() else "else_branch"
    branch = node.attributes[name].as_graph()
    inner = list(branch)
    made_inside = {value for n in inner for value in n.outputs}
    if any(v not in made_inside or v.is_graph_input() for v in branch.outputs):
        return  # a branch that only hands on a value of the outer graph
    for value in list(branch.initializers.values()):
        _lifted(graph, value)
    outputs = list(branch.outputs)
    branch.outputs.clear()
    for step in inner:
        branch.remove(step)
        graph.insert_before(node, step)
    for old, new in zip(node.outputs, outputs, strict=True):
        put(new, old)
    tally.change("branch that is never taken cut")


def _lifted(graph: ir.Graph, value: ir.Value) -> None:
    tensor = value.const_value
    if tensor is not None:
        value.replace_all_uses_with(
            new_constant(graph, tensor.numpy(), hint=value.name or "branch")
        )

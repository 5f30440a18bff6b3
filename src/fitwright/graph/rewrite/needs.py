"""What an operator has to read when only some entries of one axis of its output are wanted.

One rule per kind of operator. A rule speaks only where the entries of that axis do not mix:
rows of a product, queries of an attention, tokens of a normalisation over channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import known_sizes, sizes
from fitwright.graph.rewrite.match import array, int_attribute, is_standard
from fitwright.graph.rewrite.views import RESHAPING, permutation


@dataclass(frozen=True)
class Selection:
    """Entries of one axis of a value, in their order."""

    axis: int
    entries: tuple[int, ...]

    def at(self, axis: int) -> Selection:
        """The same entries of another axis."""
        return Selection(axis, self.entries)

    def of(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of what is selected from a value of that shape."""
        return (*shape[: self.axis], len(self.entries), *shape[self.axis + 1 :])


Needs = tuple[Selection | None, ...]
"""For each input what is needed of it; None: all."""

SUMMING = frozenset({"MatMul", "Gemm", "Attention"})
"""Operators so dear that computing less of them pays for a selection before them."""
_OF_EACH = frozenset(
    {"Abs", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu"}
    | {"HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish"}
    | {"Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin"}
    | {"Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu"}
)
_OF_PAIRS = frozenset(
    {"Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max"}
    | {"Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"}
)
_SOFTMAX = ("Softmax", "LogSoftmax")
_REDUCING = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"}
    | {"ReduceSumSquare"}
)
_SOFTMAX_OF_ONE_AXIS = 13
"""The first opset in which it does not work on all axes from the one given on."""


def needs(node: ir.Node, wanted: Selection, *, opset: int) -> Needs | None:
    """What of each input gives those entries of the first output; None where no rule says.

    Args:
        opset: of the standard domain.
    """
    if not is_standard(node, *_RULES) or any(o.uses() for o in node.outputs[1:]):
        return None
    known = all(v is None or sizes(v) is not None for v in (*node.inputs, node.outputs[0]))
    if known and is_standard(node, *_SOFTMAX) and opset < _SOFTMAX_OF_ONE_AXIS:
        return _softmax_of_several(node, wanted)
    return _RULES[node.op_type](node, wanted) if known else None


def of_first(node: ir.Node, need: Selection) -> Needs:
    """Some of the first input, all of the others."""
    return (need, *(None for _ in node.inputs[1:]))


def _broadcast(value: ir.Value | None, wanted: Selection, *, rank: int) -> Selection | None:
    """What of an operand gives those entries of a result of that rank."""
    if value is None:
        return None
    shape = known_sizes(value)
    axis = wanted.axis - (rank - len(shape))
    return None if axis < 0 or shape[axis] == 1 else wanted.at(axis)


def _of_each(node: ir.Node, wanted: Selection) -> Needs:
    return of_first(node, wanted)


def _of_pairs(node: ir.Node, wanted: Selection) -> Needs:
    rank = len(known_sizes(node.outputs[0]))
    return tuple(_broadcast(value, wanted, rank=rank) for value in node.inputs)


def _softmax(node: ir.Node, wanted: Selection) -> Needs | None:
    rank = len(known_sizes(node.outputs[0]))
    return None if wanted.axis == int_attribute(node, "axis", -1) % rank else of_first(node, wanted)


def _softmax_of_several(node: ir.Node, wanted: Selection) -> Needs | None:
    """Before opset 13, over all axes from one on."""
    rank = len(known_sizes(node.outputs[0]))
    return of_first(node, wanted) if wanted.axis < int_attribute(node, "axis", 1) % rank else None


def _normalisation(node: ir.Node, wanted: Selection) -> Needs | None:
    rank = len(known_sizes(node.outputs[0]))
    if wanted.axis >= int_attribute(node, "axis", -1) % rank:
        return None
    factors = tuple(_broadcast(value, wanted, rank=rank) for value in node.inputs[1:])
    return (wanted, *factors)


def _reduction(node: ir.Node, wanted: Selection) -> Needs | None:
    rank = len(known_sizes(node.inputs[0]))
    axes = _axes(node)
    if not axes:
        return None
    reduced = {axis % rank for axis in axes}
    if int_attribute(node, "keepdims", 1):
        return None if wanted.axis in reduced else of_first(node, wanted)
    left = [axis for axis in range(rank) if axis not in reduced]
    return of_first(node, wanted.at(left[wanted.axis]))


def _axes(node: ir.Node) -> tuple[int, ...]:
    """Those reduced, an attribute once and an input now; none where they are not known."""
    if "axes" in node.attributes:
        return tuple(node.attributes["axes"].as_ints())
    found = array(node.inputs[1]) if len(node.inputs) > 1 else None
    return () if found is None else tuple(int(axis) for axis in found.reshape(-1))


def _product(node: ir.Node, wanted: Selection) -> Needs | None:
    left, right = (known_sizes(value) for value in node.inputs)
    rank = len(known_sizes(node.outputs[0]))
    if len(left) < 2 or len(right) < 2:
        return None
    if wanted.axis == rank - 2:
        return (wanted.at(len(left) - 2), None)
    if wanted.axis == rank - 1:
        return (None, wanted.at(len(right) - 1))
    return _of_pairs(node, wanted)


def _gemm(node: ir.Node, wanted: Selection) -> Needs:
    added = tuple(_broadcast(value, wanted, rank=2) for value in node.inputs[2:])
    if wanted.axis == 0:
        return (wanted.at(int_attribute(node, "transA", 0)), None, *added)
    return (None, wanted.at(1 - int_attribute(node, "transB", 0)), *added)


def _attention(node: ir.Node, wanted: Selection) -> Needs | None:
    """Some samples; or some queries, where no causal mask counts them. A cache stays whole."""
    rank = len(known_sizes(node.outputs[0]))
    masks, cache = node.inputs[3:4], node.inputs[4:]
    if any(value is not None for value in cache):
        return None
    if wanted.axis == 0:
        parts = (_broadcast(mask, wanted, rank=4) for mask in masks)
        return (wanted, wanted, wanted, *parts, *(None for _ in cache))
    if wanted.axis != rank - 2 or int_attribute(node, "is_causal", 0):
        return None
    parts = (_broadcast(mask, wanted.at(2), rank=4) for mask in masks)
    return (wanted, None, None, *parts, *(None for _ in cache))


def _transposed(node: ir.Node, wanted: Selection) -> Needs:
    perm = permutation(node, rank=len(known_sizes(node.outputs[0])))
    return of_first(node, wanted.at(perm[wanted.axis]))


def _reshaped(node: ir.Node, wanted: Selection) -> Needs | None:
    """Where the axis is one of the input's, with as many elements before it; not where a Squeeze
    would drop whatever axis is left with one entry."""
    if node.op_type == "Squeeze" and not _axes(node):
        return None
    before, after = known_sizes(node.inputs[0]), known_sizes(node.outputs[0])
    outer, size = math.prod(after[: wanted.axis]), after[wanted.axis]
    for axis, dim in enumerate(before):
        if dim == size and math.prod(before[:axis]) == outer:
            return of_first(node, wanted.at(axis))
    return None


def _expanded(node: ir.Node, wanted: Selection) -> Needs:
    need = _broadcast(node.inputs[0], wanted, rank=len(known_sizes(node.outputs[0])))
    return (need, None)


def _joined(node: ir.Node, wanted: Selection) -> Needs | None:
    rank = len(known_sizes(node.outputs[0]))
    apart = int_attribute(node, "axis", 0) % rank != wanted.axis
    return tuple(wanted for _ in node.inputs) if apart else None


Rule = Callable[[ir.Node, Selection], Needs | None]
_RULES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(_OF_EACH, _of_each)
    | dict.fromkeys(_OF_PAIRS, _of_pairs)
    | dict.fromkeys(_REDUCING, _reduction)
    | dict.fromkeys(RESHAPING, _reshaped)
    | dict.fromkeys(_SOFTMAX, _softmax)
    | dict.fromkeys(("LayerNormalization", "RMSNormalization"), _normalisation)
    | {"MatMul": _product, "Gemm": _gemm, "Attention": _attention}
    | {"Transpose": _transposed, "Expand": _expanded, "Concat": _joined}
)


def selected(node: ir.Node) -> Selection | None:
    """What a Gather or Slice with constant places reads of its first input, on one axis."""
    shape = sizes(node.inputs[0]) if is_standard(node, "Gather", "Slice") else None
    if shape is None:
        return None
    found = _gathered(node, shape) if node.op_type == "Gather" else _sliced(node, shape)
    return found if found is not None and len(found.entries) < shape[found.axis] else None


def _gathered(node: ir.Node, shape: Sequence[int]) -> Selection | None:
    places = array(node.inputs[1])
    if places is None or places.ndim > 1 or not places.size:
        return None
    axis = int_attribute(node, "axis", 0) % len(shape)
    return Selection(axis, tuple(int(at) % shape[axis] for at in places.reshape(-1)))


def _sliced(node: ir.Node, shape: Sequence[int]) -> Selection | None:
    """Only where it cuts one axis, forwards."""
    parts = [array(value) for value in node.inputs[1:]]
    if len(parts) < 2 or any(part is None for part in parts):
        return None
    starts, ends, *rest = (part.reshape(-1) for part in parts if part is not None)
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), np.int64)
    cuts = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = shape[int(axis)]
        kept = range(*slice(int(start), int(end), int(step)).indices(size))
        if step < 0 or not kept:
            return None
        if len(kept) < size:
            cuts.append(Selection(int(axis) % len(shape), tuple(kept)))
    return cuts[0] if len(cuts) == 1 else None

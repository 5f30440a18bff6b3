"""What layers with a window, a recurrence or several outputs have to read; see `needs`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import known_sizes, sizes
from fitwright.graph.rewrite.match import array, int_attribute, is_standard
from fitwright.graph.rewrite.needs import Needs, Selection, needs, of_first
from fitwright.graph.rewrite.views import RESHAPING

_OF_SAMPLES = frozenset(
    {"AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool"}
    | {"GlobalLpPool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN"}
    | {"LpPool", "MaxPool", "Resize", "SpaceToDepth", "Upsample"}
)
"""Samples along the first axis, which do not mix."""
_ALONG = frozenset({"ArgMax", "ArgMin", "CumSum", "Hardmax", "LpNormalization"})
"""What works along one axis, each line of it by itself."""
_MOST_PLACES = 1 << 20
"""A reshape of more is not looked through."""
_LAYOUTS = ({"x": 1, "state": 1, "y": 2}, {"x": 0, "state": 0, "y": 0})
"""Where recurrent layers keep their samples, by their attribute `layout`."""

Wants = Sequence[Selection | None]
"""For each output what is wanted of it; None: nothing reads it."""


def needs_of(node: ir.Node, wants: Wants, *, opset: int) -> Needs | None:
    """What of each input gives those entries of the outputs; None where no rule says."""
    if not is_standard(node, node.op_type):
        return None
    if any(sizes(v) is None for v in (*node.inputs, *node.outputs) if v is not None and v.name):
        return None
    rest = [want for want in wants[1:] if want is not None]
    if node.op_type in _SEVERAL:
        return _SEVERAL[node.op_type](node, wants)
    if rest or not wants or wants[0] is None:
        return None
    if node.op_type in _RULES:
        return _RULES[node.op_type](node, wants[0])
    found = needs(node, wants[0], opset=opset)
    return _regrouped(node, wants[0]) if found is None and _only_reshapes(node) else found


def _only_reshapes(node: ir.Node) -> bool:
    """Not a Squeeze without axes, which drops whatever axis is left with one entry."""
    has_axes = len(node.inputs) > 1 or "axes" in node.attributes
    return node.op_type in RESHAPING and (has_axes or node.op_type != "Squeeze")


def _regrouped(node: ir.Node, wanted: Selection) -> Needs | None:
    """Entries of one axis that hold just the same elements in the shape before.

    An axis that is split in two, or merged with its neighbours: whole blocks are wanted, or an
    entry of every block.
    """
    shape, other = known_sizes(node.outputs[0]), known_sizes(node.inputs[0])
    inner = math.prod(shape[wanted.axis + 1 :])
    for axis, size in enumerate(other):
        step = math.prod(other[axis + 1 :])
        grain = math.gcd(inner, step)
        count = math.prod(shape) // grain
        if size < 2 or count > _MOST_PLACES:
            continue
        at = np.arange(count) * grain
        is_wanted = np.isin(at // inner % shape[wanted.axis], wanted.entries)
        entry = at // step % size
        entries = np.unique(entry[is_wanted])
        if len(entries) < size and np.array_equal(np.isin(entry, entries), is_wanted):
            return of_first(node, Selection(axis, tuple(int(e) for e in entries)))
    return None


def _of_samples(node: ir.Node, wanted: Selection) -> Needs | None:
    return of_first(node, wanted) if wanted.axis == 0 else None


def _batch_normalisation(node: ir.Node, wanted: Selection) -> Needs | None:
    """Not in training, where it normalises over the samples."""
    return None if int_attribute(node, "training_mode", 0) else _of_samples(node, wanted)


def _along(node: ir.Node, wanted: Selection) -> Needs | None:
    rank = len(known_sizes(node.inputs[0]))
    axis = int_attribute(node, "axis", -1 if node.op_type in ("Hardmax", "LpNormalization") else 0)
    if node.op_type == "CumSum":
        stated = array(node.inputs[1])
        if stated is None:
            return None
        axis = int(stated.reshape(-1)[0])
    axis %= rank
    is_dropped = node.op_type in ("ArgMax", "ArgMin") and not int_attribute(node, "keepdims", 1)
    before = wanted.axis + 1 if is_dropped and wanted.axis >= axis else wanted.axis
    return None if before == axis else of_first(node, wanted.at(before))


def _gathered(node: ir.Node, wanted: Selection) -> Needs:
    """Along the axes of the places, some places; along the others, some of the data."""
    rank, places = (len(known_sizes(value)) for value in node.inputs)
    axis = int_attribute(node, "axis", 0) % rank
    if axis <= wanted.axis < axis + places:
        return (None, wanted.at(wanted.axis - axis))
    behind = wanted.axis >= axis + places
    return (wanted.at(wanted.axis - places + 1 if behind else wanted.axis), None)


def _picked(node: ir.Node, wanted: Selection) -> Needs | None:
    """By constant places, each of which names the sample that it is in: rows of the places, and of
    the data the samples named there, where these lie in a row."""
    places, shape = array(node.inputs[1]), known_sizes(node.inputs[0])
    if places is None or not places.size or int_attribute(node, "batch_dims", 0):
        return None
    if (places[..., 0] < 0).any():  # counted from the end of the whole
        return None
    if wanted.axis >= places.ndim - 1:
        behind = wanted.axis - (places.ndim - 1) + places.shape[-1]
        return (wanted.at(behind), None)
    rows = np.unique(np.take(places[..., 0], wanted.entries, wanted.axis))
    if int(rows[-1]) - int(rows[0]) + 1 != len(rows):
        return None
    data = Selection(0, tuple(int(row) for row in rows)) if len(rows) < shape[0] else None
    return (data, wanted)


def _sliced(node: ir.Node, wanted: Selection) -> Needs | None:
    """Where that axis is not cut."""
    same = known_sizes(node.inputs[0])[wanted.axis] == known_sizes(node.outputs[0])[wanted.axis]
    steps = array(node.inputs[4]) if len(node.inputs) > 4 else None
    forwards = len(node.inputs) <= 4 or (steps is not None and bool((steps > 0).all()))
    return of_first(node, wanted) if same and forwards else None


def _padded(node: ir.Node, wanted: Selection) -> Needs | None:
    """Where that axis stays as long as it was and nothing moves along it."""
    rank, pads = len(known_sizes(node.inputs[0])), array(node.inputs[1])
    has_axes = len(node.inputs) > 3 and node.inputs[3] is not None
    if pads is None or has_axes or pads.size != 2 * rank:
        return None
    ends = pads.reshape(2, rank)[:, wanted.axis]
    return None if ends.any() else of_first(node, wanted)


def _tiled(node: ir.Node, wanted: Selection) -> Needs | None:
    repeats = array(node.inputs[1])
    once = repeats is not None and int(repeats[wanted.axis]) == 1
    return of_first(node, wanted) if once else None


def _triangle(node: ir.Node, wanted: Selection) -> Needs | None:
    return of_first(node, wanted) if wanted.axis < len(known_sizes(node.inputs[0])) - 2 else None


def _in_steps(node: ir.Node, wanted: Selection) -> Needs | None:
    """Quantised or back, with one scale for all or scales along another axis."""
    rank = len(known_sizes(node.inputs[0]))
    scales = known_sizes(node.inputs[1])
    if len(scales) > 1 or int_attribute(node, "block_size", 0):
        return None
    along = bool(scales) and scales != (1,) and int_attribute(node, "axis", 1) % rank == wanted.axis
    return None if along else of_first(node, wanted)


def _sum_of_products(node: ir.Node, wanted: Selection) -> Needs | None:
    """Each operand by the letter that the axis has in the result."""
    terms, arrow, result = node.attributes["equation"].as_string().replace(" ", "").partition("->")
    if not arrow or "." in terms:
        return None
    letter, size = result[wanted.axis], known_sizes(node.outputs[0])[wanted.axis]
    found: list[Selection | None] = []
    for term, value in zip(terms.split(","), node.inputs, strict=True):
        places = [place for place, other in enumerate(term) if other == letter]
        if len(places) > 1 or any(known_sizes(value)[place] != size for place in places):
            return None
        found.append(wanted.at(places[0]) if places else None)
    return tuple(found)


Rule = Callable[[ir.Node, Selection], Needs | None]
_RULES: Mapping[str, Rule] = MappingProxyType(
    dict.fromkeys(_OF_SAMPLES, _of_samples)
    | dict.fromkeys(_ALONG, _along)
    | dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _in_steps)
    | {"BatchNormalization": _batch_normalisation, "Einsum": _sum_of_products}
    | {"Gather": _gathered, "GatherND": _picked, "Pad": _padded, "Slice": _sliced}
    | {"Tile": _tiled, "Trilu": _triangle}
)


def _split(node: ir.Node, wants: Wants) -> Needs | None:
    return _apart(node, wants, axis=int_attribute(node, "axis", 0))


def _largest(node: ir.Node, wants: Wants) -> Needs | None:
    return _apart(node, wants, axis=int_attribute(node, "axis", -1))


def _apart(node: ir.Node, wants: Wants, *, axis: int) -> Needs | None:
    """The same entries of all that is read, along another axis than the one it works along."""
    found = {want for want in wants if want is not None}
    want = found.pop() if len(found) == 1 else None
    at = axis % len(known_sizes(node.inputs[0]))
    return None if want is None or want.axis == at else of_first(node, want)


def _recurrent(node: ir.Node, wants: Wants) -> Needs | None:
    """Some sequences of the batch: of the input, of their lengths and of the first states."""
    at = _LAYOUTS[int_attribute(node, "layout", 0)]
    places = (at["y"], at["state"], at["state"])
    read = [(want, place) for want, place in zip(wants, places, strict=False) if want is not None]
    if not read or any(want.axis != place for want, place in read):
        return None
    if len({want.entries for want, _ in read}) != 1:
        return None
    want = read[0][0]
    states = tuple(want.at(at["state"]) for _ in node.inputs[5:7])
    return (
        want.at(at["x"]), None, None, None, want.at(0), *states, *(None for _ in node.inputs[7:])
    )[: len(node.inputs)]  # fmt: skip


_SEVERAL: Mapping[str, Callable[[ir.Node, Wants], Needs | None]] = MappingProxyType(
    {"Split": _split, "TopK": _largest, "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent}
)

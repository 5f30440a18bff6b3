"""Operators that move or name data: 0 FLOP by rule, which is a count and not an unknown."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule


def view(_: Operator) -> Cost:
    """The same bytes under another shape."""
    return Cost(view=True)


def from_shape(_: Operator) -> Cost:
    """Needs the input's shape, not its elements."""
    return Cost(bytes_read=0)


def move(_: Operator) -> Cost:
    """Each input and output once."""
    return Cost()


def gather(op: Operator) -> Cost:
    """Reads the rows it gathers, and the indices, not the whole table."""
    return Cost(bytes_read=op.out_bytes() + op.input(1).bytes)


def cut(op: Operator) -> Cost:
    """Slice: reads what it keeps; starts, ends, axes and steps besides."""
    small = sum(i.bytes for i in op.inputs[1:] if i is not None)
    return Cost(bytes_read=op.out_bytes() + small)


def expand(op: Operator) -> Cost:
    """Reads its input once, writes every copy."""
    return Cost(bytes_read=sum(i.bytes for i in op.inputs if i is not None))


def scatter(op: Operator) -> Cost:
    """Copies the data and puts the updates in; a reduction adds 1 FLOP per update."""
    reduction = op.text("reduction", "none")
    return Cost(elementwise_flops=op.size(2) * (reduction != "none"))


def one_write(op: Operator) -> Cost:
    """Only writes: ConstantOfShape, EyeLike, Range, OneHot's filling."""
    small = sum(i.bytes for i in op.inputs if i is not None and i.data is not None)
    return Cost(bytes_read=small)


VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout")
SHAPES = ("Shape", "Size")
_MOVES = (
    "Transpose Concat Split Tile Expand Pad DepthToSpace SpaceToDepth Trilu ReverseSequence "
    "Compress NonZero CenterCropPad OneHot"
)

RULES: Mapping[Key, Rule] = {
    **{("", kind): view for kind in VIEWS},
    **{("", kind): from_shape for kind in SHAPES},
    **{("", kind): move for kind in _MOVES.split()},
    **{("", kind): gather for kind in ("Gather", "GatherElements", "GatherND")},
    **{("", kind): scatter for kind in ("Scatter", "ScatterElements", "ScatterND")},
    **{("", kind): one_write for kind in ("ConstantOfShape", "EyeLike", "Range")},
    ("", "Slice"): cut,
    ("", "TensorScatter"): scatter,
    ("com.microsoft", "Trilu"): move,
}

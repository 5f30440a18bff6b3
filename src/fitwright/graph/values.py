"""Small values computed while walking: what Shape, Gather and Concat feed to Reshape.

Only plain integer, float and bool arrays of at most `MOST_DATA` elements; anything else,
and anything that goes wrong, has no value, which is always a correct answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fitwright.graph.cost.operator import MALFORMED, Missing, Operator
from fitwright.graph.dtypes import num_elements
from fitwright.graph.known import MOST_DATA

Array = NDArray[Any]
Evaluation = Callable[[Operator, list[Array]], Any]

_NUMPY = "float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool"
_SHAPED_BY_DATA = frozenset({"ConstantOfShape", "Expand", "Range", "Reshape", "Slice"})
"""May be evaluated before their output's shape is known: they bound it themselves."""
_FREE_OF_DATA = frozenset({"Shape", "Size"})


def value_of(op: Operator) -> Array | None:
    """The first output's elements when they follow from small constants, else None."""
    evaluate = VALUES.get(op.kind) if op.domain == "" else None
    if evaluate is None or len([o for o in op.outputs if o]) != 1:
        return None
    out = op.outputs[0]
    if out is None or (out.shape is None and op.kind not in _SHAPED_BY_DATA):
        return None
    if out.shape is not None and num_elements(out.shape) > MOST_DATA:
        return None
    arrays = [] if op.kind in _FREE_OF_DATA else _arrays(op)
    if arrays is None or out.dtype is None or out.dtype not in _NUMPY.split():
        return None
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(evaluate(op, arrays))
    except (Missing, *MALFORMED):
        return None
    fits = result.size <= MOST_DATA and (out.shape is None or result.shape == out.shape)
    return result.astype(out.dtype) if fits else None


def _arrays(op: Operator) -> list[Array] | None:
    """Every given input's elements, or None when one is unknown."""
    arrays = [i.data for i in op.inputs if i is not None]
    return None if any(a is None for a in arrays) else [a for a in arrays if a is not None]


def _shape(op: Operator, _: list[Array]) -> Any:
    dims = op.dims(0)
    return np.array(dims[slice(op.number("start", 0), op.number("end", len(dims)))], dtype=np.int64)


def _axes(op: Operator, a: list[Array]) -> tuple[int, ...]:
    """From the second input (opset 13 on) or the attribute."""
    return tuple(int(v) for v in a[1]) if len(a) > 1 else op.numbers("axes", ())


def _slice(op: Operator, a: list[Array]) -> Any:
    if len(a) < 3:
        return _sliced(a[0], op.numbers("starts"), op.numbers("ends"), op.numbers("axes", ()), ())
    axes, steps = (tuple(a[i]) if len(a) > i else () for i in (3, 4))
    return _sliced(a[0], tuple(a[1]), tuple(a[2]), axes, steps)


def _sliced(
    x: Array,
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    axes: tuple[int, ...],
    steps: tuple[int, ...],
) -> Any:
    cut = [slice(None)] * x.ndim
    for i, axis in enumerate(axes or range(len(starts))):
        step = int(steps[i]) if steps else 1
        end: int | None = int(ends[i])
        if step < 0 and end is not None and end < -x.shape[axis]:
            end = None
        cut[axis] = slice(int(starts[i]), end, step)
    return x[tuple(cut)]


def _reshape(op: Operator, a: list[Array]) -> Any:
    target = [int(v) for v in (a[1] if len(a) > 1 else op.numbers("shape"))]
    if not op.number("allowzero", 0):
        target = [a[0].shape[i] if d == 0 else d for i, d in enumerate(target)]
    return a[0].reshape(target)


def _divide(_: Operator, a: list[Array]) -> Any:
    if a[0].dtype.kind not in "iu":
        return a[0] / a[1]
    return np.trunc(a[0] / a[1])


def _reduced(function: Callable[..., Any]) -> Evaluation:
    def evaluate(op: Operator, a: list[Array]) -> Any:
        axes = _axes(op, a) or None
        return function(a[0], axis=axes, keepdims=bool(op.number("keepdims", 1)))

    return evaluate


def _pairwise(function: Callable[..., Any]) -> Evaluation:
    def evaluate(_: Operator, a: list[Array]) -> Any:
        result = a[0]
        for other in a[1:]:
            result = function(result, other)
        return result

    return evaluate


def _constant_of_shape(op: Operator, a: list[Array]) -> Any:
    shape = [int(d) for d in a[0]]
    if num_elements(shape) > MOST_DATA:
        raise ValueError("too large to matter")
    tensor = op.attributes.get("value")
    fill = 0.0 if tensor is None else _fill_value(tensor)
    return np.full(shape, fill)


def _fill_value(tensor: Any) -> Any:
    """The single element of a ConstantOfShape attribute."""
    return onnx.numpy_helper.to_array(tensor).reshape(-1)[0]


def _expand(_: Operator, a: list[Array]) -> Any:
    shape = np.broadcast_shapes(a[0].shape, tuple(int(d) for d in a[1]))
    if num_elements(shape) > MOST_DATA:
        raise ValueError("too large to matter")
    return np.broadcast_to(a[0], shape)


def _range(_: Operator, a: list[Array]) -> Any:
    start, limit, step = (v.reshape(-1)[0] for v in a)
    if step == 0 or abs((limit - start) / step) > MOST_DATA:
        raise ValueError("too large to matter")
    return np.arange(start, limit, step)


VALUES: Mapping[str, Evaluation] = {
    "Shape": _shape,
    "Size": lambda op, _: op.size(0),
    "Identity": lambda _, a: a[0],
    "Cast": lambda _, a: a[0],
    "Gather": lambda op, a: np.take(a[0], a[1].astype(np.int64), axis=op.number("axis", 0)),
    "Concat": lambda op, a: np.concatenate(a, axis=op.number("axis", 1)),
    "Slice": _slice,
    "Unsqueeze": lambda op, a: np.expand_dims(a[0], _axes(op, a)),
    "Squeeze": lambda op, a: np.squeeze(a[0], axis=_axes(op, a) or None),
    "Reshape": _reshape,
    "Flatten": lambda op, a: a[0].reshape(op.out_dims()),
    "Transpose": lambda op, a: np.transpose(a[0], op.attributes.get("perm")),
    "Add": lambda _, a: a[0] + a[1],
    "Sub": lambda _, a: a[0] - a[1],
    "Mul": lambda _, a: a[0] * a[1],
    "Div": _divide,
    "Mod": lambda op, a: (np.fmod if op.number("fmod", 0) else np.mod)(a[0], a[1]),
    "Neg": lambda _, a: -a[0],
    "Abs": lambda _, a: np.abs(a[0]),
    "Pow": lambda _, a: np.power(a[0].astype(np.float64), a[1]),
    "Sqrt": lambda _, a: np.sqrt(a[0]),
    "Floor": lambda _, a: np.floor(a[0]),
    "Ceil": lambda _, a: np.ceil(a[0]),
    "Round": lambda _, a: np.round(a[0]),
    "Min": _pairwise(np.minimum),
    "Max": _pairwise(np.maximum),
    "And": lambda _, a: a[0] & a[1],
    "Or": lambda _, a: a[0] | a[1],
    "Not": lambda _, a: ~a[0],
    "Equal": lambda _, a: a[0] == a[1],
    "Greater": lambda _, a: a[0] > a[1],
    "GreaterOrEqual": lambda _, a: a[0] >= a[1],
    "Less": lambda _, a: a[0] < a[1],
    "LessOrEqual": lambda _, a: a[0] <= a[1],
    "Where": lambda _, a: np.where(a[0], a[1], a[2]),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Range": _range,
}

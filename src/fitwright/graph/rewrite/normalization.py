"""Layer and root-mean-square normalisation written out become one operator each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fitwright.graph.rewrite.edit import Tally, Workbench, sizes
from fitwright.graph.rewrite.fusion import Fusion, fuse
from fitwright.graph.rewrite.match import Constant, Match, Number, Pattern, X, array, one_of, op

_EPSILON = Number(None, "epsilon")
_WEIGHT, _BIAS = Constant("weight"), Constant("bias")


def _mean(of: Pattern) -> Pattern:
    return op("ReduceMean", of)


def _square(of: Pattern) -> Pattern:
    return one_of(op("Pow", of, Number(2.0)), op("Mul", of, of))


def _over_root(value: Pattern, variance: Pattern) -> Pattern:
    """value / sqrt(variance + epsilon), as a quotient or as a product with the reciprocal."""
    root = op("Sqrt", op("Add", variance, _EPSILON))
    inverse = one_of(
        op("Reciprocal", root),
        op("Div", Number(1.0), root),
        op("Pow", op("Add", variance, _EPSILON), Number(-0.5)),
    )
    return one_of(op("Div", value, root), op("Mul", value, inverse))


_CENTRED = op("Sub", X, _mean(X), output="centred")
_CENTRED_AGAIN = op("Sub", X, _mean(X))
_LAYER = one_of(
    _over_root(_CENTRED, _mean(_square(_CENTRED))),
    _over_root(_CENTRED, _mean(_square(_CENTRED_AGAIN))),
)
_ROOT_MEAN_SQUARE = _over_root(X, _mean(_square(X)))


def _weighted(core: Pattern) -> Pattern:
    return op("Mul", core, _WEIGHT)


def _misfit(found: Match) -> str | None:
    """Why the place is not the operator, or None."""
    x = found.values["x"]
    shape = sizes(x)
    if shape is None or not shape or x.dtype not in (ir.DataType.FLOAT, ir.DataType.FLOAT16):
        return "over values of unknown shape or another type"
    for node in found.nodes:
        if node.op_type == "ReduceMean" and not _over_last_axis(node, rank=len(shape)):
            return "over other axes than the last"
    for name in ("weight", "bias"):
        if name in found.values and _vector(found.values[name], shape[-1]) is None:
            return "whose weight or bias is no vector over the last axis"
    return None


def _over_last_axis(node: ir.Node, *, rank: int) -> bool:
    keeps = node.attributes.get("keepdims")
    if keeps is not None and not keeps.as_int():
        return False
    axes = node.attributes["axes"].as_ints() if "axes" in node.attributes else None
    if axes is None and len(node.inputs) > 1:
        given = array(node.inputs[1])
        axes = None if given is None else tuple(int(a) for a in given.reshape(-1))
    return axes is not None and [axis % rank for axis in axes] == [rank - 1]


def _vector(value: ir.Value, size: int) -> NDArray[Any] | None:
    """The constant as (size,); a single number is spread; None when it is anything else."""
    values = array(value)
    if values is None or values.size not in (1, size) or (values.shape or (1,))[-1] != values.size:
        return None
    return np.broadcast_to(values.reshape(-1), (size,))


def _as(kind: str) -> Callable[[Workbench, Match], ir.Value]:
    """Writes the operator over the last axis of x."""

    def make(bench: Workbench, found: Match) -> ir.Value:
        x = found.values["x"]
        shape = sizes(x)
        assert shape is not None, "checked by `_misfit`"
        scale = _parameter(bench, found, "weight", shape[-1], default=np.ones(shape[-1]))
        inputs = [x, scale]
        if "bias" in found.values:
            inputs.append(_parameter(bench, found, "bias", shape[-1], default=np.zeros(shape[-1])))
        attributes = {"axis": -1, "epsilon": found.number("epsilon"), "stash_type": 1}
        return bench.node(kind, inputs, attributes, shape=shape, like=x)

    return make


def _parameter(
    bench: Workbench, found: Match, name: str, size: int, *, default: NDArray[Any]
) -> ir.Value:
    value, x = found.values.get(name), found.values["x"]
    assert x.dtype is not None, "checked by `_misfit`"
    if value is not None and sizes(value) == (size,):
        return value
    vector = default if value is None else _vector(value, size)
    assert vector is not None, "checked by `_misfit`"
    return bench.constant(vector.astype(x.dtype.numpy()), hint=name)


def _row(kind: str, *, opset: int, pattern: Pattern) -> Fusion:
    return Fusion(
        kind=kind,
        opset=opset,
        pattern=pattern,
        ends=frozenset({"Add", "Mul", "Div"}),
        make=_as(kind),
        holds=lambda found: any(node.op_type == "ReduceMean" for node in found.nodes),
        misfit=_misfit,
    )


# With its bias before without: the longer pattern first, so that nothing is left over.
NORMALIZATIONS: tuple[Fusion, ...] = (
    _row("LayerNormalization", opset=17, pattern=op("Add", _weighted(_LAYER), _BIAS)),
    _row("LayerNormalization", opset=17, pattern=_weighted(_LAYER)),
    _row("LayerNormalization", opset=17, pattern=_LAYER),
    _row("RMSNormalization", opset=23, pattern=_weighted(_ROOT_MEAN_SQUARE)),
    _row("RMSNormalization", opset=23, pattern=_ROOT_MEAN_SQUARE),
)


def fuse_normalization(model: ir.Model) -> Tally:
    """Replace every normalisation of the table; raises the opset as far as they need.

    Ensures: the same outputs up to rounding.
    """
    return fuse(model, NORMALIZATIONS, noun="normalisation")

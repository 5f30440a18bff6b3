"""Activations written out in elementary operators become one operator each."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

from fitwright.graph.rewrite.edit import Tally, Workbench
from fitwright.graph.rewrite.fusion import Fusion, fuse
from fitwright.graph.rewrite.match import Match, Number, Pattern, X, float_attribute, one_of, op

_ROOT_TWO = math.sqrt(2.0)
_SLOPE, _CUBIC = math.sqrt(2.0 / math.pi), 0.044715  # GELU by tanh, Hendrycks and Gimpel 2016


def _times(value: float, *, of: Pattern) -> Pattern:
    """The pattern multiplied by a number, or divided by its inverse."""
    return one_of(op("Mul", of, Number(value)), op("Div", of, Number(1.0 / value)))


def _product(*factors: Pattern) -> Pattern:
    """Three factors, multiplied in any order."""
    a, b, c = factors
    return one_of(
        op("Mul", a, op("Mul", b, c)),
        op("Mul", b, op("Mul", a, c)),
        op("Mul", c, op("Mul", a, b)),
    )


_HALF_X = one_of(op("Mul", X, Number(0.5)), op("Div", X, Number(2.0)))


def _gated(gate: Pattern) -> Pattern:
    """x * gate / 2, however the half is placed."""
    return one_of(
        _product(X, Number(0.5), gate),
        op("Mul", _HALF_X, gate),
        op("Div", op("Mul", X, gate), Number(2.0)),
    )


_CUBE = one_of(op("Pow", X, Number(3.0)), op("Mul", X, op("Mul", X, X)))
_TANH_ARGUMENT = one_of(
    _times(_SLOPE, of=op("Add", X, _times(_CUBIC, of=_CUBE))),
    op(
        "Mul",
        _times(_SLOPE, of=X),
        op(
            "Add",
            Number(1.0),
            _times(_CUBIC, of=one_of(op("Mul", X, X), op("Pow", X, Number(2.0)))),
        ),
    ),
)
_SIXTH_OF_RELU6 = one_of(
    op("HardSigmoid", X),
    _times(1.0 / 6.0, of=op("Clip", op("Add", X, Number(3.0)), Number(0.0), Number(6.0))),
)
_HARD_SWISH = one_of(
    op("Mul", X, _SIXTH_OF_RELU6),
    _times(
        1.0 / 6.0,
        of=op("Mul", X, op("Clip", op("Add", X, Number(3.0)), Number(0.0), Number(6.0))),
    ),
)


def _steps_of_a_sixth(found: Match) -> bool:
    """HardSigmoid is the gate of HardSwish for alpha 1/6 and beta 1/2 only."""
    gates = [node for node in found.nodes if node.op_type == "HardSigmoid"]
    return all(
        math.isclose(float_attribute(node, "alpha", 0.2), 1.0 / 6.0, rel_tol=1e-3)
        and math.isclose(float_attribute(node, "beta", 0.5), 0.5, rel_tol=1e-3)
        for node in gates
    )


def _as(kind: str, **attributes: str) -> Callable[[Workbench, Match], ir.Value]:
    """Writes the operator over x; the shape stays what it was."""

    def make(bench: Workbench, found: Match) -> ir.Value:
        x = found.values["x"]
        made = bench.node(kind, [x], attributes, like=x)
        made.shape = x.shape
        return made

    return make


_ERF = op("Erf", _times(1.0 / _ROOT_TWO, of=X))
_ENDS = frozenset({"Mul", "Div"})

# Gelu by tanh comes before Gelu by erf only for reading; no place fits two rows. SiLU has no
# operator before opset 24, and both backends fuse x * sigmoid(x) themselves.
ACTIVATIONS: tuple[Fusion, ...] = (
    Fusion(
        kind="Gelu",
        opset=20,
        pattern=_gated(op("Add", op("Tanh", _TANH_ARGUMENT), Number(1.0))),
        ends=_ENDS,
        make=_as("Gelu", approximate="tanh"),
    ),
    Fusion(
        kind="Gelu",
        opset=20,
        pattern=_gated(op("Add", _ERF, Number(1.0))),
        ends=_ENDS,
        make=_as("Gelu"),
    ),
    Fusion(
        kind="HardSwish",
        opset=14,
        pattern=_HARD_SWISH,
        ends=_ENDS,
        make=_as("HardSwish"),
        holds=_steps_of_a_sixth,
    ),
)


def fuse_activation(model: ir.Model) -> Tally:
    """Replace every activation of the table; raises the opset as far as the operators need.

    Ensures: the same outputs up to rounding.
    """
    return fuse(model, ACTIVATIONS, noun="activation")

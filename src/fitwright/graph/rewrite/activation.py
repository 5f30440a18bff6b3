"""Activations written out in elementary operators become one operator each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import onnx_ir as ir

from fitwright.graph.rewrite.edit import Tally, Workbench, nodes_of, put, swept
from fitwright.graph.rewrite.match import (
    Match,
    Number,
    Pattern,
    X,
    match,
    needed_elsewhere,
    one_of,
    op,
)
from fitwright.graph.rewrite.opset import hindrance, raise_opset

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
        math.isclose(_float(node, "alpha", 0.2), 1.0 / 6.0, rel_tol=1e-3)
        and math.isclose(_float(node, "beta", 0.5), 0.5, rel_tol=1e-3)
        for node in gates
    )


def _float(node: ir.Node, name: str, default: float) -> float:
    return node.attributes[name].as_float() if name in node.attributes else default


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One row of the table.

    Attributes:
        opset: the first that has the operator.
        holds: what the pattern cannot say.
    """

    kind: str
    opset: int
    pattern: Pattern
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    holds: Callable[[Match], bool] = lambda _: True


_ERF = op("Erf", _times(1.0 / _ROOT_TWO, of=X))

# Gelu by tanh comes before Gelu by erf only for reading; no place fits two rows. SiLU has no
# operator before opset 24, and both backends fuse x * sigmoid(x) themselves.
ACTIVATIONS: tuple[Activation, ...] = (
    Activation(
        kind="Gelu",
        opset=20,
        pattern=_gated(op("Add", op("Tanh", _TANH_ARGUMENT), Number(1.0))),
        attributes={"approximate": "tanh"},
    ),
    Activation(kind="Gelu", opset=20, pattern=_gated(op("Add", _ERF, Number(1.0)))),
    Activation(kind="HardSwish", opset=14, pattern=_HARD_SWISH, holds=_steps_of_a_sixth),
)
_ENDS = ("Mul", "Div")


def fuse_activation(model: ir.Model) -> Tally:
    """Replace every activation of the table; raises the opset as far as the operators need.

    Ensures: the same outputs up to rounding.
    """
    tally = Tally()
    for row in ACTIVATIONS:
        places = _places(model.graph, row, tally)
        if not places:
            continue
        if why := hindrance(model, row.opset):
            for _ in places:
                tally.leave(f"the opset cannot be raised to {row.opset}: {why}")
            continue
        raise_opset(model, row.opset)
        for root, x in places:
            out = root.outputs[0]
            bench = Workbench(model.graph, root)
            made = bench.node(row.kind, [x], row.attributes, like=x)
            made.shape = out.shape
            put(made, out)
            tally.change(f"activation as {row.kind}")
        swept(model)
    return tally


def _places(graph: ir.Graph, row: Activation, tally: Tally) -> list[tuple[ir.Node, ir.Value]]:
    places = []
    for node in nodes_of(graph):
        if node.op_type not in _ENDS or (found := match(row.pattern, node)) is None:
            continue
        if not row.holds(found):
            continue
        if needed_elsewhere(found, node):
            tally.leave(f"a {row.kind} whose parts are needed elsewhere")
            continue
        places.append((node, found.values["x"]))
    return places

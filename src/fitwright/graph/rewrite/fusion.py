"""Walks a table of fusions: operators written out in parts become one operator each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fitwright.graph.rewrite.edit import Tally, Workbench, nodes_of, put, swept
from fitwright.graph.rewrite.match import Match, Pattern, match, needed_elsewhere
from fitwright.graph.rewrite.opset import hindrance, raise_opset


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """One row of a table.

    Attributes:
        kind: the operator that the parts become.
        opset: the first that has it.
        pattern: of the parts.
        ends: kinds of the node that the pattern ends with.
        make: writes the operator for a place; its output takes the place of the last part's.
        holds: what the pattern cannot say; a place where it is false is another thing.
        misfit: why a place that looks right has to stay, or None.
    """

    kind: str
    opset: int
    pattern: Pattern
    ends: frozenset[str]
    make: Callable[[Workbench, Match], ir.Value]
    holds: Callable[[Match], bool] = lambda _: True
    misfit: Callable[[Match], str | None] = lambda _: None


def fuse(model: ir.Model, table: Sequence[Fusion], *, noun: str) -> Tally:
    """Replace what the rows match, row by row; raises the opset as far as they need.

    Ensures: the same outputs up to rounding.
    """
    tally = Tally()
    for row in table:
        places = _places(model.graph, row, tally)
        if not places:
            continue
        if why := hindrance(model, row.opset):
            for _ in places:
                tally.leave(f"the opset cannot be raised to {row.opset}: {why}")
            continue
        raise_opset(model, row.opset)
        for last, found in places:
            put(row.make(Workbench(model.graph, last), found), last.outputs[0])
            tally.change(f"{noun} as {row.kind}")
        swept(model)
    return tally


def _places(graph: ir.Graph, row: Fusion, tally: Tally) -> list[tuple[ir.Node, Match]]:
    places = []
    for node in nodes_of(graph):
        if node.op_type not in row.ends or (found := match(row.pattern, node)) is None:
            continue
        if not row.holds(found):
            continue
        if why := row.misfit(found):
            tally.leave(f"a {row.kind} {why}")
        elif needed_elsewhere(found, node):
            tally.leave(f"a {row.kind} whose parts are needed elsewhere")
        else:
            places.append((node, found))
    return places

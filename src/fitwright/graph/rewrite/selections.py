"""Selections move upstream, so that what nobody reads is not computed.

A classifier reads one token of its encoder's last layer, and a language model that answers
reads the last one. The exporter computes the layer for all of them and selects behind it.
Keys and values are needed of every token; queries, what follows them, and the layer's dense
part are needed of one. (ONNX Runtime's training does the same to gathers: UpStreamGather.)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import (
    Tally,
    Workbench,
    known_sizes,
    new_constant,
    nodes_of,
    put,
    replaceable,
    sizes,
)
from fitwright.graph.rewrite.match import array
from fitwright.graph.rewrite.needs import SUMMING, Selection, needs, selected
from fitwright.graph.rewrite.opset import standard_opset

_SLICE_TAKES_INPUTS = 10
"""The opset from which the places of a Slice are inputs."""


@dataclass
class Narrowed:
    """Which operators may compute less.

    Attributes:
        wanted: of each such node, what is read of its output.
        needed: of which node and input, what gives that; inputs left out are needed whole.
    """

    wanted: dict[ir.Node, Selection] = field(default_factory=dict)
    needed: dict[tuple[ir.Node, int], Selection] = field(default_factory=dict)


def move_selections(model: ir.Model, tally: Tally) -> None:
    """Products and attentions compute only those rows that a Gather or Slice behind them reads.

    Requires: static shapes, stated in the graph. Ensures: the same outputs, up to rounding.
    """
    graph, opset = model.graph, standard_opset(model)
    found = _narrowed(graph, opset=opset)
    nodes = _paying(graph, found)
    if not nodes:
        return
    ends = [node for node in nodes_of(graph) if _reads_one_of(node, nodes)]
    leaves: dict[tuple[ir.Value, Selection], ir.Value] = {}
    for node in nodes_of(graph):
        if node in nodes:
            _feed(graph, node, found, nodes, leaves, opset=opset)
            _shrink(graph, node, found.wanted[node])
    for end in ends:
        _skip(graph, end)
    tally.change("product computed only where it is read", sum(n.op_type in SUMMING for n in nodes))


def _narrowed(graph: ir.Graph, *, opset: int) -> Narrowed:
    """From the outputs towards the inputs: nodes of which every reader wants the same entries."""
    found = Narrowed()
    for node in reversed(tuple(nodes_of(graph))):
        if not node.outputs or selected(node) is not None:
            continue
        out = node.outputs[0]
        wants = {_want(reader, index, found) for reader, index in out.uses()}
        wanted = wants.pop() if len(wants) == 1 and not out.is_graph_output() else None
        parts = needs(node, wanted, opset=opset) if wanted is not None else None
        if wanted is None or parts is None:
            continue
        found.wanted[node] = wanted
        for index, need in enumerate(parts):
            if need is not None:
                found.needed[node, index] = need
    return found


def _want(reader: ir.Node, index: int, found: Narrowed) -> Selection | None:
    """What a reader wants of that input; None: all of it."""
    own = selected(reader) if index == 0 else None
    return own or found.needed.get((reader, index))


def _paying(graph: ir.Graph, found: Narrowed) -> set[ir.Node]:
    """Products and attentions among those nodes, and what lies between them and the selection."""
    paying: set[ir.Node] = set()
    for node in nodes_of(graph):
        if node in found.wanted and (node.op_type in SUMMING or _reads_one_of(node, paying)):
            paying.add(node)
    return paying


def _reads_one_of(node: ir.Node, nodes: set[ir.Node]) -> bool:
    """Whether an input is such a node's output, which is read in part only."""
    return node not in nodes and any(v is not None and v.producer() in nodes for v in node.inputs)


def _feed(
    graph: ir.Graph,
    node: ir.Node,
    found: Narrowed,
    nodes: set[ir.Node],
    leaves: dict[tuple[ir.Value, Selection], ir.Value],
    *,
    opset: int,
) -> None:
    """Select before the node what its producers do not narrow themselves."""
    for index, value in enumerate(tuple(node.inputs)):
        need = found.needed.get((node, index))
        if value is None or need is None or value.producer() in nodes:
            continue
        if (value, need) not in leaves:
            leaves[value, need] = _leaf(Workbench(graph, node), value, need, opset=opset)
        node.replace_input_with(index, leaves[value, need])


def _leaf(bench: Workbench, value: ir.Value, need: Selection, *, opset: int) -> ir.Value:
    """Those entries of a value, as a smaller constant, a Slice or a Gather."""
    values, shape = array(value), known_sizes(value)
    if values is not None:
        return bench.constant(np.take(values, need.entries, need.axis), hint=value.name or "part")
    first, last = need.entries[0], need.entries[-1]
    in_a_row = all(after == before + 1 for before, after in pairwise(need.entries))
    if not in_a_row or opset < _SLICE_TAKES_INPUTS:
        places = bench.constant(np.asarray(need.entries, np.int64), hint="places")
        taken = {"axis": need.axis}
        return bench.node("Gather", [value, places], taken, shape=need.of(shape))
    # counted from the end, the last token is the same place at every length
    at_end = last + 1 == shape[need.axis]
    start, end = (first - last - 1, sys.maxsize) if at_end else (first, last + 1)
    numbers = {"start": start, "end": end, "axis": need.axis}
    bounds = [bench.constant(np.asarray([n], np.int64), hint=hint) for hint, n in numbers.items()]
    return bench.node("Slice", [value, *bounds], shape=need.of(shape))


def _shrink(graph: ir.Graph, node: ir.Node, wanted: Selection) -> None:
    """State the smaller shape of the node's output, in its operand too where it has one."""
    out = node.outputs[0]
    smaller = wanted.of(known_sizes(out))
    out.shape = ir.Shape(smaller)
    if node.op_type in ("Reshape", "Expand"):
        target = new_constant(graph, np.asarray(smaller, np.int64), hint="shape")
        node.replace_input_with(1, target)


def _skip(graph: ir.Graph, end: ir.Node) -> None:
    """A selection whose input holds nothing else any more becomes a reshape, or nothing."""
    value, out = end.inputs[0], end.outputs[0]
    assert value is not None, "a selection has something to select from"
    shape = known_sizes(out)
    if sizes(value) == shape and replaceable(value, out):
        put(value, out)
    else:
        put(Workbench(graph, end).reshaped(value, shape), out)

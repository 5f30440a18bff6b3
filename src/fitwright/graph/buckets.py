"""One network at several lengths in one file; each query takes the shortest that holds it.

The lengths share their weights. The mask says how many tokens are a query's own; the inputs
are cut to the length chosen, and outputs that have a value per token are filled with zeros up
to the length of the longest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fitwright.graph.own_length import (
    constant,
    cut_to,
    own_length,
    require_same_network,
    token_axes,
)
from fitwright.graph.rewrite.edit import infer_shapes, sizes
from fitwright.graph.write import open_for_edit, write_model

_SHARED_FROM_BYTES = 1024
"""Smaller constants stay in each branch: shapes and axes, which a backend reads as it compiles."""


def merge_lengths(parts: Mapping[int, Path], out: Path, *, mask: str) -> None:
    """Write one model that runs, for each query, the shortest of `parts` that holds it.

    Requires: the same network at several lengths, all static, the longest among them with the
    shapes that queries have; an integer or boolean input `mask`, (batch, tokens), whose zeros
    behind the last other value are padding. Ensures: inputs and outputs of the longest; a row
    that is all padding takes the longest.

    Raises:
        ModelRefused: the files are no such models.
    """
    models = {length: open_for_edit(file) for length, file in sorted(parts.items())}
    longest = max(models)
    require_same_network(models, mask=mask)
    outer = _Outer(models[longest], mask=mask, longest=longest)
    for length, model in models.items():
        infer_shapes(model)
        outer.branches[length] = _branch(model, outer, length=length)
    write_model(outer.model(), out)


class _Outer:
    """The graph around the branches: inputs, shared weights, and the choice between lengths."""

    def __init__(self, like: ir.Model, *, mask: str, longest: int) -> None:
        self.like, self.longest = like, longest
        self.inputs = {
            v.name: ir.Value(name=v.name, type=v.type, shape=v.shape) for v in like.graph.inputs
        }
        self.outputs = [(v.name, v.type, sizes(v)) for v in like.graph.outputs]
        self.weights: dict[str, ir.Value] = {}
        self.branches: dict[int, ir.Graph] = {}
        self.mask = self.inputs[mask]

    def shared(self, value: ir.Value) -> ir.Value:
        """The one value for all constants of this content."""
        tensor = value.const_value
        assert tensor is not None, "an initializer holds a tensor"
        content = hashlib.sha256(tensor.tobytes()).hexdigest()
        key = f"{tensor.dtype} {tuple(tensor.shape)} {content}"
        if key not in self.weights:
            value.name = f"shared_{len(self.weights)}/{value.name}"
            self.weights[key] = value
        return self.weights[key]

    def model(self) -> ir.Model:
        """The whole: how long the query is, then the nested choice."""
        opset = self.like.opset_imports[""]
        length, nodes, constants = own_length(self.mask, longest=self.longest, opset=opset)
        bounds = {n: constant(np.asarray(n, np.int64), f"bucket_{n}") for n in self.branches}
        *short, longest = sorted(self.branches)
        choices: list[ir.Node] = []
        otherwise = self.branches[longest]
        for n in reversed(short):
            if choices:
                inner = choices[-1].outputs
                otherwise = ir.Graph([], inner, nodes=choices, name=f"above_{n}")
            fits = ir.node("LessOrEqual", [length, bounds[n]])
            fits.outputs[0].name = f"bucket_fits/{n}"
            choice = ir.node(
                "If",
                [fits.outputs[0]],
                attributes={"then_branch": self.branches[n], "else_branch": otherwise},
                num_outputs=len(self.outputs),
            )
            self._state(choice, suffix="" if n == short[0] else f"above_{n}")
            choices = [fits, choice]
        graph = ir.Graph(
            list(self.inputs.values()),
            choices[-1].outputs,
            nodes=[*nodes, *choices],
            initializers=[*constants, *(bounds[n] for n in short), *self.weights.values()],
            opset_imports=dict(self.like.opset_imports),
            name="buckets",
        )
        return ir.Model(graph, ir_version=self.like.ir_version, producer_name="fitwright")

    def _state(self, choice: ir.Node, *, suffix: str) -> None:
        """Names, types and shapes of what a choice gives."""
        for value, (name, type_, shape) in zip(choice.outputs, self.outputs, strict=True):
            value.name = f"{name}/{suffix}" if suffix else name
            value.type, value.shape = type_, ir.Shape(shape or ())


def _branch(model: ir.Model, outer: _Outer, *, length: int) -> ir.Graph:
    """One length as the body of a choice: inputs cut, the network, outputs filled up."""
    graph, found = model.graph, list(model.graph)
    graph.remove(found)
    constants = _constants_of(graph, outer)
    before: list[ir.Node] = []
    first = constant(np.asarray([length], np.int64), f"up_to_{length}")
    constants.append(first)
    for value in graph.inputs:
        given = outer.inputs[value.name]
        axes = token_axes(
            value.name or "", sizes(value), sizes(given), length=length, longest=outer.longest
        )
        cut = cut_to(given, axes, first, nodes=before, constants=constants)
        value.replace_all_uses_with(cut, replace_graph_outputs=True)
    after: list[ir.Node] = []
    outputs = []
    for value, (name, type_, whole) in zip(graph.outputs, outer.outputs, strict=True):
        filled = _filled(value, whole, length, outer.longest, nodes=after, constants=constants)
        filled.name, filled.type = f"{name}/filled_{length}", type_
        filled.shape = ir.Shape(whole or ())
        outputs.append(filled)
    graph.outputs.clear()
    values = [v for node in (*before, *found) for v in node.outputs if v not in outputs]
    for value in (*values, *constants):
        value.name = f"{value.name}/{length}"
    for number, node in enumerate(found):
        node.name = f"{node.name or node.op_type}_{number}/{length}"
    return ir.Graph(
        [], outputs, nodes=[*before, *found, *after], initializers=constants, name=f"up_to_{length}"
    )


def _constants_of(graph: ir.Graph, outer: _Outer) -> list[ir.Value]:
    """Take the graph's constants from it: those that lengths share go out, the rest is given."""
    kept: list[ir.Value] = []
    for value in list(graph.initializers.values()):
        tensor = value.const_value
        assert tensor is not None, "an initializer holds a tensor"
        del graph.initializers[value.name or ""]
        if tensor.nbytes < _SHARED_FROM_BYTES:
            kept.append(value)
        elif (shared := outer.shared(value)) is not value:
            value.replace_all_uses_with(shared, replace_graph_outputs=True)
    return kept


def _filled(
    value: ir.Value,
    whole: Sequence[int] | None,
    length: int,
    longest: int,
    *,
    nodes: list[ir.Node],
    constants: list[ir.Value],
) -> ir.Value:
    """Zeros behind the last token; what has no axis of tokens passes as it is."""
    name = value.name or ""
    axes = token_axes(name, sizes(value), whole, length=length, longest=longest)
    if axes:
        ends = [longest - length if a in axes else 0 for a in range(len(whole or ()))]
        pads = constant(np.asarray([0] * len(ends) + ends, np.int64), f"{name}/pads")
        constants.append(pads)
        node = ir.node("Pad", [value, pads])
    else:
        node = ir.node("Identity", [value])
    nodes.append(node)
    return node.outputs[0]

"""A model that cuts each query to its own tokens, computes those, and fills up its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fitwright.graph.free_length import free_length
from fitwright.graph.own_length import (
    constant,
    cut_to,
    not_joined,
    own_length,
    require_same_network,
    token_axes,
)
from fitwright.graph.rewrite.edit import infer_shapes, sizes, swept
from fitwright.graph.write import open_for_edit, write_model

STEP = 8  # tokens; kernels work on as many rows at once, and shapes come back sooner

Axes = Mapping[str, Sequence[int]]


def trim_padding(parts: Mapping[int, Path], out: Path, *, mask: str) -> None:
    """Write one model with the inputs of the longest of `parts` and a free length behind them.

    Requires: as `merge_lengths`, at three lengths or more. Ensures: outputs as before up to the
    query's last token, zeros behind the next multiple of `STEP`; a row that is all padding is
    computed whole.

    Raises:
        ModelRefused: the files are no such models.
    """
    models = {length: open_for_edit(file) for length, file in sorted(parts.items())}
    require_same_network(models, mask=mask)
    for model in models.values():
        infer_shapes(model)
    longest = max(models)
    model = models[longest]
    inputs, outputs = (_axes(models, ends) for ends in ("inputs", "outputs"))
    if not inputs[mask]:
        raise not_joined("The mask is no longer at more tokens")
    _trim(model, models, inputs, outputs, mask=mask, longest=longest)
    swept(model)
    write_model(model, out)


def _axes(models: Mapping[int, ir.Model], ends: str) -> dict[str, Sequence[int]]:
    """Of tokens, by the name of an input or output."""
    longest = max(models)
    found: dict[str, Sequence[int]] = {}
    for length, model in models.items():
        for value, whole in zip(
            getattr(model.graph, ends), getattr(models[longest].graph, ends), strict=True
        ):
            axes = token_axes(
                whole.name or "", sizes(value), sizes(whole), length=length, longest=longest
            )
            found[whole.name or ""] = axes or found.get(whole.name or "", ())
    return found


def _trim(
    model: ir.Model,
    models: Mapping[int, ir.Model],
    inputs: Axes,
    outputs: Axes,
    *,
    mask: str,
    longest: int,
) -> None:
    graph = model.graph
    given = {v.name or "": ir.Value(name=v.name, type=v.type, shape=v.shape) for v in graph.inputs}
    own = own_length(given[mask], longest=longest, opset=model.opset_imports[""])
    front, constants = own.nodes, own.constants
    length, scalar = _in_steps(own.value, longest, nodes=front, constants=constants)
    shapes = {v.name or "": sizes(v) for v in graph.outputs}
    freed = free_length(models, length=length, scalar=scalar)
    front += freed.nodes
    constants += freed.constants
    for old in list(graph.inputs):
        name = old.name or ""
        cut = cut_to(given[name], inputs[name], length, nodes=front, constants=constants)
        old.replace_all_uses_with(cut, replace_graph_outputs=True)
    graph.inputs[:] = list(given.values())
    back = _filled(graph, outputs, shapes, length, longest, constants)
    for value in constants:
        graph.register_initializer(value)
    graph.insert_before(next(iter(graph)), front)
    graph.extend(back)


def _in_steps(
    own: ir.Value, longest: int, *, nodes: list[ir.Node], constants: list[ir.Value]
) -> tuple[ir.Value, ir.Value]:
    """The length rounded up, as a vector of one number and without an axis."""
    up = constant(np.asarray(STEP - 1, np.int64), "trim_up")
    step = constant(np.asarray(STEP, np.int64), "trim_step")
    most = constant(np.asarray(longest, np.int64), "trim_most")
    axis = constant(np.asarray([0], np.int64), "trim_axis")
    raised = ir.node("Add", [own, up])
    whole = ir.node("Div", [raised.outputs[0], step])
    rounded = ir.node("Mul", [whole.outputs[0], step])
    scalar = ir.node("Min", [rounded.outputs[0], most])
    vector = ir.node("Unsqueeze", [scalar.outputs[0], axis])
    made = [raised, whole, rounded, scalar, vector]
    for number, node in enumerate(made):
        node.outputs[0].name = f"trim_length/{number}"
    nodes += made
    constants += [up, step, most, axis]
    return vector.outputs[0], scalar.outputs[0]


def _filled(
    graph: ir.Graph,
    outputs: Axes,
    shapes: Mapping[str, Sequence[int] | None],
    length: ir.Value,
    longest: int,
    constants: list[ir.Value],
) -> list[ir.Node]:
    """Zeros behind the tokens of each output that has some."""
    whole = constant(np.asarray([longest], np.int64), "trim_longest")
    constants.append(whole)
    missing = ir.node("Sub", [whole, length])
    missing.outputs[0].name = "trim_missing"
    nodes = [missing]
    for place, value in enumerate(list(graph.outputs)):
        name = value.name or ""
        value.shape = ir.Shape(shapes[name] or ())
        if not outputs[name]:
            continue
        rank = len(value.shape)
        behind = np.zeros(2 * rank, np.int64)
        behind[[rank + axis for axis in outputs[name]]] = 1
        where = constant(behind, f"{name}/behind")
        constants.append(where)
        pads = ir.node("Mul", [where, missing.outputs[0]])
        pads.outputs[0].name = f"{name}/pads"
        pad = ir.node("Pad", [value, pads.outputs[0]])
        filled = pad.outputs[0]
        filled.name, filled.type, filled.shape = name, value.type, value.shape
        value.name, value.shape = f"{name}/own", None
        graph.outputs[place] = filled
        nodes += [pads, pad]
    return nodes

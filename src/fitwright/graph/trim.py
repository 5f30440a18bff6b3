"""A model that cuts each query to its own tokens, computes those, and fills up its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fitwright.graph.fix_shapes import fix_shapes
from fitwright.graph.own_length import constant, not_joined, own_length, require_mask
from fitwright.graph.refusal import shown
from fitwright.graph.rewrite.edit import sizes
from fitwright.graph.write import open_for_edit, write_model
from fitwright.records.model import TensorInfo

STEP = 8  # tokens; kernels work on as many rows at once, and shapes come back sooner


def trim_padding(
    model: Path,
    out: Path,
    *,
    mask: str,
    symbol: str,
    longest: int,
    outputs: Sequence[tuple[str, int]],
    bindings: Mapping[str, int],
    inputs: tuple[TensorInfo, ...],
) -> None:
    """Write `model` with static inputs of `longest` tokens, and free ones behind them.

    Requires: an input `mask`, (batch, tokens), whose zeros behind the last other value are
    padding. Ensures: outputs as before up to the query's last token, zeros behind the next
    multiple of `STEP`; a row that is all padding is computed whole.

    Args:
        symbol: the free size that counts the tokens.
        outputs: name and axis of those with a value per token.
        bindings, inputs: as for `fix_shapes`, at `longest` tokens.

    Raises:
        ModelRefused: the model is none such.
    """
    shapes = {v.name: v.shape for v in open_for_edit(model).graph.inputs}
    free = tuple(_freed(info, shapes.get(info.name), symbol) for info in inputs)
    others = {name: size for name, size in bindings.items() if name != symbol}
    fix_shapes(model, out, bindings=others, inputs=free)
    graph_model = open_for_edit(out)
    require_mask(graph_model, mask)
    _require_token_axis(free, mask, symbol)
    _trim(graph_model, mask=mask, symbol=symbol, longest=longest, outputs=outputs)
    write_model(graph_model, out)


def _freed(info: TensorInfo, stated: ir.Shape | None, symbol: str) -> TensorInfo:
    """The input with the symbol where the file has it."""
    if stated is None:
        return info
    pairs = zip(stated, info.shape, strict=True)
    free = tuple(symbol if _names(dim, symbol) else size for dim, size in pairs)
    return info.model_copy(update={"shape": free})


def _names(dim: int | ir.SymbolicDim, symbol: str) -> bool:
    return not isinstance(dim, int) and dim.value == symbol


def _require_token_axis(inputs: Sequence[TensorInfo], mask: str, symbol: str) -> None:
    shape = next(i.shape for i in inputs if i.name == mask)
    if shape[1] != symbol:
        raise not_joined(f"'{shown(mask)}' does not take any number of tokens")


def _trim(
    model: ir.Model,
    *,
    mask: str,
    symbol: str,
    longest: int,
    outputs: Sequence[tuple[str, int]],
) -> None:
    graph = model.graph
    given = [_whole(value, symbol, longest) for value in graph.inputs]
    of_mask = next(value for value in given if value.name == mask)
    own = own_length(of_mask, longest=longest, opset=model.opset_imports[""])
    length, steps, constants = _in_steps(own.value, longest)
    front = [*own.nodes, *steps]
    constants += own.constants
    for old, new in zip(list(graph.inputs), given, strict=True):
        axes = [a for a, dim in enumerate(old.shape or ()) if _names(dim, symbol)]
        cut = _cut(new, axes, length, nodes=front, constants=constants)
        old.replace_all_uses_with(cut, replace_graph_outputs=True)
    graph.inputs[:] = given
    back = _filled(graph, outputs, length, longest, constants)
    for value in constants:
        graph.register_initializer(value)
    first = next(iter(graph), None)
    graph.insert_before(first, front) if first is not None else graph.extend(front)
    graph.extend(back)


def _whole(value: ir.Value, symbol: str, longest: int) -> ir.Value:
    """The input as queries come: padded."""
    shape = [longest if _names(dim, symbol) else dim for dim in value.shape or ()]
    return ir.Value(name=value.name, type=value.type, shape=ir.Shape(shape))


def _in_steps(own: ir.Value, longest: int) -> tuple[ir.Value, list[ir.Node], list[ir.Value]]:
    """The length rounded up, as a vector of one number."""
    up = constant(np.asarray([STEP - 1], np.int64), "trim_up")
    step = constant(np.asarray([STEP], np.int64), "trim_step")
    most = constant(np.asarray([longest], np.int64), "trim_most")
    raised = ir.node("Add", [own, up])
    whole = ir.node("Div", [raised.outputs[0], step])
    rounded = ir.node("Mul", [whole.outputs[0], step])
    length = ir.node("Min", [rounded.outputs[0], most])
    nodes = [raised, whole, rounded, length]
    for number, node in enumerate(nodes):
        node.outputs[0].name = f"trim_length/{number}"
    return length.outputs[0], nodes, [up, step, most]


def _cut(
    value: ir.Value,
    axes: Sequence[int],
    length: ir.Value,
    *,
    nodes: list[ir.Node],
    constants: list[ir.Value],
) -> ir.Value:
    """The first tokens, along each axis that counts them."""
    for axis in axes:
        start = constant(np.asarray([0], np.int64), f"{value.name}/from_{axis}")
        along = constant(np.asarray([axis], np.int64), f"{value.name}/axis_{axis}")
        constants += [start, along]
        node = ir.node("Slice", [value, start, length, along])
        node.outputs[0].name = f"{value.name}/own_{axis}"
        node.outputs[0].type = value.type
        nodes.append(node)
        value = node.outputs[0]
    return value


def _filled(
    graph: ir.Graph,
    outputs: Sequence[tuple[str, int]],
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
        axes = [axis for name, axis in outputs if name == value.name]
        if not axes:
            continue
        rank = len(value.shape or ())
        behind = np.zeros(2 * rank, np.int64)
        behind[[rank + axis for axis in axes]] = 1
        name = value.name
        where = constant(behind, f"{name}/behind")
        constants.append(where)
        pads = ir.node("Mul", [where, missing.outputs[0]])
        pads.outputs[0].name = f"{name}/pads"
        value.name = f"{name}/own"
        pad = ir.node("Pad", [value, pads.outputs[0]])
        filled = pad.outputs[0]
        filled.name, filled.type = name, value.type
        known = sizes(value)
        filled.shape = ir.Shape(
            [longest if a in axes else dim for a, dim in enumerate(known or value.shape or ())]
        )
        graph.outputs[place] = filled
        nodes += [pads, pad]
    return nodes

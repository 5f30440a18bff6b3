"""Operators that tell, from a mask of padding, how many tokens the queries of a run have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fitwright.errors import ModelRefused
from fitwright.graph.refusal import refused, shown
from fitwright.graph.rewrite.edit import sizes

OLDEST_OPSET = 13
_AXES_ARE_INPUT = 18  # from this opset on ReduceMax takes its axes as an input


class OwnLength(NamedTuple):
    """What is put before everything else.

    Attributes:
        value: int64, no axes: tokens of the longest query of a run.
        nodes: that compute it, in order.
        constants: that they read.
    """

    value: ir.Value
    nodes: list[ir.Node]
    constants: list[ir.Value]


def own_length(mask: ir.Value, *, longest: int, opset: int) -> OwnLength:
    """The place of the last token that the mask keeps; a sample of padding alone is whole.

    Args:
        mask: integers or truth values, shape (batch, `longest`).
    """
    places = constant(np.arange(1, longest + 1, dtype=np.int64), "bucket_places")
    whole = constant(np.asarray(longest, np.int64), "bucket_longest")
    none = constant(np.asarray(0, np.int64), "bucket_none")
    axis = constant(np.asarray([1], np.int64), "bucket_axis")
    by_input = opset >= _AXES_ARE_INPUT
    kept = ir.node("Cast", [mask], attributes={"to": ir.DataType.BOOL})
    counted = ir.node("Cast", [kept.outputs[0]], attributes={"to": ir.DataType.INT64})
    placed = ir.node("Mul", [counted.outputs[0], places])
    last = ir.node(
        "ReduceMax",
        [placed.outputs[0], axis] if by_input else [placed.outputs[0]],
        attributes={"keepdims": 0} | ({} if by_input else {"axes": [1]}),
    )
    empty = ir.node("Equal", [last.outputs[0], none])
    own = ir.node("Where", [empty.outputs[0], whole, last.outputs[0]])
    length = ir.node("ReduceMax", [own.outputs[0]], attributes={"keepdims": 0})
    nodes = [kept, counted, placed, last, empty, own, length]
    for number, node in enumerate(nodes):
        node.outputs[0].name = f"bucket_length/{number}"  # bodies may not use a name again
    constants = [places, whole, none, *([axis] if by_input else [])]
    return OwnLength(length.outputs[0], nodes, constants)


def require_same_network(models: Mapping[int, ir.Model], *, mask: str) -> None:
    """What putting several lengths into one file relies on.

    Raises:
        ModelRefused: the input is no mask, or the models are not one network at these lengths.
    """
    longest = models[max(models)]
    opsets = {tuple(sorted(m.opset_imports.items())) for m in models.values()}
    why = ""
    if len(opsets) > 1:
        why = "The models of the lengths differ in their operator sets"
    elif longest.opset_imports.get("", 0) < OLDEST_OPSET:
        why = f"Lengths are told by operators of opset {OLDEST_OPSET} on, and the model is older"
    elif any(m.functions or list(m.graph.subgraphs()) for m in models.values()):
        why = "The model holds functions or control flow of its own"
    else:
        why = _no_mask(longest, mask) or _wrong_length(models, mask)
    if why:
        raise not_joined(why)


def _no_mask(model: ir.Model, mask: str) -> str:
    value = next((v for v in model.graph.inputs if v.name == mask), None)
    if value is None or len(sizes(value) or ()) != 2:
        return f"'{shown(mask)}' is no input of shape (batch, tokens)"
    if value.dtype not in (ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL):
        return f"'{shown(mask)}' is neither of integers nor boolean, so no zero need mean padding"
    return ""


def _wrong_length(models: Mapping[int, ir.Model], mask: str) -> str:
    for length, model in models.items():
        shapes = (sizes(v) for v in model.graph.inputs if v.name == mask)
        if any(shape is None or shape[1] != length for shape in shapes):
            return f"'{shown(mask)}' does not take {length} tokens in the model made for as many"
    return ""


def token_axes(
    name: str,
    ours: Sequence[int | str | None] | None,
    theirs: Sequence[int | str | None] | None,
    *,
    length: int,
    longest: int,
) -> tuple[int, ...]:
    """Those along which a tensor of the shorter model is as much shorter.

    Args:
        ours, theirs: its shape at `length` and at `longest` tokens.

    Raises:
        ModelRefused: the shapes differ otherwise.
    """
    if ours is not None and theirs is not None and len(ours) == len(theirs):
        axes = tuple(a for a, (n, m) in enumerate(zip(ours, theirs, strict=True)) if n != m)
        if all((ours[a], theirs[a]) == (length, longest) for a in axes):
            return axes
    raise not_joined(
        f"'{shown(name)}' has shape {ours} at {length} tokens and {theirs} at {longest}: no axis "
        "counts the tokens alone"
    )


def not_joined(why: str) -> ModelRefused:
    """The refusal, whose remedy is to do nothing."""
    return refused("FW248", f"{why}.", "Leave the queries at one length.")


def constant(value: NDArray[Any], name: str) -> ir.Value:
    """An initializer."""
    tensor = ir.tensor(value, name=name)
    return ir.Value(
        name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(value.shape), const_value=tensor
    )


def cut_to(
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

"""A query's samples dealt out among equal parts: the same network for a part of the batch.

Cutting a batch in parts that run at once, each on cores of its own, spares the waiting that
threads of one run do for each other after every operator. It needs a network that computes each
sample by itself, and shapes that were stated for the whole batch must shrink. Both are found by
following the first axis from the outputs to the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fitwright.errors import ModelRefused
from fitwright.graph.refusal import refused, shown
from fitwright.graph.rewrite.edit import known_sizes, new_constant, nodes_of, sizes, swept
from fitwright.graph.rewrite.layers import needs_of
from fitwright.graph.rewrite.match import array
from fitwright.graph.rewrite.needs import Needs, Selection
from fitwright.graph.rewrite.opset import standard_opset
from fitwright.graph.rewrite.rewriting import prepared
from fitwright.graph.write import open_for_edit, write_model

_TARGETS = {"Reshape": 1, "Expand": 1, "Resize": 3}
"""Which input may state the shape of the output."""
_Key = tuple[ir.Node, int]


def divide_batch(model: Path, out: Path, *, parts: int) -> None:
    """Write `model` for one of `parts` equal parts of its samples.

    Requires: a model with static shapes whose inputs and outputs all open with the samples.
    Ensures: the outputs of the parts, one behind the other, are the whole's.

    Raises:
        ModelRefused: what a sample gets depends on the others, or might.
    """
    graph_model = open_for_edit(model)
    swept(graph_model)
    prepared(graph_model)
    _require_parts(graph_model.graph, parts)
    found = [_followed(graph_model, part, parts) for part in range(parts)]
    _require_same(found)
    _shrink(graph_model.graph, found[0])
    swept(graph_model)
    write_model(graph_model, out)


def _not_divided(why: str) -> ModelRefused:
    """The refusal, whose remedy is to do nothing."""
    return refused("FW249", f"The batch is not cut: {why}.", "Run each query whole.")


@dataclass(frozen=True)
class _Part:
    """What one part reads.

    Attributes:
        wanted: of each value, where that is not all of it.
        needed: of an operator's input, where that is not all of it.
    """

    wanted: dict[ir.Value, Selection] = field(default_factory=dict)
    needed: dict[_Key, Selection] = field(default_factory=dict)

    def constants(self) -> Iterator[tuple[_Key, NDArray[Any]]]:
        """What the part reads of each constant that holds something for each sample."""
        for (node, i), need in self.needed.items():
            values = array(node.inputs[i])
            if values is None:
                continue
            taken = np.take(values, need.entries, need.axis)
            data = self.needed.get((node, 0))
            if node.op_type == "GatherND" and i == 1 and data is not None:
                taken[..., 0] -= data.entries[0]  # places in the part, not in the whole
            yield (node, i), taken


def _require_parts(graph: ir.Graph, parts: int) -> None:
    """Every input must open with the same number of samples, and every output with as many
    entries or a multiple."""
    counts = {}
    for value in (*graph.inputs, *graph.outputs):
        shape = sizes(value)
        if not shape or shape[0] % parts:
            raise _not_divided(
                f"{_quoted(value)} does not open with an axis that makes {parts} parts"
            )
        counts[value] = shape[0]
    if len({counts[value] for value in graph.inputs}) > 1:
        raise _not_divided("the inputs do not open with the same number of samples")


def _followed(model: ir.Model, part: int, parts: int) -> _Part:
    """From the outputs of that part to what it reads of the inputs."""
    graph, opset = model.graph, standard_opset(model)
    found = _Part()
    needed = found.needed
    ends = {value: _share(value, part, parts) for value in graph.outputs}
    for node in reversed(tuple(nodes_of(graph))):
        wants = [_want(value, needed, ends) for value in node.outputs]
        if all(want is None for want in wants):
            continue
        parts_of = needs_of(node, wants, opset=opset)
        if parts_of is None:
            raise _not_divided(f"{_named(node)} may mix samples")
        found.wanted.update({v: w for v, w in zip(node.outputs, wants, strict=True) if w})
        needed.update({(node, i): need for i, need in _selected(node, parts_of)})
    for value in graph.inputs:
        want = _want(value, needed, ends)
        if want is None and (reader := next(iter(value.uses()), None)) is not None:
            raise _not_divided(f"{_named(reader.node)} reads all samples of {_quoted(value)}")
        if want is not None and want != _share(value, part, parts):
            raise _not_divided(f"{_quoted(value)} is read in another order")
        found.wanted[value] = want or _share(value, part, parts)
    return found


def _share(value: ir.Value, part: int, parts: int) -> Selection:
    """That part's entries of the first axis."""
    size = known_sizes(value)[0] // parts
    return Selection(0, tuple(range(part * size, (part + 1) * size)))


def _selected(node: ir.Node, needs: Needs) -> Iterator[tuple[int, Selection]]:
    for i, (value, need) in enumerate(zip(node.inputs, needs, strict=True)):
        if value is not None and value.name and need is not None:
            yield i, need


def _want(
    value: ir.Value, needed: dict[_Key, Selection], ends: dict[ir.Value, Selection]
) -> Selection | None:
    """What all readers of a value want of it; None where they want all, or nobody reads it."""
    wants = {needed.get((use.node, use.idx)) for use in value.uses()}
    if value in ends:
        wants.add(ends[value])
    if len(wants) > 1:
        raise _not_divided(f"{_quoted(value)} is read in part and as a whole")
    return wants.pop() if wants else None


def _named(node: ir.Node) -> str:
    return f"{shown(node.op_type)} '{shown(node.name)}'" if node.name else shown(node.op_type)


def _require_same(parts: list[_Part]) -> None:
    """Constants that hold something for each sample must hold the same for every part."""
    first, *others = parts
    theirs = [dict(part.constants()) for part in others]
    for (node, i), own in first.constants():
        for other in (part[node, i] for part in theirs):
            if not np.array_equal(own, other, equal_nan=own.dtype.kind == "f"):
                raise _not_divided(f"{_quoted(node.inputs[i])} differs from sample to sample")


def _quoted(value: ir.Value | None) -> str:
    return f"'{shown((value.name if value is not None else None) or '')}'"


def _shrink(graph: ir.Graph, part: _Part) -> None:
    """Constants cut, stated shapes made smaller."""
    cut: dict[tuple[ir.Value, Selection], ir.Value] = {}
    for (node, i), entries in list(part.constants()):
        value, need = node.inputs[i], part.needed[node, i]
        assert value is not None, "a constant is there"
        if (value, need) not in cut:
            cut[value, need] = new_constant(graph, entries, hint=value.name or "part")
        node.replace_input_with(i, cut[value, need])
    for value, want in part.wanted.items():
        smaller = want.of(known_sizes(value))
        value.shape = ir.Shape(smaller)
        maker = value.producer()
        for other in maker.outputs if maker is not None else ():
            if other not in part.wanted:
                other.shape = None  # nobody reads it
        if maker is not None and (target := _target(maker)) is not None:
            stated = new_constant(graph, np.asarray(smaller, np.int64), hint="shape")
            maker.replace_input_with(target, stated)


def _target(node: ir.Node) -> int | None:
    """The input in which the operator states the whole shape of its output, if it does."""
    place = _TARGETS.get(node.op_type)
    if place is None or len(node.inputs) <= place or "axes" in node.attributes:
        return None
    value = node.inputs[place]
    return place if value is not None and value.name else None

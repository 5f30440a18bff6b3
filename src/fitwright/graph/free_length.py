"""One graph for any length, told from the same graph at several fixed ones.

Rewriting and folding need fixed sizes, and what they leave behind holds the length only in
constants: targets of reshapes, which grow with it in steps, and tables of positions or masks,
which are cut to it. Both are seen by comparing the constants that stand at one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fitwright.graph.own_length import constant, cut_to, not_joined
from fitwright.graph.refusal import shown

FEWEST_LENGTHS = 3
"""Two give the line on which a number lies, and the third proves it."""

Same = tuple[ir.Value, ...]
"""The values at one place of the graphs, by length, the longest first."""


@dataclass
class Freed:
    """What makes the longest graph one for any length.

    Attributes:
        length: the tokens computed, int64, shape (1,); `scalar` is the same without an axis.
        nodes, constants: to put in front of the graph, in order.
    """

    length: ir.Value
    scalar: ir.Value
    nodes: list[ir.Node] = field(default_factory=list)
    constants: list[ir.Value] = field(default_factory=list)


def free_length(models: Mapping[int, ir.Model], *, length: ir.Value, scalar: ir.Value) -> Freed:
    """Let the longest of `models` compute any number of tokens that `length` says.

    Requires: the same network at `FEWEST_LENGTHS` lengths or more, all static. Ensures: its nodes
    read constants for that length, and state no shapes.

    Raises:
        ModelRefused: the graphs differ by more than the length.
    """
    lengths = sorted(models, reverse=True)
    assert len(lengths) >= FEWEST_LENGTHS, "fewer lengths prove nothing"
    graphs = [models[n].graph for n in lengths]
    freed, known = Freed(length, scalar), dict[tuple[int, ...], ir.Value]()
    for nodes in list(_places(graphs)):
        for at, values in enumerate(zip(*(node.inputs for node in nodes), strict=True)):
            same = tuple(value for value in values if value is not None)
            if not same or same[0].producer() is not None:
                continue
            key = tuple(id(value) for value in same)
            if key not in known:
                known[key] = _for_any(same, lengths, freed)
            nodes[0].replace_input_with(at, known[key])
    for node in graphs[0]:
        for value in node.outputs:
            value.shape = None
    return freed


def _places(graphs: Sequence[ir.Graph]) -> Iterator[tuple[ir.Node, ...]]:
    """The nodes at one place of every graph, found from the outputs up."""
    seen: set[int] = set()
    left: list[Same] = list(zip(*(graph.outputs for graph in graphs), strict=True))
    while left:
        values = left.pop()
        nodes = tuple(node for v in values if (node := v.producer()) is not None)
        if not nodes:
            continue
        if len(nodes) < len(values) or not _alike(nodes, values):
            raise not_joined(f"The graph around '{shown(values[0].name)}' changes with the length")
        if id(nodes[0]) in seen:
            continue
        seen.add(id(nodes[0]))
        yield nodes
        for inputs in zip(*(node.inputs for node in nodes), strict=True):
            found = tuple(value for value in inputs if value is not None)
            if len(found) not in (0, len(inputs)):
                raise not_joined(
                    f"An input of '{shown(nodes[0].name)}' is left out at some lengths"
                )
            if found and found[0].producer() is not None:
                left.append(found)


def _alike(nodes: Sequence[ir.Node], values: Same) -> bool:
    first, *others = nodes
    return all(
        (n.op_type, n.domain, len(n.inputs), v.index())
        == (first.op_type, first.domain, len(first.inputs), values[0].index())
        and _attributes(n) == _attributes(first)
        for n, v in zip(others, values[1:], strict=True)
    )


def _attributes(node: ir.Node) -> dict[str, object]:
    """By name; tensors by their content."""
    found: dict[str, object] = {}
    for name, attribute in node.attributes.items():
        value = attribute.value
        if isinstance(value, ir.TensorProtocol):
            found[name] = (tuple(value.shape.numpy()), value.dtype, value.tobytes())
        else:
            found[name] = tuple(value) if isinstance(value, list | tuple) else value
    return found


def _for_any(same: Same, lengths: Sequence[int], freed: Freed) -> ir.Value:
    """What stands for an input or a constant at any length."""
    first = same[0]
    if any(value.producer() is not None for value in same):
        raise not_joined(f"'{shown(first.name)}' is computed at some lengths only")
    if first.const_value is None:
        if len({value.name for value in same}) > 1:
            raise not_joined(f"'{shown(first.name)}' is another input at some lengths")
        return first
    tensors = [value.const_value for value in same if value.const_value is not None]
    if len(tensors) < len(same) or len({t.dtype for t in tensors}) > 1:
        raise not_joined(f"'{shown(first.name)}' is another kind of value at some lengths")
    if len({tuple(t.shape) for t in tensors}) == 1 and len({t.tobytes() for t in tensors}) == 1:
        return first
    arrays = [tensor.numpy() for tensor in tensors]
    name = first.name or "constant"
    return _grown(name, arrays, lengths, freed) or _cut(first, arrays, lengths, freed)


def _grown(
    name: str, arrays: Sequence[NDArray[Any]], lengths: Sequence[int], freed: Freed
) -> ir.Value | None:
    """Whole numbers that grow with the length in equal steps: base + step · length."""
    if arrays[0].dtype != np.int64 or len({a.shape for a in arrays}) > 1:
        return None
    longest, other = lengths[0], lengths[1]
    step, rest = np.divmod(arrays[0] - arrays[1], longest - other)
    base = arrays[0] - step * longest
    fits = (np.array_equal(base + step * n, a) for n, a in zip(lengths, arrays, strict=True))
    if rest.any() or not all(fits):
        return None
    steps, bases = constant(step, f"{name}/step"), constant(base, f"{name}/base")
    by = freed.length if arrays[0].ndim else freed.scalar
    product = ir.node("Mul", [steps, by])
    total = ir.node("Add", [product.outputs[0], bases])
    product.outputs[0].name, total.outputs[0].name = f"{name}/grown", f"{name}/free"
    freed.nodes += [product, total]
    freed.constants += [steps, bases]
    return total.outputs[0]


def _cut(
    first: ir.Value, arrays: Sequence[NDArray[Any]], lengths: Sequence[int], freed: Freed
) -> ir.Value:
    """The beginning of the longest, along the axes that are as long as the queries."""
    whole, shapes = arrays[0], [a.shape for a in arrays]
    axes = [a for a, sizes in enumerate(zip(*shapes, strict=False)) if len(set(sizes)) > 1]
    if len({a.ndim for a in arrays}) > 1 or not axes:
        raise not_joined(f"'{shown(first.name)}' changes with the length in no way that is known")
    for array, length in zip(arrays, lengths, strict=True):
        part = whole[tuple(slice(length if a in axes else None) for a in range(whole.ndim))]
        if not np.array_equal(part, array):
            raise not_joined(f"'{shown(first.name)}' is not cut to the length")
    return cut_to(first, axes, freed.length, nodes=freed.nodes, constants=freed.constants)

"""What a model file says about its inputs, before any size is bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitwright.graph.read import read_model

_KEEPS_VALUES = {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose"}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Declared inputs.

    Attributes:
        shapes: by input name; a symbol is a free size, None an unnamed one.
        index_bounds: by input name, the number of rows of the smallest constant table
            that the input indexes.
    """

    shapes: Mapping[str, tuple[int | str | None, ...]]
    index_bounds: Mapping[str, int]

    @property
    def symbols(self) -> set[str]:
        """Every named free size."""
        return {s for shape in self.shapes.values() for s in shape if isinstance(s, str)}


def read_signature(path: Path) -> Signature:
    """Declared input shapes and the tables they index; call it in a child process.

    Raises:
        ModelRefused: as `read_model`.
    """
    graph: Any = read_model(path).graph
    tables = {t.name: tuple(t.dims) for t in graph.initializer}
    shapes = {i.name: _shape(i) for i in graph.input if i.name not in tables}
    return Signature(shapes=shapes, index_bounds=_index_bounds(graph, shapes.keys(), tables))


def symbols_from_arrays(
    signature: Signature, arrays: Mapping[str, tuple[int, ...]], *, labels: str
) -> dict[str, int]:
    """Sizes for the free symbols beyond the first axis, as the user's arrays have them.

    Args:
        signature: the model's declared inputs.
        arrays: shape of every array of the data, by name; first axis queries or samples.
        labels: which of them holds the labels.
    """
    inputs = {n: s for n, s in arrays.items() if n != labels or n in signature.shapes}
    if len(signature.shapes) == 1 and len(inputs) == 1:
        inputs = {next(iter(signature.shapes)): next(iter(inputs.values()))}
    found: dict[str, int] = {}
    for name, declared in signature.shapes.items():
        held = inputs.get(name, ())
        inner = held[len(held) - len(declared) + 1 :] if len(held) >= len(declared) else ()
        for symbol, size in zip(declared[1:], inner, strict=False):
            if isinstance(symbol, str):
                found.setdefault(symbol, size)
    return {symbol: size for symbol, size in found.items() if size > 0}


def _shape(value: Any) -> tuple[int | str | None, ...]:
    sizes = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in sizes)


def _index_bounds(graph: Any, inputs: Any, tables: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Follows each index of a Gather back to an input, through operators that keep values."""
    origin = {name: name for name in inputs}
    found: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in _KEEPS_VALUES and node.input and node.input[0] in origin:
            origin[node.output[0]] = origin[node.input[0]]
        if node.op_type != "Gather" or len(node.input) != 2:
            continue
        table, index = tables.get(node.input[0]), origin.get(node.input[1])
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if table and index is not None and -len(table) <= axis < len(table) and table[axis] > 0:
            found[index] = min(table[axis], found.get(index, table[axis]))
    return found

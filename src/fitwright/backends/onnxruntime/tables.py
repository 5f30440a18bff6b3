"""Embedding tables in int8: what a recipe for weights leaves wide where tables are most of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fitwright.backends.onnxruntime.onnx_file import nodes

SMALLEST = 1 << 16  # numbers; a smaller table is not worth another operator
SCALES_OPSET = 13


def narrow_tables(file: Path) -> tuple[str, ...]:
    """Quantise the tables of a written model; a note when there are any."""
    import onnx

    model = onnx.load(file)
    found = quantise_tables(model)
    if found:
        onnx.save(model, file)
    return (f"embedding tables in int8: {found}",) if found else ()


def quantise_tables(model: Any) -> int:
    """Store embedding tables as int8 with one scale per column; how many there are.

    A table is a constant of two dimensions that nothing but Gather reads, row by row. The rows
    are widened after they are taken, so that only these are computed; each number is off by half
    a scale at most (w = scale * q with scale = max|w| / 127 over the column).

    Args:
        model: changed in place; left alone below opset 13, which has one scale for all columns.
    """
    if any(o.version < SCALES_OPSET and o.domain in ("", "ai.onnx") for o in model.opset_import):
        return 0
    readers: dict[str, list[Any]] = {}
    for node in nodes(model.graph):
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outer = {id(node) for node in model.graph.node}
    ends = {end.name for end in (*model.graph.input, *model.graph.output)}
    found = 0
    for table in list(model.graph.initializer):
        using = readers.get(table.name, [])
        here = all(id(n) in outer and _takes_rows(n, table.name) for n in using)
        if using and here and table.name not in ends and _is_large(table):
            _quantise(model.graph, table, using)
            found += 1
    return found


def _takes_rows(node: Any, table: str) -> bool:
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return node.op_type == "Gather" and axis == 0 and table not in list(node.input)[1:]


def _is_large(table: Any) -> bool:
    import math

    import onnx

    wide = table.data_type == onnx.TensorProto.FLOAT
    return wide and len(table.dims) == 2 and math.prod(table.dims) >= SMALLEST


def _quantise(graph: Any, table: Any, using: list[Any]) -> None:
    import numpy as np
    import onnx

    values = onnx.numpy_helper.to_array(table)
    scale = np.abs(values).max(axis=0) / np.float32(127)
    scale[scale == 0] = 1
    rounded = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    narrow, scales = f"{table.name}_int8", f"{table.name}_scale"
    graph.initializer.remove(table)
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(rounded, narrow),
            onnx.numpy_helper.from_array(scale.astype(np.float32), scales),
        ]
    )
    for node in using:
        rows = node.output[0]
        node.input[0], node.output[0] = narrow, f"{rows}_int8"
        widen = onnx.helper.make_node(
            "DequantizeLinear", [f"{rows}_int8", scales], [rows], name=f"{rows}_widen", axis=-1
        )
        graph.node.insert(list(graph.node).index(node) + 1, widen)

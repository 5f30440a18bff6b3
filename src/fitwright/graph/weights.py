"""Weights stored as float16 and widened when the model is loaded; the arithmetic stays float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from fitwright.graph.refusal import some
from fitwright.graph.write import open_for_edit, write_model

SMALLEST_ELEMENTS = 256
"""Weights below this stay float32: there is nothing to gain."""
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_OLDEST_OPSET = 9


def weights_to_fp16(model: Path, out: Path) -> tuple[str, ...]:
    """Write `model` to `out` with float32 weights as float16, each followed by a Cast.

    Requires: opset 9 or later; an older model is written unchanged. Ensures: every operator
    computes in the type it had; weights that float16 cannot hold stay as they are.

    Returns:
        Notes for the user: how many weights were narrowed, then which were left out and
        why. The first note begins with ``0 of`` when nothing changed.
    """
    graph_model = open_for_edit(model)
    if graph_model.opset_imports.get("", 1) < _OLDEST_OPSET:
        write_model(graph_model, out)
        return (f"0 of the weights narrowed: the model's opset is below {_OLDEST_OPSET}",)
    common.LiftConstantsToInitializersPass()(graph_model)
    common.LiftSubgraphInitializersToMainGraphPass()(graph_model)
    candidates = [v for v in graph_model.graph.initializers.values() if _is_candidate(v)]
    taken = _names(graph_model.graph)
    beyond = [v for v in candidates if not _narrow(graph_model.graph, v, taken=taken)]
    write_model(graph_model, out)
    notes = [f"{len(candidates) - len(beyond)} of {len(candidates)} float32 weights narrowed"]
    if beyond:
        names = some([v.name or "" for v in beyond])
        notes.append(f"left as float32, values beyond float16: {names}")
    return tuple(notes)


def _is_candidate(value: ir.Value) -> bool:
    """A float32 constant of some size that nobody outside can set or see."""
    tensor = value.const_value
    return (
        tensor is not None
        and tensor.dtype == ir.DataType.FLOAT
        and tensor.size >= SMALLEST_ELEMENTS
        and not value.is_graph_input()
        and not value.is_graph_output()
    )


def _narrow(graph: ir.Graph, value: ir.Value, *, taken: set[str]) -> bool:
    """Put float16 and a Cast in the value's place; False where float16 would overflow."""
    assert value.const_value is not None and value.name is not None
    wide = value.const_value.numpy()
    if not np.isfinite(wide).all() or np.abs(wide).max(initial=0.0) > _LARGEST_FLOAT16:
        return False
    name = f"{value.name}_fp16"
    while name in taken:
        name += "_"
    taken.add(name)
    narrow = ir.Value(
        name=name,
        type=ir.TensorType(ir.DataType.FLOAT16),
        shape=ir.Shape(wide.shape),
        const_value=ir.tensor(wide.astype(np.float16), name=name),
    )
    cast = ir.node("Cast", [narrow], attributes={"to": ir.DataType.FLOAT.value})
    widened = cast.outputs[0]
    del graph.initializers[value.name]
    widened.name, widened.type, widened.shape = value.name, value.type, value.shape
    value.replace_all_uses_with(widened)
    graph.register_initializer(narrow)
    graph.insert_before(graph[0], cast)
    return True


def _names(graph: ir.Graph) -> set[str]:
    """Every name of the graph and its bodies."""
    nodes = ir.traversal.RecursiveGraphIterator(graph)
    made = {o.name for n in nodes for o in n.outputs if o.name}
    return made | set(graph.initializers) | {i.name for i in graph.inputs if i.name}

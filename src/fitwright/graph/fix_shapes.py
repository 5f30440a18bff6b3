"""A model with definite shapes and without dead weight; its outputs stay what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import onnx_ir as ir
from onnx_ir.passes import common

from fitwright.graph.bind import first_axis
from fitwright.graph.write import open_for_edit, write_model
from fitwright.records.model import TensorInfo

_OLDEST_IR = 8
"""From IR 4 on initializers need not be inputs; 8 is what every backend writes at least."""


def fix_shapes(
    model: Path,
    out: Path,
    *,
    bindings: Mapping[str, int],
    inputs: tuple[TensorInfo, ...],
    batch: int = 1,
    sizes: Mapping[str, int] = MappingProxyType({}),
) -> bool:
    """Write `model` to `out` with static input shapes.

    Requires: a model that `read_model` accepts. Ensures: the same outputs for the same
    inputs at these shapes; nodes, initializers and functions no output needs are gone, as
    are Identity and inference-time Dropout.

    Args:
        bindings: symbol to size, put wherever the symbol stands.
        inputs: the inputs at their bound shapes.
        batch: queries of these shapes that are stacked along the first axis, which is free in
            every input.
        sizes: of symbols that are bound otherwise than in `bindings` and `inputs`.

    Returns:
        Whether anything changed; `out` is written either way.
    """
    graph_model = open_for_edit(model)
    bindings, inputs = _resized(graph_model.graph, bindings, inputs, sizes)
    bindings, inputs = _stacked(graph_model.graph, bindings, inputs, batch=batch)
    changed = _free_initializers(graph_model)
    changed |= _set_inputs(graph_model.graph, inputs, bindings)
    changed |= _set_symbols(graph_model.graph, bindings)
    changed |= _drop_dropout(graph_model.graph)
    for clean in (
        common.IdentityEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
        common.RemoveUnusedOpsetsPass(),
    ):
        changed |= bool(clean(graph_model).modified)
    write_model(graph_model, out)
    return changed


def _resized(
    graph: ir.Graph,
    bindings: Mapping[str, int],
    inputs: tuple[TensorInfo, ...],
    sizes: Mapping[str, int],
) -> tuple[Mapping[str, int], tuple[TensorInfo, ...]]:
    """Other sizes for some symbols."""
    stated = {v.name: v.shape for v in graph.inputs if v.shape is not None}
    resized = tuple(
        info.model_copy(
            update={
                "shape": tuple(
                    sizes.get(_symbol(dim) or "", size)
                    for dim, size in zip(stated[info.name], info.shape, strict=True)
                )
            }
        )
        if info.name in stated
        else info
        for info in inputs
    )
    return {**bindings, **sizes}, resized


def _stacked(
    graph: ir.Graph,
    bindings: Mapping[str, int],
    inputs: tuple[TensorInfo, ...],
    *,
    batch: int,
) -> tuple[Mapping[str, int], tuple[TensorInfo, ...]]:
    """Sizes for so many queries in one run."""
    if batch == 1:
        return bindings, inputs
    firsts = [first_axis(v.name or "", _symbol(v.shape[0])) for v in graph.inputs if v.shape]
    sizes = {name: bindings[name] * batch for name in firsts if name in bindings}
    stacked = tuple(
        info.model_copy(update={"shape": (int(info.shape[0] or 0) * batch, *info.shape[1:])})
        for info in inputs
    )
    return {**bindings, **sizes}, stacked


def _symbol(dim: int | ir.SymbolicDim) -> str | None:
    return None if isinstance(dim, int) else dim.value


def _free_initializers(model: ir.Model) -> bool:
    """Weights that are also inputs (IR 3 style) become plain constants, which may be folded."""
    changed = bool(common.RemoveInitializersFromInputsPass()(model).modified)
    if model.ir_version < _OLDEST_IR:
        model.ir_version = _OLDEST_IR
        changed = True
    return changed


def _set_inputs(
    graph: ir.Graph, inputs: tuple[TensorInfo, ...], bindings: Mapping[str, int]
) -> bool:
    shapes = {i.name: i.shape for i in inputs}
    changed = False
    for value in graph.inputs:
        if value.name not in shapes:
            continue
        bound = [bindings.get(d, d) if isinstance(d, str) else d for d in shapes[value.name]]
        changed |= _set_shape(value, ir.Shape(bound))
    return changed


def _set_symbols(graph: ir.Graph, bindings: Mapping[str, int]) -> bool:
    """Replace bound symbols in every stated shape, so that none contradicts the inputs."""
    changed = False
    for value in _values(graph):
        if value.shape is not None:
            bound = [_bound(d, bindings) for d in value.shape]
            changed |= _set_shape(value, ir.Shape(bound))
    return changed


def _bound(dim: int | ir.SymbolicDim, bindings: Mapping[str, int]) -> int | ir.SymbolicDim:
    return dim if isinstance(dim, int) else bindings.get(dim.value or "", dim)


def _set_shape(value: ir.Value, shape: ir.Shape) -> bool:
    if value.shape == shape:
        return False
    value.shape = shape
    return True


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in ir.traversal.RecursiveGraphIterator(graph):
        yield from node.outputs


def _drop_dropout(graph: ir.Graph) -> bool:
    """Bypass Dropout outside training: its first output is its input."""
    changed = False
    for node in ir.traversal.RecursiveGraphIterator(graph):
        if node.op_type != "Dropout" or node.domain not in ("", "ai.onnx") or _trains(node):
            continue
        source, made = node.inputs[0], node.outputs[0]
        mask_used = len(node.outputs) > 1 and (
            node.outputs[1].uses() or node.outputs[1].is_graph_output()
        )
        if source is None or mask_used or made.is_graph_output():
            continue
        made.replace_all_uses_with(source)
        changed = True
    return changed


def _trains(node: ir.Node) -> bool:
    """Whether the third input (opset 12 on) may switch training on."""
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    if mode is None:
        return "is_test" in node.attributes
    constant = ir.convenience.get_const_tensor(mode)
    return constant is None or bool(constant.numpy().any())

"""A model file as a `ModelSummary`: what it is and what one query costs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from mmap import mmap
from pathlib import Path

import onnx

from fitwright.graph.bind import BoundInputs, bind_inputs, require_tensor_outputs
from fitwright.graph.dtypes import NOT_PARAMETERS, num_elements
from fitwright.graph.external import is_external, map_beneath, region, tensor_bytes
from fitwright.graph.known import MOST_DATA, Known, known, tensor_type
from fitwright.graph.lifetimes import lifetimes, peak_of, traffic
from fitwright.graph.protos import all_tensors, defined, standard
from fitwright.graph.read import MAX_IR, MAX_OPSET, read_model
from fitwright.graph.scope import Library, Scope, Step
from fitwright.graph.walk import walk_graph
from fitwright.records.model import (
    ModelSummary,
    OperatorCost,
    TensorInfo,
    Uncounted,
)

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def summarize(
    path: Path,
    *,
    shapes: Mapping[str, int],
    batch: int,
    _max_ir: int = MAX_IR,
    _max_opset: int = MAX_OPSET,
) -> ModelSummary:
    """Open, bind, infer and count.

    Args:
        path: the ONNX file.
        shapes: sizes for symbolic dimensions, by name; names the model lacks are ignored.
        batch: size of free first dimensions and of those named like a batch.

    Raises:
        ModelRefused: the file is broken, hostile or beyond what is read, or a symbol has
            no size.
    """
    model = read_model(path, max_ir=_max_ir, max_opset=_max_opset)
    digest, size = _digest(path, model)
    load_small_external(model, path.parent)
    require_tensor_outputs(model.graph)
    bound = bind_inputs(model.graph, shapes=shapes, batch=batch)
    scope = _scope(model, bound)
    steps = walk_graph(model.graph, scope)
    inputs = [v for i in bound.inputs if (v := scope.find(i.name)) is not None]
    outputs = [(o.name, scope.find(o.name)) for o in model.graph.output]
    alive = lifetimes(steps, inputs=inputs, outputs=[v for _, v in outputs if v is not None])
    operators = _operators(steps, given=frozenset(v.root for v in inputs))
    return ModelSummary(
        path=str(path),
        sha256=digest,
        size_bytes=size,
        ir_version=model.ir_version,
        opsets={standard(o.domain) or "ai.onnx": o.version for o in model.opset_import},
        inputs=bound.inputs,
        outputs=tuple(_info(name, value) for name, value in outputs),
        bindings=bound.bindings,
        operators=operators,
        uncounted=_uncounted(steps),
        lifetimes=alive,
        num_parameters=sum(o.num_parameters for o in operators),
        weight_bytes=sum(o.weight_bytes for o in operators),
        peak_activation_bytes=peak_of(alive),
        is_classifier_shape=_is_classifier([v for _, v in outputs]),
        is_batchable=bound.batched and _open_with(bound.inputs, [v for _, v in outputs]),
    )


def load_small_external(model: onnx.ModelProto, folder: Path) -> None:
    """Bring external constants that may steer shapes into the model; large ones stay out."""
    maps: dict[str, mmap | bytes] = {}
    for tensor in all_tensors(model):
        if not is_external(tensor) or num_elements(tensor.dims) > MOST_DATA:
            continue
        place = region(tensor)
        data = maps.setdefault(place.location, map_beneath(folder, place.location))
        tensor.raw_data = bytes(data[place.offset : place.offset + tensor_bytes(tensor)])
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _digest(path: Path, model: onnx.ModelProto) -> tuple[str, int]:
    """SHA-256 and bytes over the ONNX file and each data file, in order of first use."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    size = path.stat().st_size
    for location in dict.fromkeys(region(t).location for t in all_tensors(model) if is_external(t)):
        data = map_beneath(path.parent, location)
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def _scope(model: onnx.ModelProto, bound: BoundInputs) -> Scope:
    scope = Scope(
        library=Library(
            functions={defined(f): f for f in model.functions}, ir_version=model.ir_version
        ),
        prefix="",
        opsets={standard(o.domain): o.version for o in model.opset_import},
        hints=_hints(model.graph, bound.bindings),
    )
    types = {i.name: i.type.tensor_type.elem_type for i in model.graph.input}
    for info in bound.inputs:
        sizes = tuple(d for d in info.shape if isinstance(d, int))
        scope.values[info.name] = known(info.name, tensor_type(types[info.name], sizes))
    return scope


def _hints(graph: onnx.GraphProto, bindings: Mapping[str, int]) -> dict[str, onnx.TypeProto]:
    """Shapes the file states, its symbols bound; used only where inference finds none."""
    hints: dict[str, onnx.TypeProto] = {}
    for value in (*graph.value_info, *graph.output):
        if not value.type.HasField("tensor_type"):
            continue
        hint = onnx.TypeProto()
        hint.CopyFrom(value.type)
        for dim in hint.tensor_type.shape.dim:
            if dim.dim_param in bindings:
                dim.dim_value = bindings[dim.dim_param]
        hints[value.name] = hint
    return hints


def _operators(steps: Sequence[Step], *, given: frozenset[str]) -> tuple[OperatorCost, ...]:
    """One row per step; a constant belongs to the first operator that really reads it.

    Args:
        given: inputs of the model, by the name of their memory.
    """
    seen: set[str] = set()
    makers: dict[str, int] = {}
    rows = []
    for index, step in enumerate(steps):
        is_view = step.cost is not None and step.cost.view
        fresh = [] if is_view else [v for v in step.reads if v.constant and v.root not in seen]
        seen.update(v.root for v in fresh)
        read, written = traffic(step)
        rows.append(
            OperatorCost(
                name=step.name,
                kind=step.kind,
                domain=step.domain,
                flops=None if step.cost is None else step.cost.flops,
                elementwise_flops=None if step.cost is None else step.cost.elementwise_flops,
                bytes_read=read,
                bytes_written=written,
                weight_bytes=sum(v.bytes for v in fresh),
                num_parameters=sum(_num_parameters(v) for v in fresh),
                activation_bytes=sum(v.bytes for v in step.writes),
                dtype=_arithmetic(step),
                product=None if step.cost is None else step.cost.product,
                reads_from=tuple(
                    dict.fromkeys(makers[v.name] for v in step.reads if v.name in makers)
                ),
                reads_inputs=any(v.root in given for v in step.reads),
                is_view=is_view,
            )
        )
        makers.update((v.name, index) for v in step.writes)
    return tuple(rows)


def _arithmetic(step: Step) -> str:
    """The type that an operator computes in: that of its first input, floating point first;
    integers of products by their width."""
    if step.cost is not None and step.cost.dtype:
        return step.cost.dtype
    if step.cost is not None and step.cost.product is not None:
        first = step.reads[0].dtype if step.reads else None
        return {"uint8": "int8", "uint4": "int4"}.get(first or "", first or "")
    types = [v.dtype for v in (*step.reads[:1], *step.writes[:1]) if v.dtype]
    return next((t for t in types if t in _FLOATS), types[0] if types else "")


def _num_parameters(value: Known) -> int:
    if value.shape is None or value.dtype is None or value.dtype in NOT_PARAMETERS:
        return 0
    return num_elements(value.shape)


def _uncounted(steps: Sequence[Step]) -> tuple[Uncounted, ...]:
    times = Counter(gap for step in steps for gap in step.gaps)
    return tuple(
        Uncounted(kind=gap.kind, domain=gap.domain, num_operators=n, reason=gap.reason)
        for gap, n in times.items()
    )


def _info(name: str, value: Known | None) -> TensorInfo:
    if value is None:
        return TensorInfo(name=name, dtype="unknown", shape=("?",))
    shape: tuple[int | str | None, ...] = value.shape if value.shape is not None else ("?",)
    if value.shape is None and _states_rank(value):
        assert value.type is not None
        dims = value.type.tensor_type.shape.dim
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
    return TensorInfo(name=name, dtype=value.dtype or "unknown", shape=shape)


def _states_rank(value: Known) -> bool:
    type_ = value.type
    return type_ is not None and type_.tensor_type.HasField("shape")


def _open_with(inputs: Sequence[TensorInfo], outputs: Sequence[Known | None]) -> bool:
    """Whether all inputs and outputs open with the same size."""
    sizes = {shape[0] if shape else None for shape in (i.shape for i in inputs)}
    sizes |= {v.shape[0] if v is not None and v.shape else None for v in outputs}
    return len(sizes) == 1 and None not in sizes


def _is_classifier(outputs: Sequence[Known | None]) -> bool:
    """The first floating-point output is (batch, classes) with 2 classes or more."""
    shape = next((v.shape for v in outputs if v is not None and v.dtype in _FLOATS), None)
    return shape is not None and len(shape) == 2 and shape[1] >= 2

"""Sizes for symbolic dimensions: from the contract's `shapes`, or from the batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from fitwright.graph.dtypes import NAMES
from fitwright.graph.refusal import refused, shown
from fitwright.records.model import TensorInfo

_BATCH = re.compile(r"(n|b|bs|batch|batch[_ -]?size|nbatch|num[_ -]?batch(es)?)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class BoundInputs:
    """The model's inputs at definite sizes.

    Attributes:
        inputs: in the model's order, every dimension a number.
        bindings: symbol to size; a nameless dimension is called ``input:axis``.
        batched: every input opens with a free axis that stands for the batch.
    """

    inputs: tuple[TensorInfo, ...]
    bindings: dict[str, int]
    batched: bool = False


def bind_inputs(graph: onnx.GraphProto, *, shapes: Mapping[str, int], batch: int) -> BoundInputs:
    """Bind every free dimension of the inputs.

    A symbol takes its size from `shapes`. One that is named like a batch, or is an input's
    first dimension, takes `batch`. Any other unbound symbol is refused by name.
    """
    stored = {t.name for t in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    given = [i for i in graph.input if i.name not in stored]
    bindings = _bindings(given, shapes=shapes, batch=batch)
    infos = []
    for value in given:
        dims = _dims(value)
        shape = [
            _size(value.name, axis, dim, bindings=bindings, batch=batch)
            for axis, dim in enumerate(dims)
        ]
        infos.append(
            TensorInfo(name=value.name, dtype=_dtype(value), shape=tuple(s for _, s in shape))
        )
        bindings.update({name: size for name, size in shape if name})
    return BoundInputs(
        inputs=tuple(infos),
        bindings=bindings,
        batched=bool(given) and all(_opens_with_batch(value, shapes) for value in given),
    )


def require_tensor_outputs(graph: onnx.GraphProto) -> None:
    """Refuse outputs stated to be sequences, maps or optionals: nothing could compare them."""
    for value in graph.output:
        kind = value.type.WhichOneof("value") or "tensor_type"
        if kind != "tensor_type":
            raise refused(
                "FW233",
                f"Output '{shown(value.name)}' is a {kind.removesuffix('_type')}; Fitwright "
                "compares tensors only.",
                "Export the model with tensor outputs (for classifiers: without ZipMap).",
            )


def first_axis(name: str, symbol: str | None) -> str:
    """What the bindings call the free first axis of an input."""
    return symbol or f"{name}:0"


def _opens_with_batch(value: onnx.ValueInfoProto, shapes: Mapping[str, int]) -> bool:
    """Free, and not a length that the contract gives under a name of its own."""
    (first, *_) = (*_dims(value), None)
    if first is None or (first.HasField("dim_value") and first.dim_value >= 0):
        return False
    return first.dim_param not in shapes or bool(_BATCH.fullmatch(first.dim_param))


def _bindings(
    given: Sequence[onnx.ValueInfoProto], *, shapes: Mapping[str, int], batch: int
) -> dict[str, int]:
    """Sizes of the named symbols, those for the batch included."""
    bindings: dict[str, int] = {}
    for value in given:
        for axis, dim in enumerate(_dims(value)):
            name = dim.dim_param
            if name and name in shapes:
                bindings[name] = shapes[name]
            elif name and (axis == 0 or _BATCH.fullmatch(name)):
                bindings.setdefault(name, batch)
    return bindings


def _size(
    name: str,
    axis: int,
    dim: onnx.TensorShapeProto.Dimension,
    *,
    bindings: Mapping[str, int],
    batch: int,
) -> tuple[str, int]:
    """The symbol that was bound (or empty) and the size."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return "", int(dim.dim_value)
    if dim.dim_param in bindings:
        return dim.dim_param, bindings[dim.dim_param]
    nameless = f"{name}:{axis}"  # see `first_axis`
    if nameless in bindings:
        return nameless, bindings[nameless]
    if axis == 0:
        return nameless, batch
    symbol = dim.dim_param
    if not symbol:
        raise refused(
            "FW232",
            f"Dimension {axis} of input '{shown(name)}' is free and has no name to bind it by.",
            "Export the model with that dimension fixed, or named.",
        )
    raise refused(
        "FW231",
        f"Dimension {axis} of input '{shown(name)}' is '{shown(symbol)}', and nothing gives "
        "its size.",
        f"Add it to the contract, for example\nshapes: {{{shown(symbol)}: 128}}",
    )


def _dims(value: onnx.ValueInfoProto) -> Sequence[onnx.TensorShapeProto.Dimension]:
    if not value.type.HasField("tensor_type"):
        kind = (value.type.WhichOneof("value") or "nothing").removesuffix("_type")
        raise refused(
            "FW233",
            f"Input '{shown(value.name)}' is a {kind}; Fitwright feeds tensors only.",
            "Export the model with tensor inputs.",
        )
    if not value.type.tensor_type.HasField("shape"):
        raise refused(
            "FW232",
            f"Input '{shown(value.name)}' states no shape, not even its rank.",
            "Export the model with the rank of every input.",
        )
    dims: Sequence[onnx.TensorShapeProto.Dimension] = value.type.tensor_type.shape.dim
    return dims


def _dtype(value: onnx.ValueInfoProto) -> str:
    dtype = NAMES.get(value.type.tensor_type.elem_type)
    if dtype is None:
        raise refused(
            "FW214",
            f"Input '{shown(value.name)}' has an unknown element type.",
            "Export the model again with a current exporter.",
        )
    return dtype

"""Whether every constant inside the file is as long as its shape and type say."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from fitwright.graph.dtypes import NAMES, num_elements
from fitwright.graph.external import is_external, tensor_bytes
from fitwright.graph.refusal import refused, shown

_DATA_FIELDS: dict[str, str] = {
    "float32": "float_data",
    "complex64": "float_data",
    "float64": "double_data",
    "complex128": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
    "string": "string_data",
}
"""Where the typed data of an element type lies; all others are in ``int32_data``."""
_PER_ENTRY: dict[str, tuple[int, int]] = {
    "complex64": (1, 2),
    "complex128": (1, 2),
    "int4": (2, 1),
    "uint4": (2, 1),
    "float4e2m1": (2, 1),
    "int2": (4, 1),
    "uint2": (4, 1),
}
"""Elements and entries that go together; one each where nothing is said."""


def require_payloads(tensors: Iterable[onnx.TensorProto]) -> None:
    """Refuse a constant whose data is shorter or longer than dims x type; allocates nothing."""
    for tensor in tensors:
        needed = tensor_bytes(tensor)
        if is_external(tensor):
            continue
        if tensor.HasField("raw_data"):
            held, unit = len(tensor.raw_data), "bytes"
        else:
            held, needed, unit = *_entries(tensor), "entries"
        if held != needed:
            raise refused(
                "FW214",
                f"Tensor '{shown(tensor.name or 'unnamed')}' holds {held:,} {unit}; its shape "
                f"{shown(list(tensor.dims))} and type need {needed:,}.",
                "The file is damaged; export or download it again.",
            )


def require_sparse_sizes(tensors: Iterable[onnx.SparseTensorProto]) -> None:
    """Refuse sparse constants whose dense form, which runtimes make, could not exist."""
    for sparse in tensors:
        dense = onnx.TensorProto(
            name=sparse.values.name, dims=sparse.dims, data_type=sparse.values.data_type
        )
        tensor_bytes(dense)


def _entries(tensor: onnx.TensorProto) -> tuple[int, int]:
    """Entries held and needed in the typed field."""
    dtype = NAMES[tensor.data_type]
    field = getattr(tensor, _DATA_FIELDS.get(dtype, "int32_data"))
    elements, entries = _PER_ENTRY.get(dtype, (1, 1))
    return len(field), -(-num_elements(tensor.dims) * entries // elements)

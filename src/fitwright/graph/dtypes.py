"""Element types of ONNX: their names, and how many bits one element takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

_BITS = {
    "FLOAT": ("float32", 32),
    "UINT8": ("uint8", 8),
    "INT8": ("int8", 8),
    "UINT16": ("uint16", 16),
    "INT16": ("int16", 16),
    "INT32": ("int32", 32),
    "INT64": ("int64", 64),
    "STRING": ("string", 64),
    "BOOL": ("bool", 8),
    "FLOAT16": ("float16", 16),
    "DOUBLE": ("float64", 64),
    "UINT32": ("uint32", 32),
    "UINT64": ("uint64", 64),
    "COMPLEX64": ("complex64", 64),
    "COMPLEX128": ("complex128", 128),
    "BFLOAT16": ("bfloat16", 16),
    "FLOAT8E4M3FN": ("float8e4m3fn", 8),
    "FLOAT8E4M3FNUZ": ("float8e4m3fnuz", 8),
    "FLOAT8E5M2": ("float8e5m2", 8),
    "FLOAT8E5M2FNUZ": ("float8e5m2fnuz", 8),
    "UINT4": ("uint4", 4),
    "INT4": ("int4", 4),
    "FLOAT4E2M1": ("float4e2m1", 4),
    "FLOAT8E8M0": ("float8e8m0", 8),
    "UINT2": ("uint2", 2),
    "INT2": ("int2", 2),
    "FLOAT6E2M3": ("float6e2m3", 6),
    "FLOAT6E3M2": ("float6e3m2", 6),
}
"""ONNX name to (our name, bits). A string counts as one 8-byte reference: its text is
not in the type."""

_NUMBERS: dict[str, int] = dict(onnx.TensorProto.DataType.items())
NAMES: dict[int, str] = {_NUMBERS[k]: name for k, (name, _) in _BITS.items() if k in _NUMBERS}
BITS: dict[str, int] = dict(_BITS.values())
NOT_PARAMETERS = frozenset({"int64", "uint64", "bool", "string"})
"""Constants of these types are indices, shapes, masks and texts, not parameters."""


def size_bytes(dtype: str, num_elements: int) -> int:
    """Bytes of so many elements, packed: two int4 in a byte, rounded up."""
    return (BITS[dtype] * num_elements + 7) // 8


def num_elements(shape: Sequence[int]) -> int:
    """Product of the dimensions; 1 for a scalar."""
    return math.prod(shape)

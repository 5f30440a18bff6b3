"""What is known about one value while the graph is walked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fitwright.graph.dtypes import NAMES, num_elements, size_bytes

MOST_DATA = 4096
"""Constants with more elements than this are weights; their values steer no shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One value of the graph.

    Attributes:
        name: unique in the whole walk; ``call/inner`` inside functions and bodies.
        type: as ONNX states it; None when nothing is known.
        dtype, shape: of a tensor; None where unknown or no tensor.
        data: the elements, when they are few and known without running the model.
        constant: stored in the file (or a view of what is).
        root: the name of the value whose memory this is: itself, or what it is a view of.
    """

    name: str
    type: onnx.TypeProto | None
    dtype: str | None
    shape: tuple[int, ...] | None
    data: NDArray[Any] | None = None
    constant: bool = False
    root: str

    @property
    def bytes(self) -> int:
        """Size of the tensor; 0 while its shape is unknown, and for sequences."""
        if self.dtype is None or self.shape is None:
            return 0
        return size_bytes(self.dtype, num_elements(self.shape))

    @property
    def is_tensor_of_unknown_size(self) -> bool:
        """A tensor (or a value of unknown type) that cannot be sized."""
        other = self.type is not None and not self.type.HasField("tensor_type")
        return not other and (self.dtype is None or self.shape is None)


def known(
    name: str,
    type_: onnx.TypeProto | None,
    *,
    data: NDArray[Any] | None = None,
    constant: bool = False,
    root: str | None = None,
) -> Known:
    """What a type says, as numbers; a free or negative dimension makes the shape unknown."""
    dtype, shape = _dtype_and_shape(type_)
    return Known(
        name=name,
        type=type_,
        dtype=dtype,
        shape=shape,
        data=data if data is not None and data.size <= MOST_DATA else None,
        constant=constant,
        root=root or name,
    )


def constant(name: str, tensor: onnx.TensorProto) -> Known:
    """A tensor stored in the file; its data only when it is small and plain."""
    type_ = tensor_type(tensor.data_type, tuple(tensor.dims))
    return known(name, type_, data=small_data(tensor), constant=True)


def small_data(tensor: onnx.TensorProto) -> NDArray[Any] | None:
    """The elements of a small constant inside the file, else None."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    if num_elements(tensor.dims) > MOST_DATA or NAMES.get(tensor.data_type) == "string":
        return None
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError):  # an element type numpy cannot hold
        return None


def tensor_type(element: int, shape: tuple[int, ...] | None) -> onnx.TypeProto:
    """The ONNX type of a tensor with this element number and shape."""
    return onnx.helper.make_tensor_type_proto(element, shape)


def _dtype_and_shape(
    type_: onnx.TypeProto | None,
) -> tuple[str | None, tuple[int, ...] | None]:
    if type_ is None or not type_.HasField("tensor_type"):
        return None, None
    tensor = type_.tensor_type
    dtype = NAMES.get(tensor.elem_type)
    if not tensor.HasField("shape"):
        return dtype, None
    dims = tensor.shape.dim
    if not all(d.HasField("dim_value") and d.dim_value >= 0 for d in dims):
        return dtype, None
    return dtype, tuple(d.dim_value for d in dims)

"""Tensors and messages between two processes, through anonymous shared memory.

The memory has no name: the kernel frees it when its last user ends, however it ends, so
nothing can be left behind in /dev/shm and nobody has to unlink anything. The descriptor
travels over the Unix socket of a `multiprocessing` pipe.
"""

from __future__ import annotations

import math
import mmap
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from fitwright.errors import DataError
from fitwright.ports import Array, Tensors

ALIGNMENT_BYTES = 64  # a cache line, and the width of the widest vector register
INLINE_BYTES = 16 << 10  # longer messages go through memory, so no send can block half-way
NUMERIC_KINDS = "biufc"


@dataclass(frozen=True, kw_only=True)
class TensorLayout:
    """Where one stacked tensor lies; query i starts at `offset` + i * `stride` bytes."""

    name: str
    dtype: str
    num_queries: int
    shape: tuple[int, ...]
    offset: int
    stride: int

    @property
    def end(self) -> int:
        """First byte after the tensor."""
        return self.offset + self.num_queries * self.stride


def anonymous_memory(num_bytes: int) -> int:
    """Descriptor of zeroed memory that both sides may map; the caller closes it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("fitwright", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, max(1, num_bytes))
    return descriptor


def aligned(num_bytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-num_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def layout(
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], *, num_queries: int
) -> tuple[TensorLayout, ...]:
    """Tensors one after the other; every query starts on an aligned address.

    Args:
        shapes: by tensor name, shape of one query and element type.
    """
    found: list[TensorLayout] = []
    for name, (shape, dtype) in shapes.items():
        stride = aligned(math.prod(shape) * dtype.itemsize)
        offset = found[-1].end if found else 0
        found.append(
            TensorLayout(
                name=name,
                dtype=dtype.str,
                num_queries=num_queries,
                shape=shape,
                offset=offset,
                stride=stride,
            )
        )
    return tuple(found)


def num_bytes_of(tensors: Sequence[TensorLayout]) -> int:
    """Memory that the layout needs."""
    return max((t.end for t in tensors), default=0)


def mapped(descriptor: int, tensors: Sequence[TensorLayout]) -> dict[str, Array]:
    """Views of the stacked tensors, shape (queries, *shape); they keep the memory alive.

    Closes the descriptor: the mapping stays.
    """
    try:
        memory = mmap.mmap(descriptor, max(1, num_bytes_of(tensors)))
    finally:
        os.close(descriptor)
    views: dict[str, Array] = {}
    for t in tensors:
        strides = (t.stride, *_row_major(t.shape, np.dtype(t.dtype).itemsize))
        views[t.name] = np.ndarray((t.num_queries, *t.shape), t.dtype, memory, t.offset, strides)
    return views


def _row_major(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Bytes from one element to the next along each axis."""
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def check_numeric(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The element type in this machine's byte order.

    Raises:
        DataError: strings, objects and types that numpy does not know by itself.
    """
    if dtype.kind not in NUMERIC_KINDS:
        raise DataError(
            f"tensor '{name}' has element type {dtype}; only numbers and booleans that numpy "
            "knows can be passed to a child process",
            code="FW148",
            remedy="Let the model take and give float32, float16, integers or booleans: move "
            "text handling out of it, or add a Cast to float32 at that input or output.",
        )
    return dtype.newbyteorder("=")


def packed(tensors: Tensors) -> tuple[int, tuple[TensorLayout, ...]]:
    """Copy stacked tensors, shape (queries, *shape), into fresh memory.

    Raises:
        DataError: no tensor, unequal numbers of queries, or not numbers.
    """
    lengths = {name: len(array) if array.ndim else 0 for name, array in tensors.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise DataError(
            f"every input needs the same number of queries, at least 1; got {lengths}",
            code="FW147",
            remedy="Stack the queries along the first axis of every input.",
        )
    shapes = {n: (a.shape[1:], check_numeric(n, a.dtype)) for n, a in tensors.items()}
    tensors_at = layout(shapes, num_queries=next(iter(lengths.values())))
    descriptor = anonymous_memory(num_bytes_of(tensors_at))
    for name, view in mapped(os.dup(descriptor), tensors_at).items():
        np.copyto(view, tensors[name])
    return descriptor, tensors_at


def send(connection: Connection, value: object, *, memory: int | None = None) -> None:
    """Send one picklable value and, apart, the descriptor of shared memory (closed here)."""
    send_pickled(connection, pickle.dumps(value, pickle.HIGHEST_PROTOCOL), memory=memory)


def send_pickled(connection: Connection, body: bytes, *, memory: int | None = None) -> None:
    """Like `send`, for a value that is pickled already."""
    descriptors = [] if memory is None else [memory]
    spilled = len(body) > INLINE_BYTES
    try:
        if spilled:
            descriptors.append(anonymous_memory(0))
            with os.fdopen(os.dup(descriptors[-1]), "wb") as file:
                file.write(body)
        connection.send((b"" if spilled else body, spilled, memory is not None))
        for descriptor in descriptors:
            reduction.send_handle(connection, descriptor, os.getpid())
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def receive(connection: Connection) -> tuple[bytes, int | None]:
    """The pickled value and the descriptor that came with it, if any.

    Raises:
        EOFError, OSError: the other side is gone.
    """
    body, spilled, has_memory = connection.recv()
    memory = reduction.recv_handle(connection) if has_memory else None
    if spilled:
        with os.fdopen(reduction.recv_handle(connection), "rb") as file:
            file.seek(0)
            body = file.read()
    return body, memory

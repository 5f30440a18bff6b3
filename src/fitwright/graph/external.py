"""External data: read by memory map, only from beneath the model's folder, never by a link.

Every path component is opened with O_NOFOLLOW relative to its already opened parent, so
what was checked is what is read. A hard link is refused like a symbolic one (onnx does the
same): it can bring any file of the same disk into the folder.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from fitwright.errors import ModelRefused
from fitwright.graph.dtypes import NAMES, num_elements, size_bytes
from fitwright.graph.refusal import refused, shown

_COPY = "Copy the real data file next to the model (cp -L) and try again."
_KNOWN_KEYS = frozenset({"location", "offset", "length", "checksum", "basepath"})


@dataclass(frozen=True, kw_only=True)
class Region:
    """Where a tensor's bytes lie in its data file, checked."""

    location: str
    offset: int
    length: int


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the bytes are outside the ONNX file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes the tensor needs by its dims and type; refuses impossible ones. Reads no data."""
    name = shown(tensor.name or "unnamed")
    dtype = NAMES.get(tensor.data_type)
    if dtype is None:
        raise refused(
            "FW214",
            f"Tensor '{name}' has the unknown element type {tensor.data_type}.",
            "Export the model again with a current exporter.",
        )
    if any(d < 0 for d in tensor.dims) or num_elements(tensor.dims) >= 1 << 48:
        raise refused(
            "FW214",
            f"Tensor '{name}' has the impossible shape {shown(list(tensor.dims))}.",
            "The file is damaged; export or download it again.",
        )
    return size_bytes(dtype, num_elements(tensor.dims))


def region(tensor: onnx.TensorProto) -> Region:
    """The tensor's place in its data file, from the model alone."""
    name = shown(tensor.name)
    stated = {e.key: e.value for e in tensor.external_data}
    if unknown := stated.keys() - _KNOWN_KEYS:
        raise _bad_range(name, f"unknown entries {shown(sorted(unknown))}")
    location = stated.get("location", "")
    _require_plain(name, location)
    needed = tensor_bytes(tensor)
    offset = _whole(stated.get("offset", "0"))
    length = _whole(stated.get("length", str(needed)))
    if offset is None or length is None:
        raise _bad_range(name, "an offset or length that is not a whole number of 0 or more")
    if length != needed:
        raise _bad_range(name, f"{length:,} bytes where its shape and type need {needed:,}")
    return Region(location=location, offset=offset, length=length)


def open_beneath(folder: Path, location: str) -> int:
    """A descriptor of the data file; the caller closes it."""
    *parents, last = PurePosixPath(location).parts
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parents:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = deeper
        data = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except PermissionError:
        raise refused(
            "FW208", f"The data file '{shown(location)}' may not be read.", "Allow it: chmod u+r."
        ) from None
    except (OSError, ValueError):
        raise _why_not(folder, location) from None
    finally:
        os.close(here)
    try:
        _require_own_file(os.fstat(data), location)
    except ModelRefused:
        os.close(data)
        raise
    return data


def size_beneath(folder: Path, location: str) -> int:
    """Bytes of the data file."""
    descriptor = open_beneath(folder, location)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def map_beneath(folder: Path, location: str) -> mmap.mmap | bytes:
    """The data file as a read-only memory map (empty bytes for an empty file)."""
    descriptor = open_beneath(folder, location)
    try:
        if os.fstat(descriptor).st_size == 0:
            return b""
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


def require_external_data(tensors: Iterator[onnx.TensorProto], folder: Path) -> None:
    """Check every external tensor against its file; reads no payload."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        place = region(tensor)
        if place.location not in sizes:
            sizes[place.location] = size_beneath(folder, place.location)
        if place.offset + place.length > sizes[place.location]:
            raise _bad_range(
                shown(tensor.name),
                f"bytes {place.offset:,} to {place.offset + place.length:,} of "
                f"'{shown(place.location)}', which has {sizes[place.location]:,}",
            )


def _whole(text: str) -> int | None:
    """A decimal number that fits 63 bits, or None."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return None
    return int(text) if int(text) < 1 << 63 else None


def _require_plain(name: str, location: str) -> None:
    """Relative, forward, without ``..``, on Windows too."""
    windows = PureWindowsPath(location)
    parts = set(PurePosixPath(location).parts) | set(windows.parts)
    absolute = PurePosixPath(location).is_absolute() or bool(windows.drive or windows.root)
    if not parts or absolute or ".." in parts or "\0" in location:
        raise refused(
            "FW210",
            f"Tensor '{name}' asks for external data at '{shown(location)}'; data must lie "
            "beneath the model's folder.",
            "Save the model again with its data beside it, or get it from a source you trust.",
        )


def _require_own_file(status: os.stat_result, location: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise refused(
            "FW212", f"The external data '{shown(location)}' is not a regular file.", _COPY
        )
    if status.st_nlink > 1:
        raise refused(
            "FW211",
            f"The external data '{shown(location)}' is a hard link ({status.st_nlink} names).",
            _COPY,
        )


def _why_not(folder: Path, location: str) -> ModelRefused:
    """What stands in the way, for the message only; nothing is opened here."""
    path = folder
    for part in PurePosixPath(location).parts:
        path = path / part
        if path.is_symlink():
            return refused(
                "FW211",
                f"The external data '{shown(location)}' is reached through the link "
                f"'{shown(path.name)}'.",
                _COPY,
            )
    return refused(
        "FW212",
        f"The external data file '{shown(location)}' is missing next to the model.",
        "Copy it into the model's folder; both files travel together.",
    )


def _bad_range(name: str, what: str) -> ModelRefused:
    return refused(
        "FW213",
        f"Tensor '{name}' asks for external data with {what}.",
        "Model and data file do not belong together; export or download both again.",
    )

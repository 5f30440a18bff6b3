"""Reading ``.npz`` files: headers first, nothing allocated before its size is known to fit."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fitwright.errors import DataError
from fitwright.ports import Array
from fitwright.units import bytes_

MEMORY_SHARE = 0.4
"""Part of the machine's memory that the arrays of one file may fill."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an array file says about itself before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def read_headers(path: Path) -> dict[str, Header]:
    """Names, shapes and types of the arrays in an ``.npz`` file; reads no values.

    Raises:
        DataError: missing, unreadable, not an ``.npz`` file, or larger than memory allows.
    """
    with _opened(path) as archive:
        members = _members(path, archive)
        _check_size(path, sum(m.file_size for m in members.values()))
        return {name: _header(path, archive, member) for name, member in members.items()}


def read_arrays(path: Path) -> dict[str, Array]:
    """Every array of an ``.npz`` file, by name; nothing in it is ever executed.

    Raises:
        DataError: as `read_headers`, or an array holds Python objects.
    """
    headers = read_headers(path)
    for name, header in headers.items():
        if header.dtype.hasobject:
            raise DataError(
                f"array '{name}' of {path} holds Python objects, which are never loaded",
                code="FW132",
                remedy="Save plain numbers: numpy.savez(path, x=x.astype('float32')).",
            )
    with _opened(path) as archive:
        members = _members(path, archive)
        return {name: _array(archive, member) for name, member in members.items()}


def _num_bytes(header: Header) -> int:
    count = 1
    for size in header.shape:
        count *= size  # Python integers: a hostile shape cannot overflow
    return count * header.dtype.itemsize


def _check_size(path: Path, num_bytes: int) -> None:
    allowed = MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > allowed:
        raise DataError(
            f"{path} declares {bytes_(num_bytes)} of arrays; this machine takes at most "
            f"{bytes_(allowed)} ({MEMORY_SHARE:.0%} of its memory)",
            code="FW141",
            remedy="Save fewer samples; a few hundred are enough to judge most models.",
        )


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        if not path.is_file():
            kind = "is not a file" if path.exists() else "does not exist"
            raise DataError(
                f"the data source {path} {kind}",
                code="FW130",
                remedy="Write 'source: data.npz' (relative to the contract) or "
                "'source: package.module:function'.",
            )
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _BROKEN as error:
        raise DataError(
            f"{path} is not an .npz file that can be read: {str(error)[:120]}",
            code="FW131",
            remedy="Write it with numpy.savez(path, name=array, labels=labels).",
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {os.strerror(error.errno or 0)}",
            code="FW130",
            remedy="Check the path and its permissions.",
        ) from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
    if not members:
        raise DataError(
            f"{path} holds no array",
            code="FW131",
            remedy="Write it with numpy.savez(path, name=array, labels=labels).",
        )
    return members


def _header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    with archive.open(member) as file:
        shape, dtype = _shape_and_dtype(file)
        header = Header(shape=shape, dtype=dtype)
        held = member.file_size - file.tell()
    if not dtype.hasobject and _num_bytes(header) != held:
        raise DataError(
            f"array '{member.filename[:60]}' of {path} declares {_num_bytes(header)} bytes and "
            f"holds {held}",
            code="FW131",
            remedy="The file is damaged; write it again with numpy.savez.",
        )
    return header


def _shape_and_dtype(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"array format {version} is not read")
    return tuple(shape), dtype


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

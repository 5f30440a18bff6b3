"""Files that travel with a call to another machine, named by their content.

A function is sent with its arguments. Each `Path` among them that names a file brings the file
along, each that names an empty folder brings back what the function writes there. Paths of
anything else pass as they are, and must mean the same on both machines.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

UNUSED_S = 7 * 24 * 3600.0  # files nobody asked for that long are removed from a node
PART_BYTES = 1 << 20

FileSet = tuple[tuple[str, str], ...]
"""Name, relative to the main file's folder, and digest of each file; the main file first."""


@dataclass(kw_only=True)
class Packed:
    """A pickled value and what it needs beside itself.

    Attributes:
        body: the value, with a mark for each path that travels.
        sets: files of each mark.
        sources: where each digest lies on this machine.
        mains, folders: what the marks stand for on this machine.
    """

    body: bytes = b""
    sets: list[FileSet] = field(default_factory=list)
    sources: dict[str, Path] = field(default_factory=dict)
    mains: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def pack(value: object) -> Packed:
    """Pickle a value; its paths become marks."""
    packed, out = Packed(), io.BytesIO()
    _Packer(out, packed).dump(value)
    packed.body = out.getvalue()
    return packed


@final
class _Packer(pickle.Pickler):
    def __init__(self, out: io.BytesIO, packed: Packed) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._packed = packed

    def persistent_id(self, value: Any) -> tuple[str, int] | None:
        """The mark of a path that travels."""
        if not isinstance(value, Path):
            return None
        if value.is_file():
            return "file", self._file(value.absolute())
        if value.is_dir() and not any(value.iterdir()):
            self._packed.folders.append(value)
            return "folder", len(self._packed.folders) - 1
        return None

    def _file(self, main: Path) -> int:
        packed = self._packed
        if main not in packed.mains:
            files = [main, *companions(main)]
            digests = [digest(file) for file in files]
            names = [file.relative_to(main.parent).as_posix() for file in files]
            packed.mains.append(main)
            packed.sets.append(tuple(zip(names, digests, strict=True)))
            packed.sources.update(zip(digests, files, strict=True))
        return packed.mains.index(main)


def companions(main: Path) -> list[Path]:
    """Files beside a model that belong to it: external weights by name, the `.bin` of an IR."""
    if main.suffix == ".xml":
        return [file for file in (main.with_suffix(".bin"),) if file.is_file()]
    if main.suffix != ".onnx" or not main.stat().st_size:
        return []
    beside = [f for f in sorted(main.parent.rglob("*")) if f.is_file() and f != main]
    with main.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # locations are stored as they are: onnx.proto, TensorProto.external_data
        return [f for f in beside if content.find(_location(f, main)) >= 0]


def _location(file: Path, main: Path) -> bytes:
    return file.relative_to(main.parent).as_posix().encode()


def digest(file: Path) -> str:
    """SHA-256 of its content, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- on the other machine -------------------------------------------------------------


@final
class FileCache:
    """Files by digest, and sets of files under their names, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._sets = folder / "sets"
        for place in (self._files, self._sets):
            place.mkdir(parents=True, exist_ok=True)
            _remove_unused(place)

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Those that must be sent."""
        return [d for d in digests if not (self._files / d).is_file()]

    def store(self, name: str, content: bytes) -> None:
        """Keep one file; it appears whole or not at all.

        Raises:
            ValueError: the content is not what the digest says.
        """
        if hashlib.sha256(content).hexdigest() != name:
            raise ValueError(f"file {name} was changed on its way")
        handle, temporary = tempfile.mkstemp(dir=self._files)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(self._files / name)

    def main_file(self, files: FileSet) -> Path:
        """Where the main file of a set lies, with the others beside it.

        Raises:
            ValueError: a name leads out of the folder.
        """
        folder = self._sets / hashlib.sha256(repr(files).encode()).hexdigest()
        if not folder.is_dir():
            making = Path(tempfile.mkdtemp(dir=self._sets))
            for name, content in files:
                _link(self._files / content, _within(making, name))
            if not folder.is_dir():
                making.rename(folder)
        os.utime(folder)
        return folder / files[0][0]


def _within(folder: Path, name: str) -> Path:
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of its folder")
    return place


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.utime(source)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _remove_unused(place: Path) -> None:
    oldest = time.time() - UNUSED_S
    for entry in place.iterdir():
        if entry.stat().st_mtime < oldest:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def unpack(body: bytes, *, mains: Sequence[Path], folders: Sequence[Path]) -> Any:
    """The value, with the paths of this machine."""
    return _Unpacker(io.BytesIO(body), {"file": mains, "folder": folders}).load()


@final
class _Unpacker(pickle.Unpickler):
    def __init__(self, body: io.BytesIO, places: Mapping[str, Sequence[Path]]) -> None:
        super().__init__(body)
        self._places = places

    def persistent_load(self, mark: Any) -> Path:
        """The path a mark stands for here."""
        kind, number, *inside = mark
        return Path(self._places[kind][number], *inside)


def packed_result(value: object, *, mains: Sequence[Path], folders: Sequence[Path]) -> bytes:
    """Pickle what a function returned; paths that it was given become marks again."""
    out = io.BytesIO()
    _Returner(out, mains=mains, folders=folders).dump(value)
    return out.getvalue()


@final
class _Returner(pickle.Pickler):
    def __init__(self, out: io.BytesIO, *, mains: Sequence[Path], folders: Sequence[Path]) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._mains, self._folders = mains, folders

    def persistent_id(self, value: Any) -> tuple[str | int, ...] | None:
        """The mark of a path that the other side has given."""
        if not isinstance(value, Path):
            return None
        for number, folder in enumerate(self._folders):
            if value.is_relative_to(folder):
                return "folder", number, *value.relative_to(folder).parts
        return ("file", self._mains.index(value)) if value in self._mains else None


def contents(folder: Path) -> dict[str, bytes]:
    """Every file beneath a folder, by name."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}


def write_contents(folder: Path, files: Mapping[str, bytes]) -> None:
    """The other way round.

    Raises:
        ValueError: a name leads out of the folder.
    """
    for name, content in files.items():
        place = _within(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

"""The manifest of a bundle: what ships, byte for byte, and how to load it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from fitwright.ports import Tensors
from fitwright.records.model import TensorInfo
from fitwright.records.plan import Settings
from fitwright.records.recipe import Recipe
from fitwright.records.record import Record

FORMAT_VERSION = 1


class ShippedFile(Record):
    """One file of the bundle, with its path from the bundle's root."""

    path: str
    sha256: str
    bytes: int


class SelfTest(Record):
    """How the stored outputs are compared: relative L2 distance at most `tolerance`."""

    queries: int
    tolerance: float


class Manifest(Record):
    """`manifest.json`.

    Attributes:
        model: the main file, from the bundle's root.
        original_sha256: digest of the model the user gave.
        settings: what the winning candidate ran with; ``null`` is the backend's default.
        inputs, outputs: at the sizes that were measured.
        files: every file but the manifest itself.
    """

    format_version: int = FORMAT_VERSION
    fitwright: str
    candidate: str
    variant_id: str
    recipes: tuple[Recipe, ...]
    backend: str
    backend_version: str
    model_format: str
    model: str
    original_sha256: str
    settings: Settings
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    selftest: SelfTest
    files: tuple[ShippedFile, ...]


def shipped_files(folder: Path) -> tuple[ShippedFile, ...]:
    """Every file beneath `folder`, sorted by path, hashed from what lies on the disk."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return tuple(_shipped(path, folder) for path in paths)


def _shipped(path: Path, folder: Path) -> ShippedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ShippedFile(
        path=path.relative_to(folder).as_posix(), sha256=digest, bytes=path.stat().st_size
    )


def tensor_infos(tensors: Tensors) -> tuple[TensorInfo, ...]:
    """Name, dtype and the shape of one query; the first axis counts queries."""
    return tuple(
        TensorInfo(name=name, dtype=str(array.dtype), shape=tuple(array.shape[1:]))
        for name, array in tensors.items()
    )


def lock_text(packages: Iterable[str], versions: dict[str, str]) -> str:
    """``requirements.lock``: exact versions of what `run.py` needs, those known."""
    return "".join(f"{name}=={versions[name]}\n" for name in sorted(packages) if name in versions)

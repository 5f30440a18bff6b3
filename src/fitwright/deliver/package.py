"""A bundle carried elsewhere: checked against its manifest, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fitwright.deliver.manifest import Manifest, shipped_files
from fitwright.errors import UsageError
from fitwright.records.run import storage_error

MANIFEST = "manifest.json"


def copy_bundle(bundle: Path, to: Path) -> dict[str, int]:
    """Copy `bundle` to the new folder `to`; size in bytes of each file by its path.

    Raises:
        UsageError: the target exists, or the bundle is not what its manifest says.
        StorageError: the disk is full or may not be written; nothing half-copied is left.
    """
    if to.exists():
        raise UsageError(
            f"{to} exists already; a bundle is never mixed with other files",
            code="FW108",
            remedy="Name a folder that does not exist yet.",
        )
    _check(bundle)
    building: Path | None = None
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=to.parent, prefix=".bundle."))
        shutil.copytree(bundle, building, dirs_exist_ok=True)
        building.rename(to)
    except OSError as error:
        raise storage_error(error, to.parent, _total_bytes(bundle)) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)
    return {file.path: file.bytes for file in shipped_files(to)}


def _check(bundle: Path) -> None:
    """Every file of the manifest, byte for byte, and no other."""
    try:
        manifest = Manifest.from_file(bundle / MANIFEST)
    except (OSError, ValueError) as error:  # a record's own errors are ValueErrors
        raise UsageError(
            f"{bundle} has no readable {MANIFEST}",
            code="FW109",
            remedy="Write the bundle again with `fitwright tune RUN`.",
        ) from error
    found = {f.path: f for f in shipped_files(bundle) if f.path != MANIFEST}
    stated = {f.path: f for f in manifest.files}
    wrong = sorted(p for p in found.keys() | stated.keys() if found.get(p) != stated.get(p))
    if wrong:
        raise UsageError(
            f"{bundle} is not what its manifest says; first of {len(wrong)} file(s): {wrong[0]}",
            code="FW109",
            remedy="Write the bundle again with `fitwright tune RUN`.",
        )


def _total_bytes(folder: Path) -> int:
    return sum(f.bytes for f in shipped_files(folder))

"""Variants on disk: content-addressed, moved into place whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fitwright.graph.external import is_external, region
from fitwright.graph.protos import all_tensors
from fitwright.graph.read import read_model
from fitwright.ports import TransformRequest
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Recipe, Variant
from fitwright.records.run import storage_error, write_atomically

ID_DIGITS = 12
_DONE = ".done"
_CHUNK_BYTES = 1 << 20
_MAKING = ".making-"


def digest(files: Sequence[Path]) -> str:
    """SHA-256 over the content of the files, in the order given."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                total.update(chunk)
    return total.hexdigest()


def variant_id(sha256: str, settings: Settings) -> str:
    """First 12 hex digits over the files' digest and the settings every candidate must use."""
    stated = settings.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(f"{sha256} {stated}".encode()).hexdigest()[:ID_DIGITS]


def original_variant(
    summary: ModelSummary,
    *,
    backends: Sequence[str] = ("onnxruntime", "openvino"),
) -> Variant:
    """The model as the user gave it, as the variant every chain starts from.

    Args:
        summary: of the model.
        backends: which backends may run it.
    """
    main = Path(summary.path).resolve()
    return Variant(
        id=variant_id(summary.sha256, Settings()),
        recipes=(),
        file=str(main),
        files=(str(main), *_data_files(main, size_bytes=summary.size_bytes)),
        format="onnx",
        sha256=summary.sha256,
        size_bytes=summary.size_bytes,
        backends=tuple(backends),
    )


def _data_files(main: Path, *, size_bytes: int) -> list[str]:
    """External data files; a model whose own file has all the bytes has none."""
    if main.stat().st_size == size_bytes:
        return []
    tensors = all_tensors(read_model(main))
    return list(
        dict.fromkeys(str(main.parent / region(t).location) for t in tensors if is_external(t))
    )


def variant_path(variant: Variant, run_folder: Path) -> Path:
    """Where its main file lies; `run_folder` is the folder above ``variants/``."""
    return run_folder / variant.file


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder beside the variants, gone afterwards whatever happens.

    Scratch folders left by a process that was killed are removed on the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        making = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{os.getpid()}-", dir=folder))
    except OSError as error:
        raise storage_error(error, folder, 0) from error
    try:
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f"{_MAKING}*"):
        pid = left.name.removeprefix(_MAKING).split("-")[0]
        if not (pid.isdigit() and _runs(int(pid))):
            shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stored(
    made: Path, main: Path, *, folder: Path, recipes: tuple[Recipe, ...], like: Variant
) -> Variant:
    """Move a finished folder to ``folder/<id>/``; the target appears whole or not at all.

    Args:
        made: folder holding exactly the files of the variant.
        main: the main file within it.
        folder: the run's ``variants/``; paths in the variant are relative to its parent.
        recipes: the chain that led here.
        like: format, backends, settings, seconds and notes of the new variant.
    """
    files = sorted(file for file in made.rglob("*") if file.is_file())
    files.sort(key=lambda file: file != main)
    sha256 = digest(files)
    size_bytes = sum(file.stat().st_size for file in files)
    name = variant_id(sha256, like.settings)
    target = folder / name
    if not target.exists():
        _synced(files)
        try:
            made.replace(target)
        except OSError as error:
            if not target.exists():
                raise storage_error(error, folder, size_bytes) from error
    names = tuple(str(Path(folder.name) / name / file.relative_to(made)) for file in files)
    return like.model_copy(
        update={
            "id": name,
            "recipes": recipes,
            "file": names[0],
            "files": names,
            "sha256": sha256,
            "size_bytes": size_bytes,
        }
    )


def step_key(variant: Variant, request: TransformRequest) -> str:
    """Identifies one recipe applied to one variant for one device, with its calibration."""
    calibration = digest([request.calibration]) if request.calibration else ""
    device = request.device
    hardware = f"{device.architecture} {sorted(device.instruction_sets)}" if device else ""
    text = "\n".join((variant.to_json(), request.recipe.to_json(), calibration, hardware))
    return hashlib.sha256(text.encode()).hexdigest()


def remembered(folder: Path, key: str) -> Variant | None:
    """What the same step gave before in this run, when its files are still whole in size."""
    file = folder / _DONE / f"{key}.json"
    if not file.is_file():
        return None
    try:
        variant = Variant.from_file(file)
    except ValueError:
        return None
    files = [folder.parent / name for name in variant.files]
    if not all(f.is_file() for f in files):
        return None
    return variant if sum(f.stat().st_size for f in files) == variant.size_bytes else None


def remember(folder: Path, key: str, variant: Variant) -> None:
    """Keep the outcome of a step, so that no chain of this run repeats it."""
    write_atomically(folder / _DONE / f"{key}.json", variant.to_json().encode())


def _synced(files: Sequence[Path]) -> None:
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())

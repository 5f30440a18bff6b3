"""The bundle: a folder that runs the artefact without Fitwright, and proves it is the one."""

from __future__ import annotations

import errno
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.deliver.environment import requirements_of
from fitwright.deliver.manifest import Manifest, SelfTest, lock_text, shipped_files, tensor_infos
from fitwright.deliver.pages import render
from fitwright.ports import Array, Tensors
from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.need import Analysis
from fitwright.records.recipe import Variant
from fitwright.records.run import RunFolder, storage_error
from fitwright.records.trial import Candidate
from fitwright.records.verdict import Verdict

SELFTEST_QUERIES = 4
SELFTEST_BYTES = 16 << 20
_BUILDING = ".bundle."
_REFUSED_BY_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


def write_bundle(
    run: RunFolder,
    *,
    candidate: Candidate,
    variant: Variant,
    model_folder: Path,
    inputs: Tensors,
    expected: Tensors,
    tolerance: float,
) -> Path:
    """Build ``bundle/`` beside its place and rename it there: whole, or as it was before.

    Args:
        candidate, variant: what ships, its settings and its model file.
        model_folder: what the variant's files are relative to; absolute ones stand alone.
        inputs, expected: queries and the artefact's own outputs, shape (queries, *shape);
            the first few become the self-test.
        tolerance: largest relative L2 distance the self-test allows.

    Raises:
        StorageError: the disk is full or may not be written; nothing half-written is left.
        UsageError: the run has not come far enough to have a verdict.
    """
    building: Path | None = None
    try:
        building = _cleared_workplace(run)
        _write_promises(run, building)
        _copy_model(variant, model_folder, building / "model")
        chosen = _few(inputs, expected)
        _write_selftest(building / "selftest.npz", *chosen)
        _finish(run, building, candidate, variant, chosen, tolerance)
        _swap(building, run.bundle)
    except OSError as error:
        if error.errno not in _REFUSED_BY_DISK:
            raise
        raise storage_error(error, run.path, variant.size_bytes) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)
    return run.bundle


def _cleared_workplace(run: RunFolder) -> Path:
    """An empty folder beside the bundle's place; what a killed process left there is gone."""
    for abandoned in run.path.glob(f"{_BUILDING}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=run.path, prefix=_BUILDING))


def _write_promises(run: RunFolder, building: Path) -> None:
    """What was promised and how it was judged."""
    (building / "verdict.json").write_text(run.read(Verdict).to_json(), encoding="utf-8")
    (building / "contract.json").write_text(run.read(Contract).to_json(), encoding="utf-8")


def _copy_model(variant: Variant, model_folder: Path, target: Path) -> None:
    """Every file of the variant, keeping their places relative to the main one."""
    main = model_folder / variant.file  # an absolute file stands alone
    for name in variant.files:
        source = model_folder / name
        if not source.is_file() and not Path(name).is_absolute():
            source = main.parent / name
        place = target / source.relative_to(main.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)


def _few(inputs: Tensors, expected: Tensors) -> tuple[dict[str, Array], dict[str, Array]]:
    """The first queries, at least one, while they stay small."""
    per_query = sum(a[:1].nbytes for a in (*inputs.values(), *expected.values()))
    count = max(1, min(SELFTEST_QUERIES, SELFTEST_BYTES // max(per_query, 1)))
    return (
        {name: np.asarray(array[:count]) for name, array in inputs.items()},
        {name: _storable(np.asarray(array[:count])) for name, array in expected.items()},
    )


def _storable(array: Array) -> Array:
    """Types that .npz cannot hold (bfloat16 and kin) widened to float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _write_selftest(path: Path, inputs: Tensors, expected: Tensors) -> None:
    """Arrays by position, so that no tensor name becomes a file name."""
    arrays: dict[str, Any] = {f"input_{i}": a for i, a in enumerate(inputs.values())}
    arrays |= {f"output_{i}": a for i, a in enumerate(expected.values())}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _finish(
    run: RunFolder,
    building: Path,
    candidate: Candidate,
    variant: Variant,
    chosen: tuple[Tensors, Tensors],
    tolerance: float,
) -> None:
    """Lock, script, README and, last, the manifest over all of them."""
    environment, analysis = run.read(Environment), run.read(Analysis)
    inputs, expected = chosen
    packages = {"numpy", *requirements_of(candidate.backend)}
    lock = lock_text(packages, environment.packages)
    (building / "requirements.lock").write_text(lock, encoding="utf-8")
    script = resources.files("fitwright.deliver") / "templates" / "run.py.txt"
    (building / "run.py").write_bytes(script.read_bytes())
    manifest = Manifest(
        fitwright=environment.fitwright,
        candidate=candidate.describe(),
        variant_id=variant.id,
        recipes=variant.recipes,
        backend=candidate.backend,
        backend_version=environment.packages.get(candidate.backend, "unknown"),
        model_format=variant.format,
        model=f"model/{Path(variant.file).name}",
        original_sha256=analysis.summary.sha256,
        settings=candidate.settings.merged(variant.settings),
        inputs=tensor_infos(inputs),
        outputs=tensor_infos(expected),
        selftest=SelfTest(queries=len(next(iter(inputs.values()))), tolerance=tolerance),
        files=(),
    )
    readme = render("bundle-readme.md.j2", manifest=manifest, verdict=run.read(Verdict))
    (building / "README.md").write_text(readme, encoding="utf-8")
    whole = manifest.model_copy(update={"files": shipped_files(building)})
    (building / "manifest.json").write_text(whole.to_json(), encoding="utf-8")


def _swap(building: Path, place: Path) -> None:
    """Put the finished folder in place; an earlier bundle leaves only when the new one is in."""
    building.chmod(0o755)
    if not place.exists():
        building.rename(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=_BUILDING))
    place.rename(old / "bundle")
    building.rename(place)
    shutil.rmtree(old, ignore_errors=True)

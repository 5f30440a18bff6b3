"""Calibration data as a file: which queries, how many, and where they came from."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.graph.read import read_model
from fitwright.ports import Array, Samples
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.run import write_atomically

FEWEST, MOST = 16, 128
# Calibration runs the float model without graph optimisation; 20 GFLOP/s is the rate of two
# slow cores there, and 40 s is what calibration may take of a fit of some minutes.
_FLOP_BUDGET = 20e9 * 40.0
_MAX_BYTES = 256 << 20


def num_calibration_queries(summary: ModelSummary) -> int:
    """How many queries to calibrate on: 16 for a heavy model, up to 128 for a light one."""
    flops_per_query = summary.flops + summary.elementwise_flops
    affordable = int(_FLOP_BUDGET / max(flops_per_query, 1))
    return min(max(affordable, FEWEST), MOST)


def write_calibration(samples: Samples, out: Path, *, num_queries: int = 32) -> str:
    """Write the calibration ``.npz`` and, beside it, a sentence on its origin.

    The queries are spread evenly over the samples, because data is often sorted by class.

    Args:
        samples: queries set apart for calibration, never used to judge accuracy.
        out: ``….npz``; one array per input, shape (queries, *input shape).
        num_queries: at most this many; fewer when the samples or 256 MiB run out.

    Returns:
        The sentence, e.g. ``calibrated on 64 samples of the contract's data``.
    """
    per_query_bytes = sum(array[:1].nbytes for array in samples.inputs.values())
    num = min(num_queries, samples.num_queries, max(1, _MAX_BYTES // max(per_query_bytes, 1)))
    picked = np.linspace(0, samples.num_queries - 1, num).round().astype(int)
    content = io.BytesIO()
    np.savez(content, **{name: array[picked] for name, array in samples.inputs.items()})
    write_atomically(out, content.getvalue())
    note = _origin(samples, num)
    write_atomically(_note_file(out), note.encode())
    return note


def _origin(samples: Samples, num_queries: int) -> str:
    per_query = next(iter(samples.inputs.values())).shape[1:2]
    batch = f" of batch {per_query[0]}" if per_query and per_query[0] > 1 else ""
    noun = "sample" if num_queries == 1 else "samples"
    if samples.origin == "contract":
        return f"calibrated on {num_queries} {noun}{batch} of the contract's data"
    return (
        f"calibrated on {num_queries} synthetic {noun}{batch} drawn from the stated input "
        "ranges; real data would place the int8 ranges better"
    )


def calibration_in_runs(calibration: Path, settings: Settings) -> Path:
    """The same data as the runs of a model with these settings take it: so many queries stacked
    into each, or each query cut into parts.

    Written beside the file, once; the last is filled up with the first queries.
    """
    batch, parts = settings.batch, settings.parts
    if batch == parts == 1:
        return calibration
    name = f"x{batch}" if parts == 1 else f"{parts}-parts"
    out = calibration.with_name(f"{calibration.stem}-{name}.npz")
    if not out.is_file():
        with np.load(calibration) as archive:
            arrays = {name: archive[name] for name in archive.files}
        content = io.BytesIO()
        runs: dict[str, Any] = {n: _parted(_batched(a, batch), parts) for n, a in arrays.items()}
        np.savez(content, **runs)
        if (note := calibration_note(calibration)) is not None:
            write_atomically(_note_file(out), note.encode())
        write_atomically(out, content.getvalue())
    return out


def _batched(array: Array, batch: int) -> Array:
    """Shape (queries, size, ...) as (runs, batch * size, ...)."""
    runs = -(-len(array) // batch)
    picked = array[np.arange(runs * batch) % len(array)]
    return picked.reshape(runs, batch * array.shape[1], *array.shape[2:])


def _parted(array: Array, parts: int) -> Array:
    """Shape (queries, size, ...) as (queries * parts, size / parts, ...)."""
    queries, size = array.shape[:2]
    return array.reshape(queries * parts, size // parts, *array.shape[2:])


def cut_calibration(calibration: Path, *, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """The same data with each query cut to its beginning, for a model that takes less.

    Written beside the file, once for all inputs of these shapes.
    """
    digest = hashlib.sha256(repr(sorted(shapes.items())).encode()).hexdigest()[:12]
    out = calibration.with_name(f"{calibration.stem}-{digest}.npz")
    if not out.is_file():
        with np.load(calibration) as archive:
            held: dict[str, Any] = {n: _beginning(archive[n], shapes[n]) for n in archive.files}
        content = io.BytesIO()
        np.savez(content, **held)
        if (note := calibration_note(calibration)) is not None:
            write_atomically(_note_file(out), note.encode())
        write_atomically(out, content.getvalue())
    return out


def _beginning(array: Array, shape: tuple[int, ...]) -> Array:
    """Shape (queries, *size) as (queries, *shape)."""
    return np.ascontiguousarray(array[(slice(None), *(slice(size) for size in shape))])


def input_shapes(model: Path) -> dict[str, tuple[int, ...]]:
    """Of an ONNX file with static inputs, by name."""
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in read_model(model).graph.input
    }


def calibration_note(calibration: Path) -> str | None:
    """The sentence `write_calibration` left beside the file, if any."""
    file = _note_file(calibration)
    return file.read_text() if file.is_file() else None


def _note_file(calibration: Path) -> Path:
    return calibration.with_suffix(".txt")

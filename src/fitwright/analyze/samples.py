"""Real or synthetic queries for the model, split once into calibration and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitwright.analyze.arrays import read_arrays
from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.conform import Rows, as_arrays, bound_shape, conformed, conformed_labels
from fitwright.analyze.contract import resolved
from fitwright.analyze.synthetic import synthetic_samples
from fitwright.analyze.user_code import call, is_reference
from fitwright.errors import DataError
from fitwright.ports import Array, Samples, Tensors
from fitwright.records.contract import Contract, Data
from fitwright.records.model import ModelSummary


@dataclass(frozen=True, kw_only=True)
class Split:
    """Queries to calibrate with and, apart from them, queries to judge with.

    Attributes:
        notes: what was renamed, left out or drawn, in sentences for the report.
    """

    calibration: Samples
    evaluation: Samples
    notes: tuple[str, ...] = ()


def digest(split: Split) -> str:
    """SHA-256 over names, shapes and bytes of all samples and labels, calibration first."""
    total = hashlib.sha256()
    for samples in (split.calibration, split.evaluation):
        labels = {} if samples.labels is None else {"": samples.labels}
        for name, values in {**samples.inputs, **labels}.items():
            total.update(f"{name}{values.dtype}{values.shape}".encode())
            total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()


def load_samples(
    contract: Contract,
    folder: Path,
    summary: ModelSummary,
    *,
    seed: int = 0,
    index_bounds: Mapping[str, int] | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> Split:
    """The contract's data, or synthetic queries when it has none.

    Args:
        contract: says where the data is and how much of it calibrates.
        folder: the contract's folder.
        summary: the model's inputs at the bound shapes.
        seed: of the split and of the synthetic values; same seed, same samples.
        index_bounds: for synthetic integer inputs that index a table, its length.
        arrays: what `source_arrays` gave, when it was called already.

    Raises:
        DataError: the data cannot be read or does not fit the model.
    """
    if contract.data is None:
        calibration, evaluation, notes = synthetic_samples(
            contract, summary, seed=seed, index_bounds=index_bounds or {}
        )
        return Split(calibration=calibration, evaluation=evaluation, notes=notes)
    if arrays is None:
        arrays = source_arrays(contract.data, folder)
    inputs, labels, notes = _matched(arrays, contract.data, summary)
    rows = conformed(inputs, summary)
    rows_of_labels = (
        None
        if labels is None
        else conformed_labels(labels, rows, summary=summary, data=contract.data)
    )
    return _split(rows, rows_of_labels, contract.data, notes=notes, seed=seed)


def source_arrays(data: Data, folder: Path) -> dict[str, Array]:
    """Every array of the data source, unchecked against the model.

    Raises:
        DataError: the file or the function gives no arrays.
    """
    file = resolved(data.source, folder)
    if is_reference(data.source) and not file.exists():
        return as_arrays(call(data.source, folder), data.source)
    return read_arrays(file)


def _matched(
    arrays: Mapping[str, Array], data: Data, summary: ModelSummary
) -> tuple[dict[str, Array], Array | None, tuple[str, ...]]:
    """Arrays by model input; a lone array serves a lone input whatever its name."""
    left = dict(arrays)
    wanted = [i.name for i in summary.inputs]
    labels = left.pop(data.labels, None) if data.labels not in wanted else None
    if labels is None and data.labels != "labels":
        raise _no_array(data.labels, "the labels", arrays)
    notes: list[str] = []
    if len(wanted) == 1 and wanted[0] not in left and len(left) == 1:
        (name,) = left
        notes.append(f"array '{name}' of {data.source} is taken for the input '{wanted[0]}'")
        left = {wanted[0]: left[name]}
    for name in wanted:
        if name not in left:
            raise _no_array(name, "a model input", arrays)
    if extra := sorted(left.keys() - set(wanted)):
        notes.append(f"not used: array {', '.join(repr(e) for e in extra[:5])} of {data.source}")
    return {n: left[n] for n in wanted}, labels, tuple(notes)


def _no_array(name: str, role: str, arrays: Mapping[str, Array]) -> DataError:
    return DataError(
        f"the data has no array '{name}' ({role}); {did_you_mean(name, arrays)}; "
        f"it holds {', '.join(sorted(arrays)[:8])}",
        code="FW143",
        remedy="Name the arrays as the model names its inputs, and the labels in 'data.labels'.",
    )


def _split(
    rows: Rows, labels: Array | None, data: Data, *, notes: tuple[str, ...], seed: int
) -> Split:
    """Disjoint parts of whole queries; stratified where labels are integers."""
    num_queries = rows.num_rows // rows.rows_per_query
    if num_queries < 2:
        raise DataError(
            f"{rows.num_rows} sample(s) make {num_queries} querie(s) of {rows.rows_per_query}; "
            "at least 2 are needed, one to calibrate and one to judge",
            code="FW149",
            remedy="Give more samples (some hundreds judge an accuracy within a few per cent), "
            "or leave 'data:' out to use synthetic inputs.",
        )
    num_calibration = min(max(round(data.calibration_share * num_queries), 1), num_queries - 1)
    random = np.random.default_rng(seed)
    order = _stratified_order(rows, labels, random)
    take = num_calibration * rows.rows_per_query
    picked = np.zeros(rows.num_rows, dtype=bool)
    # evenly spaced over the ordered labels: every class keeps its share in both parts
    picked[((np.arange(take) + 0.5) * rows.num_rows / take).astype(np.int64)] = True
    keep = (num_queries - num_calibration) * rows.rows_per_query
    evaluation = random.permutation(order[~picked])[:keep]
    calibration = random.permutation(order[picked])
    if dropped := rows.num_rows - take - keep:
        notes += (
            f"{dropped} of {rows.num_rows} samples left over from queries of {rows.rows_per_query}",
        )
    return Split(
        calibration=_part(rows, labels, calibration),
        evaluation=_part(rows, labels, evaluation),
        notes=notes,
    )


def _stratified_order(rows: Rows, labels: Array | None, random: np.random.Generator) -> Array:
    order: Array = random.permutation(rows.num_rows)
    per_row = labels is not None and labels.ndim == 1 and len(labels) == rows.num_rows
    if labels is None or not per_row or not np.issubdtype(labels.dtype, np.integer):
        return order
    ordered: Array = order[np.argsort(labels[order], kind="stable")]
    return ordered


def _part(rows: Rows, labels: Array | None, picked: Array) -> Samples:
    inputs: Tensors = {name: rows.queries(name, picked) for name in rows.arrays}
    chosen = None
    if labels is not None:
        per_row = labels.reshape(rows.num_rows, -1, *labels.shape[1:])[picked]
        chosen = per_row.reshape(-1, *labels.shape[1:])
    return Samples(inputs=inputs, labels=chosen, origin="contract")


__all__ = ["Split", "bound_shape", "load_samples", "source_arrays"]

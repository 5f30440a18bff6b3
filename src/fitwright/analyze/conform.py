"""Arrays of the user made to fit the model's inputs, or refused with what was expected.

Two layouts are accepted, told apart by the number of axes: one *query* per row, shape
(queries, *input shape), and one *sample* per row, shape (samples, *input shape without its
first axis), where a query takes as many samples as that first axis is long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitwright.analyze.complaints import shown
from fitwright.errors import DataError
from fitwright.ports import Array
from fitwright.records.contract import Data
from fitwright.records.model import ModelSummary, TensorInfo


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs of the right type whose first axis is the same for all.

    Attributes:
        arrays: by input name, shape (rows, ...).
        shapes: by input name, the shape of one query.
        rows_per_query: rows that one query takes.
        samples_per_row: samples (labels) that one row holds.
    """

    arrays: Mapping[str, Array]
    shapes: Mapping[str, tuple[int, ...]]
    rows_per_query: int
    samples_per_row: int

    @property
    def num_rows(self) -> int:
        """Length of the first axis."""
        return len(next(iter(self.arrays.values())))

    def queries(self, name: str, picked: Array) -> Array:
        """Those rows as queries, shape (queries, *query shape)."""
        array: Array = self.arrays[name][picked].reshape(-1, *self.shapes[name])
        return np.ascontiguousarray(array)


def bound_shape(info: TensorInfo, summary: ModelSummary) -> tuple[int, ...]:
    """The input's shape with every symbol replaced by its bound size.

    Raises:
        DataError: a size is known to nobody.
    """
    sizes: list[int] = []
    for axis, size in enumerate(info.shape):
        bound = size if isinstance(size, int) else summary.bindings.get(str(size))
        if bound is None:
            raise DataError(
                f"the size of axis {axis} ('{size}') of input '{info.name}' is not known",
                code="FW144",
                remedy=f"Add 'shapes: {{{size}: 128}}' with the size to optimise for.",
            )
        sizes.append(bound)
    return tuple(sizes)


def as_arrays(value: Any, source: str) -> dict[str, Array]:
    """What a data function returned, as plain arrays by name.

    Raises:
        DataError: not a mapping from names to arrays of numbers.
    """
    if not isinstance(value, Mapping) or not value:
        raise DataError(
            f"'{source}' must return a mapping from names to arrays; "
            f"it returned {type(value).__name__}",
            code="FW142",
            remedy="Return {'input': x, 'labels': y}.",
        )
    arrays = {str(name): _plain(str(name), item) for name, item in value.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise DataError(
                f"array '{name}' from '{source}' holds Python objects",
                code="FW132",
                remedy="Return plain numbers: numpy.asarray(x, dtype='float32').",
            )
    return arrays


def _plain(name: str, item: Any) -> Array:
    try:
        return np.asarray(item)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"'{name}' is not an array: {shown(str(error), width=100)}",
            code="FW132",
            remedy="Rows must all have the same shape; return numpy arrays of numbers.",
        ) from error


def conformed(inputs: Mapping[str, Array], summary: ModelSummary) -> Rows:
    """Every input cast and laid out, with one number of rows.

    Raises:
        DataError: shape, type, number of rows, NaN or infinity.
    """
    infos = {i.name: i for i in summary.inputs}
    shapes = {name: bound_shape(infos[name], summary) for name in inputs}
    arrays = {name: _cast(name, array, infos[name].dtype) for name, array in inputs.items()}
    by_query = {name: _is_by_query(name, arrays[name], shapes[name]) for name in arrays}
    if all(by_query.values()):
        rows_per_query, samples_per_row = 1, _first(shapes)
    elif not any(by_query.values()):
        rows_per_query, samples_per_row = _first(shapes), 1
    else:
        arrays = {
            name: array if by_query[name] else _grouped(array, shapes[name])
            for name, array in arrays.items()
        }
        rows_per_query, samples_per_row = 1, _first(shapes)
    _check_counts(arrays)
    for name, array in arrays.items():
        _check_finite(name, array)
    return Rows(
        arrays=arrays,
        shapes=shapes,
        rows_per_query=rows_per_query,
        samples_per_row=samples_per_row,
    )


def _first(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Samples in one query: the longest first axis among the inputs."""
    return max((s[0] for s in shapes.values() if s), default=1)


def _is_by_query(name: str, array: Array, shape: tuple[int, ...]) -> bool:
    if array.ndim >= 1 and array.shape[1:] == shape:
        return True
    if array.ndim >= 1 and shape and array.shape[1:] == shape[1:]:
        return False
    inner = ", ".join(str(s) for s in shape[1:])
    raise DataError(
        f"input '{name}' takes ({', '.join(map(str, shape))}) for one query, so its array needs "
        f"shape (samples{', ' if inner else ''}{inner}); it has {array.shape}",
        code="FW144",
        remedy="Reshape the array, or set 'shapes:' or 'traffic: {batch: ...}' to what it holds.",
    )


def _grouped(array: Array, shape: tuple[int, ...]) -> Array:
    """Samples put together into queries, in order; an incomplete last query is dropped."""
    whole = len(array) // shape[0] * shape[0]
    grouped: Array = array[:whole].reshape(-1, *shape)
    return grouped


def _check_counts(arrays: Mapping[str, Array]) -> None:
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        stated = ", ".join(f"{name}: {n}" for name, n in list(counts.items())[:6])
        raise DataError(
            f"the input arrays differ in length ({stated})",
            code="FW144",
            remedy="Give every input one row per sample.",
        )


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind != "f":
        return
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    raise DataError(
        f"array '{name}' holds {array[index]} at index {index} "
        f"({int(bad.sum())} value(s) are not finite)",
        code="FW146",
        remedy="Clean the data: every input value must be a finite number.",
    )


def _cast(name: str, array: Array, wanted: str) -> Array:
    """The array in the input's type, when no value can change its meaning."""
    try:
        target = np.dtype(wanted)
    except TypeError:
        target = np.dtype(object)
    if array.dtype == target and target.kind in "fiub":
        return array.astype(target, copy=False)
    if target.kind == "f" and array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            cast = array.astype(target)
        if bool((np.isinf(cast) & ~np.isinf(array)).any()):
            raise _wrong_type(name, array, wanted, "values too large for it")
        return cast
    if target.kind in "iu" and array.dtype.kind in "iub":
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        limits = np.iinfo(target)
        if low < limits.min or high > limits.max:
            raise _wrong_type(name, array, wanted, f"values from {low} to {high}")
        return array.astype(target)
    if target.kind == "b" and array.dtype.kind in "iu" and bool(np.isin(array, (0, 1)).all()):
        return array.astype(target)
    raise _wrong_type(name, array, wanted, "")


def _wrong_type(name: str, array: Array, wanted: str, why: str) -> DataError:
    extra = f" with {why}" if why else ""
    return DataError(
        f"input '{name}' takes {wanted}; its array is {array.dtype}{extra}",
        code="FW145",
        remedy=f"Convert it as the model expects (scaling included), then "
        f"save array.astype('{wanted}').",
    )


def conformed_labels(labels: Array, rows: Rows, *, summary: ModelSummary, data: Data) -> Array:
    """Labels as (samples, ...): one per sample, numbers, finite, within the classes.

    Raises:
        DataError: otherwise.
    """
    if labels.dtype.kind not in "iubf":
        raise DataError(
            f"labels '{data.labels}' are {labels.dtype}; labels must be numbers",
            code="FW145",
            remedy="Save class indices (0, 1, 2, ...) or target values.",
        )
    expected = rows.num_rows * rows.samples_per_row
    per_row = (rows.num_rows, rows.samples_per_row)
    if rows.samples_per_row > 1 and labels.shape[:2] == per_row:
        labels = labels.reshape(expected, *labels.shape[2:])
    if labels.ndim == 0 or len(labels) != expected:
        found = 0 if labels.ndim == 0 else len(labels)
        raise DataError(
            f"there are {found} labels for {expected} samples; there must be one for each",
            code="FW140",
            remedy=f"Correct the array '{data.labels}', or name another with 'data.labels'.",
        )
    _check_finite(data.labels, labels)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind in "iu" and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    _check_classes(labels, summary, data)
    return labels


def _check_classes(labels: Array, summary: ModelSummary, data: Data) -> None:
    by_class = data.metric in (None, "accuracy", "f1", "roc_auc") and labels.dtype.kind in "iu"
    outputs = {o.name: o for o in summary.outputs}
    judged = outputs.get(data.output or "", summary.outputs[0])
    num_classes = judged.shape[-1] if len(judged.shape) == 2 else None
    if not by_class or labels.ndim != 1 or not isinstance(num_classes, int) or num_classes < 2:
        return
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < num_classes:
        return
    raise DataError(
        f"labels run from {low} to {high}, but output '{judged.name}' has classes "
        f"0 to {num_classes - 1}",
        code="FW140",
        remedy="Count classes from 0, or state 'data.metric' when these are no classes.",
    )

"""Queries drawn from stated ranges, for models that come without data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitwright.analyze.complaints import did_you_mean
from fitwright.analyze.conform import bound_shape
from fitwright.errors import ContractError, DataError
from fitwright.ports import Array, Samples
from fitwright.records.contract import Contract, InputRange
from fitwright.records.model import ModelSummary, TensorInfo

NUM_CALIBRATION = 16
NUM_EVALUATION = 32
MAX_BYTES = 256 * 2**20
"""Above this many bytes of inputs, fewer queries are drawn."""


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    values: Array
    how: str


def synthetic_samples(
    contract: Contract, summary: ModelSummary, *, seed: int, index_bounds: Mapping[str, int]
) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Calibration queries, evaluation queries, and how each input was drawn.

    Raises:
        ContractError: `inputs` names an input that the model does not have.
        DataError: an input has a type that cannot be drawn.
    """
    names = [i.name for i in summary.inputs]
    for name in contract.inputs:
        if name not in names:
            raise ContractError(
                f"inputs.{name}: the model has no such input; {did_you_mean(name, names)}",
                code="FW116",
                remedy="Correct the name under 'inputs:'.",
            )
    shapes = {i.name: bound_shape(i, summary) for i in summary.inputs}
    calibration, evaluation = _num_queries(summary, shapes)
    random = np.random.default_rng(seed)
    drawn = {
        i.name: _draw(
            i,
            (calibration + evaluation, *shapes[i.name]),
            stated=contract.inputs.get(i.name),
            promised=contract.constant_inputs.get(i.name),
            table=index_bounds.get(i.name),
            random=random,
        )
        for i in summary.inputs
    }
    parts = [
        Samples(
            inputs={n: np.ascontiguousarray(d.values[part]) for n, d in drawn.items()},
            labels=None,
            origin="synthetic",
        )
        for part in (slice(0, calibration), slice(calibration, None))
    ]
    how = "; ".join(f"{name}: {d.how}" for name, d in drawn.items())
    note = (
        f"no data in the contract: {calibration} calibration and {evaluation} evaluation "
        f"queries are synthetic ({how}); state other ranges under 'inputs:', or give 'data:'"
    )
    return parts[0], parts[1], (note,)


def _num_queries(summary: ModelSummary, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    per_query = sum(math.prod(shapes[i.name]) * 8 for i in summary.inputs)
    affordable = MAX_BYTES // max(per_query, 1)
    whole = NUM_CALIBRATION + NUM_EVALUATION
    total = max(min(whole, affordable), 3)
    calibration = max(total * NUM_CALIBRATION // whole, 1)
    return calibration, total - calibration


def _draw(
    info: TensorInfo,
    shape: tuple[int, ...],
    *,
    stated: InputRange | None,
    promised: float | None,
    table: int | None,
    random: np.random.Generator,
) -> _Drawn:
    """Values of one input; its name tells masks, segments and positions apart."""
    dtype = _numpy_type(info)
    if promised is not None:
        return _Drawn(values=np.full(shape, promised).astype(dtype), how=f"always {promised:g}")
    if stated is not None:
        return _drawn_between(stated, shape, dtype, random)
    name = info.name.lower()
    if dtype.kind == "f" and "mask" not in name:
        return _Drawn(values=random.standard_normal(shape).astype(dtype), how="normal(0, 1)")
    if "mask" in name:
        return _Drawn(values=np.ones(shape, dtype), how="ones")
    if dtype.kind == "b":
        return _Drawn(values=random.integers(0, 2, shape).astype(dtype), how="false or true")
    if "token_type" in name or "segment" in name:
        return _Drawn(values=np.zeros(shape, dtype), how="zeros")
    if "position" in name and len(shape) > 1:
        values = np.broadcast_to(np.arange(shape[-1]) % (table or shape[-1]), shape)
        return _Drawn(values=values.astype(dtype), how="0, 1, 2, ...")
    end = min(table or 2, _integer_range(dtype)[1] + 1)
    values = random.integers(0, end, shape)
    return _Drawn(values=values.astype(dtype), how=f"integers in [0, {end - 1}]")


def _drawn_between(
    stated: InputRange,
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
    random: np.random.Generator,
) -> _Drawn:
    if dtype.kind == "f":
        values = random.uniform(stated.low, stated.high, shape).astype(dtype)
        return _Drawn(values=values, how=f"uniform in [{stated.low:g}, {stated.high:g})")
    least, most = _integer_range(dtype)
    low, high = max(math.ceil(stated.low), least), min(math.floor(stated.high), most)
    if low > high:
        raise ContractError(
            f"no {dtype} lies between {stated.low:g} and {stated.high:g}",
            code="FW116",
            remedy="Widen the range under 'inputs:'.",
        )
    values = random.integers(low, high, shape, endpoint=True)
    return _Drawn(values=values.astype(dtype), how=f"integers in [{low}, {high}]")


def _numpy_type(info: TensorInfo) -> np.dtype[np.generic]:
    try:
        dtype = np.dtype(info.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind in "fiub":
        return dtype
    raise DataError(
        f"input '{info.name}' takes {info.dtype}; such values can be neither drawn nor read here",
        code="FW145",
        remedy="Export the model with numeric inputs (for instance token ids, or float32).",
    )


def _integer_range(dtype: np.dtype[np.generic]) -> tuple[int, int]:
    """Least and greatest value of an integer or boolean type."""
    if dtype.kind == "b":
        return 0, 1
    bits = 8 * dtype.itemsize
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

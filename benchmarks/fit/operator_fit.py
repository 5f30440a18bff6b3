"""Robust fits of the operator formulas; shared by `gemm.py` and `attention.py`.

A fit minimises the logarithm of predicted over measured with a soft absolute loss, so that a
few rows on a slow fallback do not pull it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import least_squares

from fitwright.perf.operators.formulas import Curve, Formula, Machine, roofline_s
from fitwright.perf.operators.table import Columns, tabulate
from fitwright.perf.work import Work
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet


@dataclass(frozen=True)
class Free:
    """One constant to be fitted: bounds, and where to start; `log`: searched by factors."""

    low: float
    high: float
    start: float
    log: bool = False

    def inner(self, value: float) -> float:
        return math.log(value) if self.log else value

    def outer(self, inner: float) -> float:
        return math.exp(inner) if self.log else inner


@dataclass(frozen=True)
class Shape:
    """What of a formula is fitted.

    Attributes:
        free: constants by name.
        knots: places of the points of the curve (log2); its values are fitted too.
        fixed: constants that are not.
    """

    formula: Formula
    free: Mapping[str, Free]
    knots: tuple[float, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    knot: Free = Free(0.02, 1.0, 0.6)

    def names(self) -> list[str]:
        return [*self.free, *(f"@{x}" for x in self.knots)]

    def frees(self) -> list[Free]:
        return [*self.free.values(), *[self.knot] * len(self.knots)]

    def taken(self, inner: Sequence[float]) -> dict[str, float]:
        values = [f.outer(x) for f, x in zip(self.frees(), inner, strict=True)]
        return {**self.fixed, **dict(zip(self.names(), values, strict=True))}


def split(taken: Mapping[str, float]) -> tuple[dict[str, float], Curve]:
    """Constants and curve of an `Evidence` from a flat dictionary."""
    constants = {k: v for k, v in taken.items() if not k.startswith("@")}
    curve = tuple((float(k[1:]), v) for k, v in taken.items() if k.startswith("@"))
    return constants, curve


def columns_of(works: Sequence[Work]) -> Columns:
    """The works of one class and dtype as columns."""
    (group,) = tabulate(works).groups
    return group.columns


def predicted_s(
    taken: Mapping[str, float], formula: Formula, columns: Columns, machine: Machine
) -> np.ndarray:
    """Times by the package's own formula."""
    constants, curve = split(taken)
    times = formula(columns, machine, constants, curve).total_s()
    return np.maximum(times, roofline_s(columns, machine, constants))


def fitted(
    shape: Shape,
    residuals: Callable[[Mapping[str, float]], np.ndarray],
    *,
    prior: Mapping[str, float] | None = None,
    pull: float = 0.0,
) -> dict[str, float]:
    """Constants that make the residuals small; `pull` holds them near the prior."""
    frees, names = shape.frees(), shape.names()
    start = [
        f.inner(min(max((prior or {}).get(n, f.start), f.low), f.high))
        for f, n in zip(frees, names, strict=True)
    ]

    def wrapped(inner: Sequence[float]) -> np.ndarray:
        found = residuals(shape.taken(inner))
        if not pull:
            return found
        return np.concatenate([found, pull * (np.asarray(inner) - start)])

    bounds = ([f.inner(f.low) for f in frees], [f.inner(f.high) for f in frees])
    low, high = np.array(bounds[0]), np.array(bounds[1])
    x0 = np.clip(start, low + 1e-9, high - 1e-9)
    done = least_squares(wrapped, x0, bounds=bounds, loss="soft_l1", f_scale=0.05, max_nfev=80)
    return shape.taken(done.x)


AT_HZ = 1.5e9
"""The clock at which pooled floors are told."""


def pooled(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each constant; times and factors between the middle two by ratio."""
    names = rows[0].keys()
    return {n: float(np.median([r[n] for r in rows])) for n in names}


def paced(taken: Mapping[str, float], sheet: Sheet) -> dict[str, float]:
    """Constants of one device with the floor told as cycles: seconds at `AT_HZ`.

    A floor is launch and the latency of a pipeline that fills. The published floors of products
    with 4-bit and 8-bit weights on A100 and L40S are 14.0 and 7.2, 14.3 and 8.2 us, but 19.8 and
    18.1, 20.2 and 20.6 thousand cycles.
    """
    if sheet.clock_hz is None:
        return {**taken, "at_hz": AT_HZ}
    floor = taken["floor_s"] * sheet.clock_hz.value / AT_HZ
    return {**taken, "floor_s": floor, "at_hz": AT_HZ}


def errors(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    return np.abs(predicted / measured - 1)


def spread_80(predicted: np.ndarray, measured: np.ndarray) -> float:
    """The factor that four of five of these rows stay within."""
    return float(np.exp(np.quantile(np.abs(np.log(predicted / measured)), 0.8)))


def said(predicted: np.ndarray, measured: np.ndarray) -> str:
    """Median, mean and 90th percentile of the absolute error, and the signed median."""
    e = errors(predicted, measured)
    bias = np.median(predicted / measured) - 1
    return (
        f"median {np.median(e):6.1%}  mean {e.mean():6.1%}  p90 {np.quantile(e, 0.9):6.1%}  "
        f"bias {bias:+6.1%}  spread {spread_80(predicted, measured):.2f}  n {len(e)}"
    )


@dataclass(frozen=True)
class Sweep:
    """One device and dtype: shapes, their central time, and every row behind it."""

    sheet: Sheet
    dtype: str
    works: tuple[Work, ...]
    central_s: np.ndarray
    rows: tuple[tuple[int, float], ...]

    @property
    def machine(self) -> Machine:
        return machine_of(self.sheet, self.works[0].dtype)


def machine_of(sheet: Sheet, dtype: str) -> Machine:
    assert sheet.bandwidth_bytes_per_s is not None
    return Machine(
        flop_per_s=sheet.peaks[dtype].value,
        bandwidth_bytes_per_s=sheet.bandwidth_bytes_per_s.value,
        num_units=sheet.num_units.value if sheet.num_units else 0.0,
        onchip_bytes=sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0,
        clock_hz=sheet.clock_hz.value if sheet.clock_hz else 0.0,
    )


def sweep_of(sheet: Sheet, dtype: str, of: Mapping[Work, Sequence[float]]) -> Sweep:
    works = tuple(of)
    return Sweep(
        sheet=sheet,
        dtype=dtype,
        works=works,
        central_s=np.array([statistics.geometric_mean(of[w]) for w in works]),
        rows=tuple((i, t) for i, w in enumerate(works) for t in of[w]),
    )


def fit_sweep(sweep: Sweep, shape: Shape, where: np.ndarray | None = None) -> dict[str, float]:
    """Constants from some of the shapes of a sweep."""
    used = np.ones(len(sweep.works), bool) if where is None else where
    works = [w for w, use in zip(sweep.works, used, strict=True) if use]
    columns, central = columns_of(works), sweep.central_s[used]
    return fitted(
        shape,
        lambda c: np.log(predicted_s(c, shape.formula, columns, sweep.machine) / central),
    )


def fold_errors(sweep: Sweep, shape: Shape, folds: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and measured of every row, each by a fit that saw no row of its shape."""
    fold = np.random.default_rng(0).integers(0, folds, len(sweep.works))
    predicted = np.zeros(len(sweep.works))
    columns = columns_of(sweep.works)
    for f in range(folds):
        constants = fit_sweep(sweep, shape, fold != f)
        all_s = predicted_s(constants, shape.formula, columns, sweep.machine)
        predicted[fold == f] = all_s[fold == f]
    return against(predicted, sweep.rows)


def against(
    predicted: np.ndarray, rows: Iterable[tuple[int, float]]
) -> tuple[np.ndarray, np.ndarray]:
    where, measured = zip(*rows, strict=True)
    return predicted[list(where)], np.array(measured)


def by_constants(
    sweep: Sweep, shape: Shape, constants: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and measured of every row of a sweep with constants from elsewhere."""
    times = predicted_s(constants, shape.formula, columns_of(sweep.works), sweep.machine)
    return against(times, sweep.rows)


SPREADS_BY_HAND = {"cpu": 1.8, "tpu": 1.6, "npu": 2.0, "asic": 2.0, "fpga": 2.0}


def evidence_row(
    *,
    what: str,
    dtype: str,
    rung: str,
    scope: str,
    taken: Mapping[str, float],
    spread: float,
    num_points: int,
    source: str,
    devices: Sequence[str] = (),
) -> dict[str, object]:
    """A row of a file of constants, rounded to four figures."""
    constants, curve = split(taken)
    row: dict[str, object] = {"what": what, "dtype": dtype, "rung": rung, "scope": scope}
    row["constants"] = {k: rounded(v) for k, v in constants.items()}
    if curve:
        row["curve"] = [[x, min(rounded(y), 1.0)] for x, y in curve]
    return {
        **row, "spread": round(spread, 3), "num_points": num_points, "source": source,
        **({"devices": sorted(devices)} if devices else {}),
    }  # fmt: skip


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def write(path: Path, title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of evidence, checked by the record they will be read as, one mapping each."""
    for row in rows:
        Evidence.model_validate(row)
    text = yaml.safe_dump(list(rows), sort_keys=False, default_flow_style=None, width=98)
    path.write_text(f"# {title}\n{text}")
    print(f"{path}: {len(rows)} rows, {len(text) / 1e3:.0f} kB")


def every(rows: Sequence[Mapping[str, str]], step: int) -> list[Mapping[str, str]]:
    """The rows kept for the published table: every so manieth, whatever they say."""
    return list(rows[step // 2 :: step])


def covered(predicted: np.ndarray, measured: np.ndarray, spread: float) -> float:
    """Share of the rows within the band."""
    return float(np.mean(np.abs(np.log(predicted / measured)) <= math.log(spread)))

"""The constants of `perf.calibrated`, fitted to what was measured: least absolute deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.calibrated import NAMES, Column, Sizes, seconds, sizes
from fitwright.perf.work import Work
from fitwright.records.evidence import Evidence

TILES = (1.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
BOUNDS: Mapping[str, tuple[float, float]] = {
    "floor_s": (2e-7, 1e-3),
    "compute_share": (1e-3, 1.0),
    "m_half": (1e-3, 1e3),
    "n_half": (1e-3, 1e3),
    "k_half": (1e-3, 1e3),
    "ragged": (1.0, 10.0),
    "m_tile": (TILES[0], TILES[-1]),
    "bandwidth_factor": (1e-2, 1e2),
    "softness": (1.0, 16.0),
}
STEPS = (2.0, 1.5, 1.2, 1.08, 1.03)  # factors by which a constant is moved, ever finer
MOST_SWEEPS = 12  # per step
NUM_FOLDS = 5
COVERED = 0.8  # of the held-out points lie inside the band
LEAST_SPREAD = 1.05
SMALLEST_S = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A measurement: so many seconds for these works, one after the other.

    Attributes:
        slowdown: of arithmetic while it was made, for neighbours used the same units; the
            constants are those of the machine alone.
    """

    works: tuple[Work, ...]
    seconds: float
    slowdown: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Data:
    at: Sizes
    owner: NDArray[np.intp]
    seconds: Column
    slowdown: Column
    peak: float
    bandwidth: float

    def some(self, chosen: NDArray[np.bool_]) -> _Data:
        """The points that are chosen, numbered anew."""
        kept = chosen[self.owner]
        columns = {name: getattr(self.at, name)[kept] for name in Sizes.__slots__}
        number = np.cumsum(chosen) - 1
        return _Data(
            at=Sizes(**columns),
            owner=number[self.owner[kept]],
            seconds=self.seconds[chosen],
            slowdown=self.slowdown[kept],
            peak=self.peak,
            bandwidth=self.bandwidth,
        )

    def off(self, constants: Mapping[str, float]) -> Column:
        """Logarithm of predicted over measured, per point."""
        each = seconds(
            self.at,
            constants,
            peak=self.peak,
            bandwidth=self.bandwidth,
            slowdown=self.slowdown,
        )
        total = np.zeros_like(self.seconds)
        np.add.at(total, self.owner, each)
        ratio: Column = np.log(total / self.seconds)
        return ratio


def fitted(
    points: Sequence[Point],
    *,
    what: str,
    dtype: str,
    scope: str,
    peak: float,
    bandwidth: float,
    source: str,
) -> Evidence | None:
    """The constants of one family and dtype; None without three usable points.

    The spread is that of points that the fit did not see (`NUM_FOLDS` folds).

    Args:
        points: what was measured.
        what: ``gemm@openvino``.
        scope: id of the device.
        peak: FLOP/s that shares are of.
        bandwidth: bytes/s that factors are of.
        source: how it was measured.
    """
    usable = [p for p in points if p.seconds > SMALLEST_S and p.works]
    if len(usable) < 3:
        return None
    data = _data(usable, peak=peak, bandwidth=bandwidth)
    constants = _minimum(data, _start(data))
    return Evidence(
        what=what,
        dtype=dtype,
        rung="measured",
        scope=scope,
        constants=constants,
        spread=_held_out_spread(data, constants),
        num_points=len(usable),
        source=source,
    )


def _data(points: Sequence[Point], *, peak: float, bandwidth: float) -> _Data:
    return _Data(
        at=sizes([w for p in points for w in p.works]),
        owner=np.repeat(np.arange(len(points)), [len(p.works) for p in points]),
        seconds=np.array([p.seconds for p in points]),
        slowdown=np.repeat([p.slowdown for p in points], [len(p.works) for p in points]),
        peak=peak,
        bandwidth=bandwidth,
    )


def _start(data: _Data) -> dict[str, float]:
    """Half of the peak, the bandwidth of the memory, a tenth of the shortest time."""
    per_work = data.seconds / np.bincount(data.owner)
    return {
        "floor_s": float(np.clip(per_work.min() / 10, *BOUNDS["floor_s"])),
        "compute_share": 0.5,
        "m_half": 4.0,
        "n_half": 16.0,
        "k_half": 16.0,
        "ragged": 1.0,
        "m_tile": 1.0,
        "bandwidth_factor": 1.0,
        "softness": 4.0,
    }


def _loss(data: _Data, constants: Mapping[str, float]) -> float:
    """Mean deviation, and next to nothing for half sizes, so that idle ones go to zero."""
    idle = math.fsum(math.log1p(constants[n]) for n in ("m_half", "n_half", "k_half"))
    return float(np.abs(data.off(constants)).mean()) + 1e-4 * idle


def _minimum(data: _Data, start: Mapping[str, float]) -> dict[str, float]:
    """Coordinate by coordinate, in ever finer factors."""
    best, loss = dict(start), _loss(data, start)
    for step in STEPS:
        for _ in range(MOST_SWEEPS):
            before = loss
            for name in NAMES:
                best, loss = _moved(data, best, loss, name, step)
            if before - loss < 1e-5:
                break
    return best


def _moved(
    data: _Data, best: dict[str, float], loss: float, name: str, step: float
) -> tuple[dict[str, float], float]:
    low, high = BOUNDS[name]
    nearby = (float(np.clip(best[name] * f, low, high)) for f in (step, 1 / step))
    for value in TILES if name == "m_tile" else nearby:
        tried = {**best, name: value}
        if (found := _loss(data, tried)) < loss:
            return tried, found
    return best, loss


def _held_out_spread(data: _Data, constants: Mapping[str, float]) -> float:
    """Factor within which four of five points lie that were left out of the fit."""
    count = len(data.seconds)
    folds = min(NUM_FOLDS, count)
    off = np.empty(count)
    number = np.arange(count) % folds
    for fold in range(folds):
        left = number == fold
        found = _minimum(data.some(~left), constants)
        off[left] = data.some(left).off(found)
    return max(LEAST_SPREAD, float(np.exp(np.quantile(np.abs(off), COVERED))))

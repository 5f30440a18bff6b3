"""How long operators take on a device: floor + the slower of arithmetic and traffic.

``t = floor + max(FLOP / (peak · u_c), bytes / (bandwidth · u_m))``. The shares u_c and u_m of
the two peaks are surfaces over the size, fitted to measurements of the nearest scope; never
above 1, so that no time is under the roofline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.ladder import estimate
from fitwright.perf.operators.formulas import FEW_ROWS, FORMULAS, Parts, roofline_s
from fitwright.perf.operators.lookup import Answer, answer
from fitwright.perf.operators.table import Column, Group, WorkTable, tabulate
from fitwright.perf.work import Work
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Binds = Literal["compute", "bandwidth", "overhead"]
BINDS: tuple[Binds, ...] = ("compute", "bandwidth", "overhead")


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorTime:
    """One operator on one device.

    Attributes:
        time: seconds, with its band and the evidence.
        roofline_s: what the published peaks allow at best.
        binds: the largest part of the time; ``overhead``: launch and scheduling.
    """

    time: Estimate
    roofline_s: float
    binds: Binds


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorTimes:
    """Operators on one device, an entry each, in the order asked; nan where there is no data.

    Attributes:
        time_s, low_s, high_s: with the 80 % band.
        roofline_s: what the published peaks allow at best.
        binds: index into `BINDS`; -1 without data.
        rungs: the evidence of each; None without data.
        reasons: of each; the sentence of the `NoData` where there is none.
    """

    time_s: Column
    low_s: Column
    high_s: Column
    roofline_s: Column
    binds: NDArray[np.int8]
    rungs: tuple[Rung | None, ...]
    reasons: tuple[tuple[str, ...], ...]


def _parts(group: Group, found: Answer) -> Parts:
    evidence = found.evidence
    formula = FORMULAS[group.operator_class]
    return formula(group.columns, found.machine, evidence.constants, evidence.curve)


def bands_of(group: Group, constants: Mapping[str, float]) -> Column:
    """By what factor the band of each operator differs from that of its constants.

    Constants: ``few_band``, ``many_band``: products of up to `FEW_ROWS` rows read weights, at a
    speed that hangs on kernel and shape more than that of others does.
    """
    few = group.columns.m <= FEW_ROWS
    return np.where(few, constants.get("few_band", 1.0), constants.get("many_band", 1.0))


def _binding(parts: Parts) -> NDArray[np.int8]:
    stacked = np.stack([parts.compute_s, parts.memory_s, parts.floor_s])
    largest: NDArray[np.int8] = np.argmax(stacked, axis=0).astype(np.int8)
    return largest


class _Sink:
    """The arrays of the answer while the groups fill them."""

    def __init__(self, size: int) -> None:
        self.time_s, self.low_s, self.high_s, self.roofline_s = np.full((4, size), np.nan)
        self.binds = np.full(size, -1, dtype=np.int8)
        self.answered = np.zeros(size, dtype=np.intp)
        self.answers: list[tuple[Rung | None, tuple[str, ...]]] = [(None, ())]

    def refuse(self, group: Group, why: NoData) -> None:
        self._note(group, None, (why.reason,))

    def fill(self, group: Group, found: Answer) -> None:
        rows, parts = group.rows, _parts(group, found)
        constants = found.evidence.constants
        roofline = roofline_s(group.columns, found.machine, constants)
        times = np.maximum(parts.total_s(), roofline)
        self.time_s[rows], self.roofline_s[rows] = times, roofline
        band = found.spread * bands_of(group, constants)
        self.low_s[rows], self.high_s[rows] = times / band, times * band
        self.binds[rows] = _binding(parts)
        self._note(group, found.evidence.rung, found.reasons)

    def _note(self, group: Group, rung: Rung | None, reasons: tuple[str, ...]) -> None:
        """One answer holds for a whole group; each row only says which."""
        self.answered[group.rows] = len(self.answers)
        self.answers.append((rung, reasons))

    def taken(self) -> OperatorTimes:
        which = self.answered.tolist()
        rungs, reasons = zip(*self.answers, strict=True)
        return OperatorTimes(
            time_s=self.time_s,
            low_s=self.low_s,
            high_s=self.high_s,
            roofline_s=self.roofline_s,
            binds=self.binds,
            rungs=tuple(map(rungs.__getitem__, which)),
            reasons=tuple(map(reasons.__getitem__, which)),
        )


def operator_times(
    works: Sequence[Work] | WorkTable, sheet: Sheet, table: Sequence[Evidence]
) -> OperatorTimes:
    """Many operators on one device.

    Args:
        works: the operators; as a `WorkTable` where several devices are asked.
        sheet: the device.
        table: fitted constants.
    """
    asked = works if isinstance(works, WorkTable) else tabulate(works)
    sink = _Sink(asked.num_works)
    for group in asked.groups:
        found = answer(table, sheet, group)
        if isinstance(found, NoData):
            sink.refuse(group, found)
        else:
            sink.fill(group, found)
    return sink.taken()


def operator_time(work: Work, sheet: Sheet, table: Sequence[Evidence]) -> OperatorTime | NoData:
    """One operator on one device, or why there is no data.

    Args:
        work: the operator at its shapes.
        sheet: the device.
        table: fitted constants.
    """
    times = operator_times((work,), sheet, table)
    rung, reasons = times.rungs[0], times.reasons[0]
    if rung is None:
        return NoData(reason=reasons[0])
    value, high = float(times.time_s[0]), float(times.high_s[0])
    return OperatorTime(
        time=estimate(value, unit="s", rung=rung, spread=high / value, reasons=reasons),
        roofline_s=float(times.roofline_s[0]),
        binds=BINDS[int(times.binds[0])],
    )

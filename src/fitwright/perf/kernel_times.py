"""The time of every kernel on a device: what was calibrated there first, then the formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.calibrated import (
    NOTHING_BESIDES,
    RunCosts,
    calibrated_times,
    rows_of,
    run_costs,
)
from fitwright.perf.fusion import Runtime
from fitwright.perf.operators import OperatorTimes, WorkTable, operator_times, tabulate
from fitwright.perf.work import OperatorClass, Work
from fitwright.records.estimate import NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Column = NDArray[np.float64]
STAND_IN_SPREAD = 1.25
"""What the products alone add to a band, where they stand in for an operator."""
_STAND_INS: dict[OperatorClass, OperatorClass] = {
    "attention_prefill": "gemm",
    "attention_decode": "gemm",
    "recurrent": "gemm",
}
"""Formulas that answer where a class has no evidence on a device: their products alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Works:
    """Kernels as work, tabulated for the formulas once for all devices.

    Attributes:
        families: as of `Kernel.family`.
        curved: the exponentials behind products, by the place of their kernel.
    """

    own: tuple[Work, ...]
    families: tuple[str, ...]
    curved: Mapping[int, Work]
    table: WorkTable

    @cached_property
    def instead(self) -> WorkTable:
        """The same with stand-ins for classes that may lack evidence; rarely asked for."""
        return tabulate(
            [
                replace(w, operator_class=_STAND_INS.get(w.operator_class, w.operator_class))
                for w in self.own
            ]
        )


def tabulated(
    works: Sequence[Work], families: Sequence[str], curved: Mapping[int, Work] | None = None
) -> Works:
    """Worth keeping while devices are asked."""
    return Works(
        own=tuple(works),
        families=tuple(families),
        curved=curved or {},
        table=tabulate(works),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelTimes:
    """An entry per kernel.

    Attributes:
        log_spread: half-width of the 80 % band, as a logarithm.
        binds: index into `operators.time.BINDS`.
        besides: what a run costs besides its kernels, where that was measured.
    """

    time_s: Column
    log_spread: Column
    binds: NDArray[np.int8]
    rungs: tuple[Rung, ...]
    reasons: tuple[tuple[str, ...], ...]
    besides: RunCosts = NOTHING_BESIDES


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A kernel, by its place, that nothing answers for."""

    index: int
    why: NoData


def kernel_times(
    works: Works, sheet: Sheet, table: Sequence[Evidence], *, runtime: Runtime
) -> KernelTimes | Gap:
    """Every kernel's time; the first kernel without an answer where there is one."""
    here = rows_of(table, sheet, runtime)
    if not here:
        return _by_formulas(works, sheet, table)
    own = calibrated_times(works.own, works.families, sheet, here)
    _add_curved(own.time_s, works, sheet, here)
    missing = np.isnan(own.time_s)
    rungs: list[Rung] = ["measured"] * len(missing)
    reasons = [("calibrated on this machine",)] * len(missing)
    times = KernelTimes(
        time_s=own.time_s,
        log_spread=np.log(own.spread),
        binds=own.binds,
        rungs=tuple(rungs),
        reasons=tuple(reasons),
        besides=run_costs(here),
    )
    return _completed(times, works, missing, sheet, table) if missing.any() else times


def _add_curved(
    time_s: Column, works: Works, sheet: Sheet, here: Mapping[tuple[str, str], Evidence]
) -> None:
    """Exponentials behind a product take as long as alone, less the start of a kernel."""
    if not works.curved:
        return
    places = list(works.curved)
    extra = list(works.curved.values())
    family = ["transcendental"] * len(extra)
    empty = [replace(w, bytes_moved=0.0) for w in extra]
    with_start = calibrated_times(extra, family, sheet, here).time_s
    start = calibrated_times(empty, family, sheet, here).time_s
    time_s[places] += np.nan_to_num(with_start - start)


def _completed(
    times: KernelTimes,
    works: Works,
    missing: NDArray[np.bool_],
    sheet: Sheet,
    table: Sequence[Evidence],
) -> KernelTimes | Gap:
    """What was not calibrated by the evidence of the ladder."""
    places = [int(i) for i in np.flatnonzero(missing)]
    rest = tabulated([works.own[i] for i in places], [works.families[i] for i in places])
    other = _by_formulas(rest, sheet, table)
    if isinstance(other, Gap):
        return replace(other, index=places[other.index])
    rungs, reasons = list(times.rungs), list(times.reasons)
    for at, place in enumerate(places):
        rungs[place], reasons[place] = other.rungs[at], other.reasons[at]
    times.time_s[missing] = other.time_s
    times.log_spread[missing] = other.log_spread
    times.binds[missing] = other.binds
    return replace(times, rungs=tuple(rungs), reasons=tuple(reasons))


def _by_formulas(works: Works, sheet: Sheet, table: Sequence[Evidence]) -> KernelTimes | Gap:
    """By the evidence of the ladder."""
    times = operator_times(works.table, sheet, table)
    missing = np.isnan(times.time_s)
    if not missing.any():
        return _kernel_times(times)
    other = operator_times(works.instead, sheet, table)
    nothing = missing & np.isnan(other.time_s)
    if nothing.any():
        first = int(np.flatnonzero(nothing)[0])
        return Gap(index=first, why=NoData(reason=times.reasons[first][0]))
    said = "the products of the operator stand in for it"
    return _kernel_times(
        replace(
            times,
            time_s=np.where(missing, other.time_s, times.time_s),
            high_s=np.where(missing, other.high_s * STAND_IN_SPREAD, times.high_s),
            binds=np.where(missing, other.binds, times.binds).astype(np.int8),
            rungs=tuple(a or b for a, b in zip(times.rungs, other.rungs, strict=True)),
            reasons=tuple(
                (*o, said) if m else r
                for m, r, o in zip(missing, times.reasons, other.reasons, strict=True)
            ),
        )
    )


def _kernel_times(times: OperatorTimes) -> KernelTimes:
    return KernelTimes(
        time_s=times.time_s,
        log_spread=np.log(times.high_s / times.time_s),
        binds=times.binds,
        rungs=tuple(filter(None, times.rungs)),
        reasons=times.reasons,
    )

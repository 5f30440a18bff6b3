"""The model under the roofs of this machine: where each operator lies, what binds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fitwright.deliver.wording import positive
from fitwright.perf.roofline import (
    OperatorFloor,
    Resource,
    Roof,
    attainable_flop_per_s,
    operator_floor,
)
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary, OperatorCost
from fitwright.records.trial import Trial

REFERENCE_DTYPE = "float32"


@dataclass(frozen=True, kw_only=True)
class OperatorPoint:
    """Operators of one kind at one intensity.

    Attributes:
        intensity: FLOP per byte.
        attainable_flop_per_s: what the roof allows there.
        floor_share: their part of the sum of all operators' floors.
        rank: place of the largest of them in the table of top operators, from 1; 0: none.
    """

    kind: str
    count: int
    intensity: float
    attainable_flop_per_s: float
    floor_share: float
    rank: int


@dataclass(frozen=True, kw_only=True)
class MeasuredPoint:
    """A whole run: counted FLOP over measured time, at the model's own intensity."""

    name: str
    kind: str
    intensity: float
    achieved_flop_per_s: float


@dataclass(frozen=True, kw_only=True)
class TopOperator:
    """One row of the table of operators, with its part of the sum of floors."""

    rank: int
    cost: OperatorCost
    floor_s: float
    floor_share: float
    binds: Resource


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Everything the plot and the table of operators show.

    Attributes:
        peaks: FLOP/s by dtype, those that were measured.
        dtype: whose roof the operators are drawn under.
    """

    peaks: dict[str, float]
    bandwidth_bytes_per_s: float
    dtype: str
    points: tuple[OperatorPoint, ...]
    measured: tuple[MeasuredPoint, ...]
    top: tuple[TopOperator, ...]
    num_operators: int


def roofline_of(
    summary: ModelSummary, device: Device, runs: Iterable[tuple[str, str, Trial]], *, top: int
) -> Roofline | str:
    """The roofline, or in one sentence why there is none.

    Args:
        runs: (name, style class, trial) of the runs to draw as measured points.
        top: how many operators the table names.
    """
    peaks = {dtype: peak for dtype, f in device.peaks.items() if (peak := positive(f))}
    bandwidth = positive(device.bandwidth)
    if not peaks or bandwidth is None:
        return f"No roof to draw: {_why_not(device)}"
    dtype = REFERENCE_DTYPE if REFERENCE_DTYPE in peaks else next(iter(peaks))
    roof = Roof(flop_per_s=peaks[dtype], bandwidth_bytes_per_s=bandwidth)
    floors = [operator_floor(o, index=i, roof=roof) for i, o in enumerate(summary.operators)]
    leading = _top(summary, floors, top)
    return Roofline(
        peaks=peaks,
        bandwidth_bytes_per_s=bandwidth,
        dtype=dtype,
        points=_points(summary, floors, roof, {id(t.cost): t.rank for t in leading}),
        measured=_measured(summary, runs),
        top=leading,
        num_operators=len(summary.operators),
    )


def _why_not(device: Device) -> str:
    missing = [*device.peaks.values(), device.bandwidth]
    reasons = [f.source for f in missing if f.value is None and f.source]
    return reasons[0] if reasons else "no peak was measured on this machine"


def _top(summary: ModelSummary, floors: list[OperatorFloor], count: int) -> tuple[TopOperator, ...]:
    """The operators with the largest floors, slowest first."""
    total = sum(f.floor_s for f in floors) or 1.0
    at_work = [f for f in floors if f.floor_s > 0]
    order = sorted(at_work, key=lambda f: (-f.floor_s, f.index))[:count]
    return tuple(
        TopOperator(
            rank=rank,
            cost=summary.operators[f.index],
            floor_s=f.floor_s,
            floor_share=f.floor_s / total,
            binds=f.binds,
        )
        for rank, f in enumerate(order, start=1)
    )


def _points(
    summary: ModelSummary, floors: list[OperatorFloor], roof: Roof, ranks: dict[int, int]
) -> tuple[OperatorPoint, ...]:
    """Operators of one kind within 2 % of intensity share a dot; the widest dots come first."""
    groups: dict[tuple[str, str], list[OperatorFloor]] = {}
    for floor in floors:
        intensity = summary.operators[floor.index].arithmetic_intensity
        if intensity:
            groups.setdefault((floor.kind, f"{intensity:.2g}"), []).append(floor)
    total = sum(f.floor_s for f in floors) or 1.0
    points = [_point(summary, group, roof, total, ranks) for group in groups.values()]
    return tuple(sorted(points, key=lambda p: -p.floor_share))


def _point(
    summary: ModelSummary,
    group: list[OperatorFloor],
    roof: Roof,
    total_s: float,
    ranks: dict[int, int],
) -> OperatorPoint:
    costs = [summary.operators[f.index] for f in group]
    largest = max(group, key=lambda f: f.floor_s)
    intensity = summary.operators[largest.index].arithmetic_intensity or 0.0
    named = [rank for cost in costs if (rank := ranks.get(id(cost)))]
    return OperatorPoint(
        kind=largest.kind,
        count=len(group),
        intensity=intensity,
        attainable_flop_per_s=attainable_flop_per_s(intensity, roof),
        floor_share=sum(f.floor_s for f in group) / total_s,
        rank=min(named, default=0),
    )


def _measured(
    summary: ModelSummary, runs: Iterable[tuple[str, str, Trial]]
) -> tuple[MeasuredPoint, ...]:
    moved = sum(o.bytes_read + o.bytes_written for o in summary.operators)
    flops = summary.flops + summary.elementwise_flops
    if not moved or not flops:
        return ()
    return tuple(
        MeasuredPoint(name=name, kind=kind, intensity=flops / moved, achieved_flop_per_s=achieved)
        for name, kind, trial in runs
        if (achieved := positive(trial.figures.get("achieved_flops")))
    )

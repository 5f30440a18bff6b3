"""The measured figures against what this machine allows at best."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.deliver.wording import figure_title, plain, share, times
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.selection import Choice
from fitwright.records.trial import Trial

_FLOORS = ("latency_p50", "throughput", "peak_memory", "energy", "cost")
_CEILINGS = frozenset({"throughput"})


@dataclass(frozen=True, kw_only=True)
class FloorRow:
    """One figure of the artefact beside the best that physics allows here."""

    figure: str
    best: Figure
    measured: Figure
    distance: str


@dataclass(frozen=True, kw_only=True)
class PeakRow:
    """One measured peak and which part of it the two runs reach."""

    peak: str
    value: Figure
    before: str
    after: str


def floor_rows(choice: Choice, artefact: Trial) -> list[FloorRow]:
    """Every floor (for throughput: ceiling) that has a figure of the artefact beside it."""
    rows = []
    for name in _FLOORS:
        best, measured = choice.floors.get(name), artefact.figures.get(name)
        if best and measured:
            distance = _distance(name, best, measured)
            row = FloorRow(
                figure=figure_title(name), best=best, measured=measured, distance=distance
            )
            rows.append(row)
    return rows


def _distance(name: str, best: Figure, measured: Figure) -> str:
    if not best.value or not measured.value:
        return "–"
    if name in _CEILINGS:
        return f"{share(measured.value / best.value)} of the ceiling"
    return f"{times(measured.value / best.value)} the floor"


def peak_rows(device: Device, baseline: Trial | None, artefact: Trial | None) -> list[PeakRow]:
    """GEMM peaks by dtype and the copy bandwidth."""
    rows = [
        PeakRow(
            peak=f"GEMM {plain(dtype)}",
            value=peak,
            before=_share(baseline, "achieved_flops", peak),
            after=_share(artefact, "achieved_flops", peak),
        )
        for dtype, peak in device.peaks.items()
    ]
    copy = PeakRow(
        peak="copy bandwidth",
        value=device.bandwidth,
        before=_share(baseline, "achieved_bandwidth", device.bandwidth),
        after=_share(artefact, "achieved_bandwidth", device.bandwidth),
    )
    return [*rows, copy]


def _share(trial: Trial | None, name: str, peak: Figure) -> str:
    achieved = trial.figures.get(name) if trial else None
    if achieved is None or achieved.value is None or not peak.value:
        return "–"
    return share(achieved.value / peak.value)

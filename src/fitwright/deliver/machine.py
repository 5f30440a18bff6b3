"""The measured figures against what this machine allows at best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fitwright.deliver.wording import figure_title, plain, positive, share, times
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.selection import Choice
from fitwright.records.trial import Trial

_FLOORS = ("latency_p50", "throughput", "peak_memory", "energy", "cost")
_CEILINGS = frozenset({"throughput"})


@dataclass(frozen=True, kw_only=True)
class FloorRow:
    """One figure of the artefact beside the best that physics allows here.

    Attributes:
        ratio: measured over best; None without two numbers.
        is_ceiling: the best is an upper limit (throughput), else a lower one.
    """

    figure: str
    best: Figure
    measured: Figure
    ratio: float | None
    is_ceiling: bool

    @property
    def distance(self) -> str:
        """How far the artefact is from the best."""
        if self.ratio is None:
            return "–"
        return f"{share(self.ratio)} of the ceiling" if self.is_ceiling else times(self.ratio)

    @property
    def is_beyond(self) -> bool:
        """Better than the best possible: then the best is not known well."""
        return self.ratio is not None and (self.ratio > 1) == self.is_ceiling and self.ratio != 1


@dataclass(frozen=True, kw_only=True)
class PeakRow:
    """One measured peak and which part of it the two runs reach; None where unknown."""

    peak: str
    value: Figure
    before: float | None
    after: float | None

    @property
    def shares(self) -> tuple[str, str]:
        """Both parts as text."""
        before, after = ("–" if s is None else share(s) for s in (self.before, self.after))
        return before, after

    @property
    def is_beyond(self) -> bool:
        """More than the whole peak."""
        return any(s is not None and s > 1 for s in (self.before, self.after))


def floor_rows(choice: Choice, artefact: Trial) -> list[FloorRow]:
    """Every floor (for throughput: ceiling) that has a figure of the artefact beside it."""
    return [
        FloorRow(
            figure=figure_title(name),
            best=choice.floors[name],
            measured=artefact.figures[name],
            ratio=_ratio(artefact.figures[name], choice.floors[name]),
            is_ceiling=name in _CEILINGS,
        )
        for name in _FLOORS
        if name in choice.floors and name in artefact.figures
    ]


def peak_rows(device: Device, baseline: Trial | None, artefact: Trial | None) -> list[PeakRow]:
    """GEMM peaks by dtype and the copy bandwidth."""
    peaks = {f"GEMM {plain(dtype)}": ("achieved_flops", f) for dtype, f in device.peaks.items()}
    peaks["copy bandwidth"] = ("achieved_bandwidth", device.bandwidth)
    return [
        PeakRow(
            peak=name,
            value=peak,
            before=_ratio(baseline.figures.get(achieved) if baseline else None, peak),
            after=_ratio(artefact.figures.get(achieved) if artefact else None, peak),
        )
        for name, (achieved, peak) in peaks.items()
    ]


def any_beyond(floors: Sequence[FloorRow], peaks: Sequence[PeakRow]) -> bool:
    """Whether the page has to explain a run that beats a peak."""
    return any(row.is_beyond for row in floors) or any(row.is_beyond for row in peaks)


def _ratio(reached: Figure | None, limit: Figure) -> float | None:
    top, bottom = positive(reached), positive(limit)
    return None if top is None or bottom is None else top / bottom

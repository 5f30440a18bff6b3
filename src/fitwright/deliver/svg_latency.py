"""Latency by percentile: two runs side by side, with as much room for the tail as for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.deliver.scales import LinearScale, LogScale
from fitwright.deliver.svg import Drawing, Svg, apart
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes
from fitwright.records.figure import Figure

WIDTH, HEIGHT = 960, 420
FRAME = Frame(left=76, right=860, top=44, bottom=356)
MOST_POINTS = 240
_PERCENTS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


@dataclass(frozen=True, kw_only=True)
class LatencyLine:
    """One run.

    Attributes:
        latencies_s: the sample that was kept; at least two.
        marks: percentile figures by whole percent, drawn with their intervals.
        kind: class in the style sheet: ``before`` or ``after``.
    """

    name: str
    kind: str
    latencies_s: Sequence[float]
    marks: dict[int, Figure]


def draw_latencies(lines: Sequence[LatencyLine], *, limits_s: dict[int, float]) -> Svg:
    """Latency over percentile; the limits of the contract as short bars at their percentile."""
    lines = [line for line in lines if len(line.latencies_s) > 1]
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title="Latency by percentile",
        description="; ".join(_told(line) for line in lines),
        kind="latency",
    )
    x = NinesScale(most=max(len(line.latencies_s) for line in lines))
    y = _latency_scale(lines, limits_s)
    ticks = y.ticks()
    draw_axes(
        drawing,
        FRAME,
        Axis(scale=x, ticks=x.ticks(), tick_text=lambda p: f"{p:g} %", title="percentile"),
        Axis(scale=y, ticks=ticks, tick_text=_tick_text, title="latency"),
    )
    for percent, bound_s in limits_s.items():
        if x.reaches(percent):
            _draw_limit(
                drawing, x(percent), y(bound_s), f"p{percent} limit {units.seconds(bound_s)}"
            )
    for line in lines:
        _draw_line(drawing, line, x, y)
    ends = apart([y(max(line.latencies_s)) for line in lines], 18)
    for line, end in zip(lines, ends, strict=True):
        drawing.text(FRAME.right + 10, end + 4, line.name, kind=f"series {line.kind}")
    return drawing.finished()


@dataclass(frozen=True, kw_only=True)
class NinesScale:
    """Percentiles by the nines: 0, 90 and 99 % are equally far apart.

    Args:
        most: samples that the plot shows; the axis ends where one of them is left.
    """

    most: int

    def __call__(self, percent: float) -> float:
        nines = -math.log10(max(1 - percent / 100, 1 / self.most))
        return FRAME.left + (FRAME.right - FRAME.left) * nines / math.log10(self.most)

    def reaches(self, percent: float) -> bool:
        """Whether the sample is large enough to show that percentile."""
        return 1 - percent / 100 >= 1 / self.most * (1 - 1e-9)

    def ticks(self) -> list[float]:
        """0, 50, 90, 99 … as far as the sample reaches."""
        return [p for p in _PERCENTS if self.reaches(p)]


def percentile_points(latencies_s: Sequence[float]) -> list[tuple[float, float]]:
    """(percent, latency) of the sorted sample, thinned evenly along the axis of nines.

    The value of rank i of n stands at (i - 1/2)/n, so the slowest one is on the paper.
    """
    ordered = sorted(latencies_s)
    count = len(ordered)
    tail = (count ** (-i / (MOST_POINTS - 1)) for i in range(MOST_POINTS))
    ranks = sorted({min(count - 1, int(count * (1 - share))) for share in tail})
    return [(100 * (i + 0.5) / count, ordered[i]) for i in ranks]


def _draw_line(
    drawing: Drawing, line: LatencyLine, x: NinesScale, y: LinearScale | LogScale
) -> None:
    points = [(x(p), y(s)) for p, s in percentile_points(line.latencies_s)]
    drawing.path(points, kind=f"curve {line.kind}")
    for percent, figure in line.marks.items():
        if figure.value is None or not x.reaches(percent):
            continue
        at = x(percent)
        if figure.low is not None and figure.high is not None:
            drawing.line(at, y(figure.low), at, y(figure.high), kind=f"whisker {line.kind}")
        hint = f"{line.name} p{percent}: {units.seconds(figure.value)}"
        drawing.circle(at, y(figure.value), 4.5, kind=f"mark {line.kind}", hint=hint)
        drawing.text(at - 8, y(figure.value) - 9, units.seconds(figure.value), anchor="end")


def _tick_text(tick: float) -> str:
    return units.seconds(tick) if tick else "0"


def _draw_limit(drawing: Drawing, x: float, y: float, words: str) -> None:
    drawing.line(max(FRAME.left, x - 56), y, min(FRAME.right, x + 56), y, kind="limit")
    drawing.text(x, y - 7, words, kind="limit-text", anchor="middle")


def _latency_scale(
    lines: Sequence[LatencyLine], limits_s: dict[int, float]
) -> LinearScale | LogScale:
    """From zero when everything fits in one decade and a half, else logarithmic."""
    times = [s for line in lines for s in line.latencies_s if s > 0]
    marks = [f.high for line in lines for f in line.marks.values() if f.high]
    typical = sorted(times)[len(times) // 2]
    near = [b for b in limits_s.values() if b <= 30 * typical]
    high = max([*times, *marks, *near]) * 1.05
    if high <= 60 * min(times):
        return LinearScale(low=0, high=high, start=FRAME.bottom, end=FRAME.top)
    return LogScale(low=min(times) / 1.1, high=high, start=FRAME.bottom, end=FRAME.top)


def _told(line: LatencyLine) -> str:
    values = ", ".join(
        f"p{p} {units.seconds(f.value)}" for p, f in line.marks.items() if f.value is not None
    )
    return f"{line.name}: {values or 'no percentile'}"

"""Latency by percentile: two runs side by side, with as much room for the tail as for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.deliver.scales import LinearScale, LogScale
from fitwright.deliver.svg import Drawing, Svg, apart
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes
from fitwright.deliver.wording import figure_text, positive
from fitwright.records.figure import Figure

WIDTH, HEIGHT = 960, 420
FRAME = Frame(left=76, right=860, top=44, bottom=356)
MOST_POINTS = 240
_SHORTEST_S, _LONGEST_S = 1e-12, 1e9  # beyond, an interval end is as good as open
_DODGE_PX, _LABEL_GAP_PX, _LIMIT_PX = 3, 15, 110
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
    for line in lines:
        points = [(x(p), y(s)) for p, s in percentile_points(line.latencies_s)]
        drawing.path(points, kind=f"curve {line.kind}")
    percents = {p for line in lines for p in line.marks} | limits_s.keys()
    for percent in sorted(p for p in percents if x.reaches(p)):
        _draw_percentile(drawing, lines, percent, limits_s.get(percent), x, y)
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


def _draw_percentile(
    drawing: Drawing,
    lines: Sequence[LatencyLine],
    percent: int,
    limit_s: float | None,
    x: NinesScale,
    y: LinearScale | LogScale,
) -> None:
    """The runs' marks at one percentile and its limit, their labels kept apart."""
    at = x(percent)
    marked = [(line, v) for line in lines if (v := positive(line.marks.get(percent)))]
    for side, (line, value) in enumerate(marked):
        dodge = _DODGE_PX * (2 * side - len(marked) + 1)
        _draw_mark(drawing, line, percent, (at + dodge, y(value)), y)
    places = apart([y(value) for _, value in marked], _LABEL_GAP_PX)
    for (_, value), place in zip(marked, places, strict=True):
        drawing.text(at - 12, place - 6, units.seconds(value), anchor="end")
    if limit_s is not None and y.low <= limit_s <= y.high:
        _draw_limit(drawing, at, y(limit_s), f"p{percent} limit {units.seconds(limit_s)}")


def _draw_limit(drawing: Drawing, at: float, height: float, words: str) -> None:
    """A bar from the percentile to the right, away from the labels; to the left at the edge."""
    right = min(at + _LIMIT_PX, FRAME.right)
    if right - at >= _LIMIT_PX / 2:
        drawing.line(at, height, right, height, kind="limit")
        drawing.text(right, height - 7, words, kind="limit-text", anchor="end")
        return
    drawing.line(at - _LIMIT_PX, height, at, height, kind="limit")
    drawing.text(at - _LIMIT_PX, height - 7, words, kind="limit-text")


def _draw_mark(
    drawing: Drawing,
    line: LatencyLine,
    percent: int,
    place: tuple[float, float],
    y: LinearScale | LogScale,
) -> None:
    """A dot with its interval; an open end stops at the edge of the plot."""
    figure = line.marks[percent]
    if figure.low is not None and figure.high is not None:
        low, high = max(figure.low, y.low), min(figure.high, y.high)
        drawing.line(place[0], y(low), place[0], y(high), kind=f"whisker {line.kind}")
    hint = f"{line.name} p{percent}: {figure_text(figure)}"
    drawing.circle(*place, 4.5, kind=f"mark {line.kind}", hint=hint)


def _tick_text(tick: float) -> str:
    return units.seconds(tick) if tick else "0"


def _latency_scale(
    lines: Sequence[LatencyLine], limits_s: dict[int, float]
) -> LinearScale | LogScale:
    """From zero when everything fits in one decade and a half, else logarithmic."""
    times = [s for line in lines for s in line.latencies_s if s > 0]
    ends = [v for line in lines for f in line.marks.values() for v in (f.value, f.high)]
    seen = times + [v for v in ends if v is not None and _SHORTEST_S < v < _LONGEST_S]
    near = [b for b in limits_s.values() if min(seen) / 3 <= b <= 3 * max(seen)]
    low, high = min([*seen, *near]), max([*seen, *near]) * 1.05
    if high <= 60 * low:
        return LinearScale(low=0, high=high, start=FRAME.bottom, end=FRAME.top)
    return LogScale(low=low / 1.1, high=high, start=FRAME.bottom, end=FRAME.top)


def _told(line: LatencyLine) -> str:
    values = ", ".join(
        f"p{p} {units.seconds(f.value)}" for p, f in line.marks.items() if f.value is not None
    )
    return f"{line.name}: {values or 'no percentile'}"

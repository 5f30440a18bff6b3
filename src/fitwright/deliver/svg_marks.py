"""Small marks inside table cells: an interval on a shared scale, a value against its bound."""

from __future__ import annotations

from fitwright.deliver.scales import LinearScale, LogScale
from fitwright.deliver.svg import Drawing, Svg
from fitwright.records.need import Limit
from fitwright.records.trial import Comparison
from fitwright.records.verdict import LimitVerdict

WIDTH, HEIGHT = 132, 16
_WIDEST = 64.0


def ratio_range(comparisons: list[Comparison]) -> tuple[float, float]:
    """A range that holds every interval and 1, symmetric, so that 1 stands in the middle."""
    ends = [max(c.high, 1 / max(c.low, 1e-9)) for c in comparisons]
    reach = min(max([*ends, 1.25]), _WIDEST) * 1.05  # an open interval ends at the border
    return 1 / reach, reach


def draw_ratio(comparison: Comparison, reach: tuple[float, float]) -> Svg:
    """The ratio and its interval; left of the middle line is slower, right is faster."""
    drawing = Drawing(WIDTH, HEIGHT, kind="mark-plot")
    x = LogScale(low=reach[0], high=reach[1], start=6, end=WIDTH - 6)
    drawing.line(x(1), 1, x(1), HEIGHT - 1, kind="middle")
    low, value, high = (
        x(min(max(v, reach[0]), reach[1]))
        for v in (comparison.low, comparison.ratio, comparison.high)
    )
    kind = f"outcome-{comparison.outcome}"
    drawing.line(low, HEIGHT / 2, high, HEIGHT / 2, kind=f"whisker {kind}")
    drawing.circle(value, HEIGHT / 2, 3.5, kind=f"dot {kind}")
    return drawing.finished()


def draw_bound(row: LimitVerdict) -> Svg | None:
    """How much of the bound is used up, with the interval; None when there is no number."""
    value, bound = row.figure.value, row.limit.bound
    if value is None or bound <= 0 or value < 0:
        return None
    low = value if row.figure.low is None else max(row.figure.low, 0)
    high = value if row.figure.high is None else row.figure.high  # infinite when open
    x = LinearScale(low=0, high=_far_end(row.limit, value, high), start=1, end=WIDTH - 1)
    drawing = Drawing(WIDTH, HEIGHT, kind="mark-plot")
    drawing.rectangle(1, 5, WIDTH - 2, 6, kind="track")
    low, value, high = (min(v, x.high) for v in (low, value, high))
    drawing.rectangle(1, 5, x(value) - 1, 6, kind=f"fill status-{row.status}")
    if high > low:
        drawing.line(x(low), HEIGHT / 2, x(high), HEIGHT / 2, kind="whisker")
    drawing.line(x(bound), 1, x(bound), HEIGHT - 1, kind="bound-tick")
    return drawing.finished()


def _far_end(limit: Limit, value: float, high: float) -> float:
    """The bound stands at three quarters, unless a value beyond it needs more room."""
    return max(limit.bound / 0.75, min(max(value, high), 4 * limit.bound) * 1.02)

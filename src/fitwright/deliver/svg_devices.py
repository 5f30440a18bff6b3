"""One model over many devices: their roofs, their fronts, and several models at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fitwright import units
from fitwright.deliver.scales import LogScale, decades_around
from fitwright.deliver.svg import Drawing, Svg, apart
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes
from fitwright.deliver.trade import staircase
from fitwright.deliver.wording import plain
from fitwright.records.estimate import Estimate
from fitwright.records.prospect import Expected, Prospect
from fitwright.records.sheet import Sheet

WIDTH, HEIGHT = 960, 470
FRAME = Frame(left=96, right=820, top=44, bottom=376)
_LABEL_PX, _LETTER_PX = 15, 6.6
SHAPES: Mapping[Expected, str] = {
    "likely meets": "member",
    "unknown: measure first": "open",
    "cannot meet": "refused",
}


@dataclass(frozen=True, kw_only=True)
class Roofed:
    """A device with the model on it.

    Attributes:
        reached_flop_per_s: the model's FLOP over its predicted time.
    """

    prospect: Prospect
    peak_flop_per_s: float
    bandwidth_bytes_per_s: float
    reached_flop_per_s: float


def roofed(prospect: Prospect, sheet: Sheet, *, flops: float) -> Roofed | None:
    """None where the sheet has no roof in that dtype, or there is no predicted time."""
    peak, bandwidth = sheet.peaks.get(prospect.way.dtype), sheet.bandwidth_bytes_per_s
    latency = prospect.way.latency_s
    if peak is None or bandwidth is None or not isinstance(latency, Estimate) or not flops:
        return None
    return Roofed(
        prospect=prospect,
        peak_flop_per_s=peak.value,
        bandwidth_bytes_per_s=bandwidth.value,
        reached_flop_per_s=flops * prospect.way.batch / latency.value,
    )


def draw_roofs(devices: Sequence[Roofed], *, intensities: Sequence[float]) -> Svg | None:
    """Each device's published roof, and how far below it the model is predicted.

    Args:
        devices: at most a dozen, or the labels crowd.
        intensities: FLOP per byte of the model on each device, in its dtype.
    """
    if not devices:
        return None
    ridges = [d.peak_flop_per_s / d.bandwidth_bytes_per_s for d in devices]
    x_low, x_high = decades_around([*ridges, *intensities])
    heights = [v for d in devices for v in (d.peak_flop_per_s, d.reached_flop_per_s)]
    y_low, y_high = decades_around(heights)
    x = LogScale(low=x_low, high=x_high, start=FRAME.left, end=FRAME.right)
    y = LogScale(low=y_low, high=y_high, start=FRAME.bottom, end=FRAME.top)
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title="Roofline of the model over devices",
        description=_roofs_told(devices),
        kind="roofline",
    )
    draw_axes(
        drawing,
        FRAME,
        _axis(x, lambda v: f"{v:g}", "arithmetic intensity, FLOP per byte of weights"),
        _axis(y, lambda v: units.count(v, "FLOP/s"), "attainable, and predicted for this model"),
    )
    for device in devices:
        _draw_roof(drawing, device, x, y)
    for device, intensity in zip(devices, intensities, strict=True):
        at = x(intensity), y(device.reached_flop_per_s)
        name = plain(device.prospect.device_id)
        hint = f"{name}: {units.count(device.reached_flop_per_s, 'FLOP/s')} predicted"
        _shape(drawing, device.prospect.expected, *at, hint=hint)
    _name_roofs(drawing, devices, y)
    _name_dots(drawing, devices, intensities, x, y)
    return drawing.finished()


def _draw_roof(drawing: Drawing, device: Roofed, x: LogScale, y: LogScale) -> None:
    bandwidth, peak = device.bandwidth_bytes_per_s, device.peak_flop_per_s
    left = max(x.low, y.low / bandwidth)
    ridge = peak / bandwidth
    points = [(x(left), y(left * bandwidth)), (x(ridge), y(peak)), (FRAME.right, y(peak))]
    drawing.path(points, kind="roof other")


def _name_roofs(drawing: Drawing, devices: Sequence[Roofed], y: LogScale) -> None:
    levels = apart([y(d.peak_flop_per_s) for d in devices], _LABEL_PX)
    for device, level in zip(devices, levels, strict=True):
        drawing.text(FRAME.right + 8, level + 4, device.prospect.device_id, kind="series member")


def _name_dots(
    drawing: Drawing,
    devices: Sequence[Roofed],
    intensities: Sequence[float],
    x: LogScale,
    y: LogScale,
) -> None:
    """Left of the dots, apart from each other where several share an intensity."""
    for intensity in dict.fromkeys(intensities):
        here = [d for d, i in zip(devices, intensities, strict=True) if i == intensity]
        levels = apart([y(d.reached_flop_per_s) for d in here], _LABEL_PX)
        for device, level in zip(here, levels, strict=True):
            at = x(intensity) - 11, level + 4
            drawing.text(*at, device.prospect.device_id, kind="series muted", anchor="end")


def _roofs_told(devices: Sequence[Roofed]) -> str:
    return "; ".join(
        f"{d.prospect.device_id} reaches {units.count(d.reached_flop_per_s, 'FLOP/s')} of "
        f"{units.count(d.peak_flop_per_s, 'FLOP/s')}"
        for d in devices
    )


def draw_trade(
    prospects: Sequence[Prospect], *, across: tuple[str, str], up: tuple[str, str]
) -> Svg | None:
    """Two figures of every device, both better when smaller, with the front between them.

    Args:
        across, up: name of the figure and title of the axis.
    """
    points = [
        (a.value, b.value, p)
        for p in prospects
        if isinstance(a := p.figures.get(across[0]), Estimate)
        and isinstance(b := p.figures.get(up[0]), Estimate)
        and a.value > 0
        and b.value > 0
    ]
    if len(points) < 2:
        return None
    x = _log([p[0] for p in points], FRAME.left, FRAME.right)
    y = _log([p[1] for p in points], FRAME.bottom, FRAME.top)
    units_of = [_unit(points[0][2], name) for name, _ in (across, up)]
    front = staircase([(a, b) for a, b, _ in points])
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title=f"{across[1]} against {up[1]}",
        description=_trade_told(points, front, units_of),
        kind="front",
    )
    draw_axes(
        drawing,
        FRAME,
        _axis(x, lambda v: units.show(v, units_of[0]), across[1]),
        _axis(y, lambda v: units.show(v, units_of[1]).removesuffix(" USD/1M"), up[1]),
    )
    _draw_front(drawing, front, x, y)
    _draw_points(drawing, points, x, y, units_of)
    _label_front(drawing, points, front, x, y)
    _legend(drawing, prospects)
    return drawing.finished()


def _draw_front(
    drawing: Drawing, front: Sequence[tuple[float, float]], x: LogScale, y: LogScale
) -> None:
    steps = [(x(a), y(b)) for a, b in front]
    line = [(steps[0][0], FRAME.top), steps[0]]
    for (_, above), (right, level) in pairwise(steps):
        line += [(right, above), (right, level)]
    drawing.path([*line, (FRAME.right, steps[-1][1])], kind="stairs")


def _draw_points(
    drawing: Drawing,
    points: Sequence[tuple[float, float, Prospect]],
    x: LogScale,
    y: LogScale,
    units_of: Sequence[str],
) -> None:
    order: list[Expected] = [*SHAPES][::-1]
    for a, b, p in sorted(points, key=lambda point: order.index(point[2].expected)):
        hint = f"{p.device_id}: {units.show(a, units_of[0])}, {units.show(b, units_of[1])}, "
        hint += f"{p.verdict} ({p.way.dtype} on {p.way.runtime})"
        _shape(drawing, p.expected, x(a), y(b), hint=hint)


def _label_front(
    drawing: Drawing,
    points: Sequence[tuple[float, float, Prospect]],
    front: Sequence[tuple[float, float]],
    x: LogScale,
    y: LogScale,
) -> None:
    """Names of the devices on the front, where there is room."""
    on_front = set(front)
    taken: list[tuple[float, float]] = []
    for a, b, p in sorted((q for q in points if (q[0], q[1]) in on_front), key=lambda q: q[0]):
        words = plain(p.device_id)
        width = len(words) * _LETTER_PX
        at = x(a) + 9, y(b) - 7
        if at[0] + width > WIDTH:
            at = x(a) - 9 - width, at[1]
        if any(abs(at[0] - u) < width and abs(at[1] - v) < _LABEL_PX for u, v in taken):
            continue
        taken.append(at)
        drawing.text(*at, words, kind="series member")


def _trade_told(
    points: Sequence[tuple[float, float, Prospect]],
    front: Sequence[tuple[float, float]],
    units_of: Sequence[str],
) -> str:
    names = {(a, b): p.device_id for a, b, p in points}
    told = "; ".join(
        f"{names[a, b]} {units.show(a, units_of[0])}, {units.show(b, units_of[1])}"
        for a, b in front[:8]
    )
    return f"{len(points)} devices; on the front: {told}"


def _unit(prospect: Prospect, figure: str) -> str:
    found = prospect.figures[figure]
    return found.unit if isinstance(found, Estimate) else ""


def _log(values: Sequence[float], start: float, end: float) -> LogScale:
    return LogScale(low=min(values) / 1.4, high=max(values) * 1.4, start=start, end=end)


def _axis(scale: LogScale, text: Callable[[float], str], title: str) -> Axis:
    return Axis(scale=scale, ticks=scale.ticks(), tick_text=text, title=title)


def _shape(drawing: Drawing, expected: Expected, x: float, y: float, *, hint: str = "") -> None:
    kind = SHAPES[expected]
    if kind == "refused":
        drawing.cross(x, y, 4, kind="shape refused", hint=hint)
    else:
        drawing.circle(x, y, 5, kind=f"shape {kind}", hint=hint)


def _legend(drawing: Drawing, prospects: Sequence[Prospect]) -> None:
    shown = [e for e in SHAPES if any(p.expected == e for p in prospects)]
    for number, expected in enumerate(shown):
        at = FRAME.left + number * 200
        _shape(drawing, expected, at + 8, HEIGHT - 18)
        drawing.text(at + 22, HEIGHT - 14, expected, kind="legend")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model on one device: how it compares with the model's best device, above 1."""

    ratio: float | None
    words: str
    hint: str


def draw_heat(rows: Mapping[str, Sequence[Cell]], *, columns: Sequence[str]) -> Svg:
    """Models down, devices across; the darker, the nearer to the model's fastest device."""
    step, top, left = 44, 130, 190
    width = left + step * len(columns) + 76
    drawing = Drawing(
        max(width, 480),
        top + 34 * len(rows) + 16,
        title="Models over devices",
        description="Predicted time over that of the model's fastest device: "
        + "; ".join(f"{m}: {', '.join(c.hint for c in cells[:6])}" for m, cells in rows.items()),
        kind="heat",
    )
    for number, name in enumerate(columns):
        at = left + step * number + step / 2
        drawing.slanted(at, top - 8, name, kind="series member")
    for row, (model, cells) in enumerate(rows.items()):
        y = top + 34 * row
        drawing.text(left - 10, y + 21, _short(model), kind="series", anchor="end")
        for number, cell in enumerate(cells):
            x = left + step * number
            drawing.rectangle(x, y, step - 2, 32, kind=f"heat-{_shade(cell)}", hint=cell.hint)
            drawing.text(x + step / 2 - 1, y + 20, cell.words, kind="box-text", anchor="middle")
    return drawing.finished()


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"…{name[-23:]}"


def _shade(cell: Cell) -> str:
    """Six steps of a factor of two; ``none`` without a prediction."""
    if cell.ratio is None:
        return "none"
    return str(min(5, int(math.log2(max(cell.ratio, 1.0)))))

"""The roofline plot: roofs measured here, operators on them, whole runs beneath."""

from __future__ import annotations

import math

from fitwright import units
from fitwright.deliver.roofline import OperatorPoint, Roofline
from fitwright.deliver.scales import LogScale, decades_around
from fitwright.deliver.svg import Drawing, Svg, apart
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes

WIDTH, HEIGHT = 960, 460
FRAME = Frame(left=100, right=830, top=44, bottom=396)
SMALLEST_PX, LARGEST_PX = 3.5, 20.0
_NUMBER_FITS_PX = 7.0


def draw_roofline(roofline: Roofline) -> Svg:
    """Log-log: attainable FLOP/s over FLOP per byte."""
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title="Roofline of the operators",
        description=_told(roofline),
        kind="roofline",
    )
    x, y = _scales(roofline)
    draw_axes(
        drawing,
        FRAME,
        Axis(
            scale=x,
            ticks=x.ticks(),
            tick_text=lambda v: f"{v:g}",
            title="arithmetic intensity, FLOP per byte",
        ),
        Axis(
            scale=y,
            ticks=y.ticks(),
            tick_text=lambda v: units.count(v, "FLOP/s"),
            title="attainable",
        ),
    )
    _draw_roofs(drawing, roofline, x, y)
    for point in roofline.points:
        _draw_point(drawing, point, x, y)
    _draw_measured(drawing, roofline, x, y)
    return drawing.finished()


def _scales(roofline: Roofline) -> tuple[LogScale, LogScale]:
    """Whole decades around every dot, every ridge and every measured run."""
    ridges = [peak / roofline.bandwidth_bytes_per_s for peak in roofline.peaks.values()]
    intensities = [p.intensity for p in roofline.points] + [m.intensity for m in roofline.measured]
    x_low, x_high = decades_around([*ridges, *intensities])
    heights = [p.attainable_flop_per_s for p in roofline.points]
    heights += [m.achieved_flop_per_s for m in roofline.measured]
    y_low, y_high = decades_around([*heights, *roofline.peaks.values()])
    x = LogScale(low=x_low, high=x_high, start=FRAME.left, end=FRAME.right)
    return x, LogScale(low=y_low, high=y_high, start=FRAME.bottom, end=FRAME.top)


def _draw_roofs(drawing: Drawing, roofline: Roofline, x: LogScale, y: LogScale) -> None:
    """One slope for the bandwidth, one ceiling per dtype, named at the right."""
    bandwidth = roofline.bandwidth_bytes_per_s
    highest = max(roofline.peaks.values())
    left = max(x.low, y.low / bandwidth)
    slope = [(x(left), y(left * bandwidth)), (x(highest / bandwidth), y(highest))]
    drawing.path(slope, kind="roof slope")
    for dtype, peak in roofline.peaks.items():
        kind = "roof" if dtype == roofline.dtype else "roof other"
        drawing.line(x(peak / bandwidth), y(peak), FRAME.right, y(peak), kind=kind)
    names = list(roofline.peaks)
    levels = apart([y(roofline.peaks[n]) for n in names], 32)
    for name, level in zip(names, levels, strict=True):
        drawing.text(FRAME.right + 10, level - 2, name, kind="series")
        rate = units.count(roofline.peaks[name], "FLOP/s")
        drawing.text(FRAME.right + 10, level + 13, rate, kind="muted")
    share = math.sqrt(left * highest / bandwidth)  # the middle of the slope on a log axis
    place = (x(share) - 10, y(share * bandwidth) - 8)
    drawing.text(*place, f"copy {units.count(bandwidth, 'B/s')}", kind="muted", anchor="end")


def _draw_point(drawing: Drawing, point: OperatorPoint, x: LogScale, y: LogScale) -> None:
    """A dot whose area is the operators' part of the sum of floors."""
    radius = max(SMALLEST_PX, LARGEST_PX * math.sqrt(point.floor_share))
    across, up = x(point.intensity), y(point.attainable_flop_per_s)
    many = f"{point.count} × {point.kind}" if point.count > 1 else point.kind
    hint = (
        f"{many}: {point.intensity:.3g} FLOP per byte, at most "
        f"{units.count(point.attainable_flop_per_s, 'FLOP/s')}, "
        f"{point.floor_share:.0%} of the floor"
    )
    drawing.circle(across, up, radius, kind="operator", hint=hint)
    if point.rank and radius >= _NUMBER_FITS_PX:
        drawing.text(across, up + 4, str(point.rank), kind="operator-text", anchor="middle")


def _draw_measured(drawing: Drawing, roofline: Roofline, x: LogScale, y: LogScale) -> None:
    heights = apart([y(m.achieved_flop_per_s) for m in roofline.measured], 16)
    for run, label_at in zip(roofline.measured, heights, strict=True):
        across, up = x(run.intensity), y(run.achieved_flop_per_s)
        rate = units.count(run.achieved_flop_per_s, "FLOP/s")
        drawing.diamond(across, up, 6, kind=f"run {run.kind}", hint=f"{run.name}: {rate}")
        drawing.text(across + 12, label_at + 4, f"{run.name} {rate}", kind=f"series {run.kind}")


def _told(roofline: Roofline) -> str:
    roofs = ", ".join(f"{d} {units.count(p, 'FLOP/s')}" for d, p in roofline.peaks.items())
    runs = ", ".join(
        f"{m.name} reaches {units.count(m.achieved_flop_per_s, 'FLOP/s')}"
        for m in roofline.measured
    )
    bandwidth = units.count(roofline.bandwidth_bytes_per_s, "B/s")
    return f"Measured roofs: {roofs}, copy {bandwidth}. {runs or 'No full run was measured'}."

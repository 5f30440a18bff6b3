"""The Pareto front: time against what it is traded for; shapes tell the candidates apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from fitwright import units
from fitwright.deliver.scales import LinearScale, LogScale
from fitwright.deliver.svg import Drawing, Svg
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes
from fitwright.deliver.trade import second_objective, staircase, time_text, title_of
from fitwright.deliver.wording import figure_text, plain, quantity
from fitwright.records.front import Front, FrontPoint, Objective

WIDTH, HEIGHT = 960, 470
FRAME = Frame(left=92, right=850, top=44, bottom=356)
LOG_BEYOND = 8.0  # ratio of the slowest to the fastest from which the time axis is logarithmic
_LABEL_PX, _LETTER_PX = 16, 7.0
_LEGEND_Y, _LEGEND_STEP_PX = 448, 150


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A candidate on the paper: kind is artefact, baseline, member, dominated or refused."""

    point: FrontPoint
    kind: str
    x: float
    y: float
    hint: str


@dataclass(frozen=True, kw_only=True)
class _Paper:
    """Both scales, and how their values read."""

    objective: Objective
    unit_s: float
    time_text: Callable[[float], str]
    x: LinearScale | LogScale
    y: LinearScale


def draw_front(front: Front, *, artefact: str, baseline: str) -> Svg | None:
    """Time over the objective that tells most members apart; None where none does.

    Args:
        artefact, baseline: keys of the two candidates that get shapes of their own.
    """
    objective = second_objective(front)
    shown = [p for p in front.points if objective and objective in p.figures]
    if objective is None or len(shown) < 2:
        return None
    paper = _paper(front, shown, objective)
    places = [_place(p, _kind(p, artefact, baseline), paper) for p in shown]
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title=f"Pareto front: {front.time_is} against {title_of(objective)}",
        description=_told(places, front),
        kind="front",
    )
    _draw_frame(drawing, front, paper)
    _draw_stairs(drawing, places)
    order = ("refused", "dominated", "member", "baseline", "artefact")
    for place in sorted(places, key=lambda p: order.index(p.kind)):
        _draw_whiskers(drawing, place, paper)
    for place in sorted(places, key=lambda p: order.index(p.kind)):
        _draw_shape(drawing, place.kind, place.x, place.y, hint=place.hint)
    _draw_labels(drawing, places)
    _draw_legend(drawing, [k for k in reversed(order) if any(p.kind == k for p in places)])
    return drawing.finished()


def _paper(front: Front, shown: list[FrontPoint], objective: Objective) -> _Paper:
    unit_s, text = time_text(front)
    times = [unit_s * value for p in shown if (value := p.figures["time_ratio"].value)]
    values = [f.value for p in shown if (f := p.figures[objective]).value is not None]
    low, high = min(times), max(times)
    x: LinearScale | LogScale
    if high > LOG_BEYOND * low:
        x = LogScale(low=low / 1.2, high=high * 1.2, start=FRAME.left, end=FRAME.right)
    else:
        margin = 0.06 * (high - low) or 0.1 * high
        x = LinearScale(low=low - margin, high=high + margin, start=FRAME.left, end=FRAME.right)
    bottom = min(0.0, *values) * 1.1
    top = max(values) + 0.08 * (max(values) - bottom)
    y = LinearScale(low=bottom, high=top, start=FRAME.bottom, end=FRAME.top)
    return _Paper(objective=objective, unit_s=unit_s, time_text=text, x=x, y=y)


def _draw_frame(drawing: Drawing, front: Front, paper: _Paper) -> None:
    by_bytes = paper.objective in ("size", "peak_memory")
    unit = {"energy": "J"}.get(paper.objective, "")
    draw_axes(
        drawing,
        FRAME,
        Axis(scale=paper.x, ticks=paper.x.ticks(), tick_text=paper.time_text, title=front.time_is),
        Axis(
            scale=paper.y,
            ticks=paper.y.byte_ticks() if by_bytes else paper.y.ticks(),
            tick_text=_bytes if by_bytes else lambda v: quantity(v, unit) if v else "0",
            title=title_of(paper.objective),
        ),
    )


def _bytes(tick: float) -> str:
    return units.bytes_(tick) if tick else "0"


def _kind(point: FrontPoint, artefact: str, baseline: str) -> str:
    if point.candidate.key == artefact:
        return "artefact"
    return "baseline" if point.candidate.key == baseline else point.standing


def _place(point: FrontPoint, kind: str, paper: _Paper) -> _Place:
    ratio, figure = point.figures["time_ratio"].value or 1.0, point.figures[paper.objective]
    time = paper.unit_s * ratio
    reads = f"{plain(point.candidate.describe())}: {paper.time_text(time)}, {figure_text(figure)}"
    broken = f"; breaks {', '.join(point.breaks)}" if point.breaks else ""
    return _Place(
        point=point,
        kind=kind,
        x=paper.x(time),
        y=paper.y(figure.value or 0.0),
        hint=f"trial {point.trial}, {kind}: {reads}{broken}",
    )


def _draw_stairs(drawing: Drawing, places: list[_Place]) -> None:
    """Below and left of the line no candidate is; paper grows downwards, so up is down."""
    on_front = [(p.x, -p.y) for p in places if p.point.standing == "member"]
    steps = [(x, -y) for x, y in staircase(on_front)]
    if not steps:
        return
    line = [(steps[0][0], FRAME.top), steps[0]]
    for (_, above), (x, y) in pairwise(steps):
        line += [(x, above), (x, y)]
    drawing.path([*line, (FRAME.right, steps[-1][1])], kind="stairs")


def _draw_whiskers(drawing: Drawing, place: _Place, paper: _Paper) -> None:
    """The intervals of members and of the two named candidates, within the frame."""
    if place.kind in ("dominated", "refused"):
        return
    time, value = place.point.figures["time_ratio"], place.point.figures[paper.objective]
    if time.low is not None and time.high is not None:
        ends = [paper.unit_s * v for v in (time.low, time.high)]
        left, right = (paper.x(min(max(v, paper.x.low), paper.x.high)) for v in ends)
        drawing.line(left, place.y, right, place.y, kind=f"whisker {place.kind}")
    if value.low is not None and value.high is not None and value.low < value.high:
        ends = [min(max(v, paper.y.low), paper.y.high) for v in (value.low, value.high)]
        drawing.line(
            place.x, paper.y(ends[0]), place.x, paper.y(ends[1]), kind=f"whisker {place.kind}"
        )


def _draw_shape(drawing: Drawing, kind: str, x: float, y: float, *, hint: str = "") -> None:
    match kind:
        case "artefact":
            drawing.diamond(x, y, 9, kind="shape artefact", hint=hint)
        case "baseline":
            drawing.rectangle(x - 6, y - 6, 12, 12, kind="shape baseline", hint=hint)
        case "member":
            drawing.circle(x, y, 5.5, kind="shape member", hint=hint)
        case "dominated":
            drawing.circle(x, y, 4, kind="shape dominated", hint=hint)
        case _:
            drawing.cross(x, y, 4.5, kind="shape refused", hint=hint)


def _draw_labels(drawing: Drawing, places: list[_Place]) -> None:
    """Artefact and baseline by name, members by trial number, where there is room."""
    taken: list[tuple[float, float]] = []
    named = [p for p in places if p.kind in ("artefact", "baseline")]
    for place in [*named, *(p for p in places if p.kind == "member")]:
        words = place.kind if place in named else f"{place.point.trial}"
        width = len(words) * _LETTER_PX
        is_left = place.x + 12 + width > FRAME.right
        at = (place.x - 12 - width if is_left else place.x + 12), place.y - 8
        if any(abs(at[0] - x) < width + 12 and abs(at[1] - y) < _LABEL_PX for x, y in taken):
            continue
        taken.append(at)
        drawing.text(*at, words, kind=f"series {place.kind}")


def _draw_legend(drawing: Drawing, kinds: list[str]) -> None:
    for number, kind in enumerate(kinds):
        x = FRAME.left + number * _LEGEND_STEP_PX
        _draw_shape(drawing, kind, x + 8, _LEGEND_Y - 4)
        words = {"member": "on the front", "dominated": "beaten", "refused": "breaks a limit"}
        drawing.text(x + 26, _LEGEND_Y, words.get(kind, kind), kind="legend")


def _told(places: list[_Place], front: Front) -> str:
    """For those who hear the picture: the two named ones, then the front by growing time."""
    named = [p.hint for p in places if p.kind in ("artefact", "baseline")]
    members = sorted((p for p in places if p.kind == "member"), key=lambda p: p.x)
    told = "; ".join([*named, *(p.hint for p in members[:6])])
    return f"{told}; {len(front.members)} candidates on the front"

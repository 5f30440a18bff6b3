"""The static memory plan: every activation as a box over time and offset."""

from __future__ import annotations

from collections.abc import Sequence

from fitwright import units
from fitwright.deliver.scales import LinearScale
from fitwright.deliver.svg import Drawing, Svg
from fitwright.deliver.svg_axes import Axis, Frame, draw_axes
from fitwright.records.plan import Buffer, MemoryPlan

WIDTH, HEIGHT = 960, 400
FRAME = Frame(left=92, right=850, top=44, bottom=336)
MOST_BOXES = 600
_TINTS = 4
_LABEL_WIDTH_PX, _LABEL_HEIGHT_PX, _LETTER_PX = 52, 16, 7.0
_THIN_PX = 4.0  # a border would hide the box


def draw_memory(plan: MemoryPlan) -> Svg:
    """Boxes of at most `MOST_BOXES` largest buffers, the arena and its lower bound."""
    drawing = Drawing(
        WIDTH,
        HEIGHT,
        title="Static memory plan of the activations",
        description=(
            f"{len(plan.buffers)} buffers in an arena of {units.bytes_(plan.arena_bytes)}; "
            f"no packing can need less than {units.bytes_(plan.lower_bound_bytes)}"
        ),
        kind="memory",
    )
    steps = max(b.last for b in plan.buffers) + 1
    x = LinearScale(low=0, high=steps, start=FRAME.left, end=FRAME.right)
    top_bytes = max(plan.arena_bytes, plan.lower_bound_bytes) * 1.04
    y = LinearScale(low=0, high=top_bytes, start=FRAME.bottom, end=FRAME.top)
    whole = [t for t in x.ticks(8) if t == int(t)]
    draw_axes(
        drawing,
        FRAME,
        Axis(scale=x, ticks=whole, tick_text=lambda t: f"{t:.0f}", title="operator, in order"),
        Axis(scale=y, ticks=y.byte_ticks(), tick_text=bytes_text, title="offset in the arena"),
    )
    for i, buffer in enumerate(largest(plan.buffers)):
        _draw_box(drawing, buffer, x, y, tint=i % _TINTS)
    _draw_levels(drawing, plan, y)
    return drawing.finished()


def bytes_text(tick: float) -> str:
    """As `units.bytes_`; plain 0 at the origin."""
    return units.bytes_(tick) if tick else "0"


def largest(buffers: Sequence[Buffer]) -> list[Buffer]:
    """The buffers worth drawing: most byte-steps first, back in order of time."""
    kept = sorted(buffers, key=lambda b: b.bytes * (b.last - b.first + 1), reverse=True)
    return sorted(kept[:MOST_BOXES], key=lambda b: (b.first, b.offset))


def _draw_box(
    drawing: Drawing, buffer: Buffer, x: LinearScale, y: LinearScale, *, tint: int
) -> None:
    left, right = x(buffer.first), x(buffer.last + 1)
    bottom, top = y(buffer.offset), y(buffer.offset + buffer.bytes)
    hint = (
        f"{buffer.name}: {units.bytes_(buffer.bytes)} at {units.bytes_(buffer.offset)}, "
        f"operators {buffer.first} to {buffer.last}"
    )
    kind = f"buffer tint-{tint}" + (" thin" if right - left < _THIN_PX else "")
    drawing.rectangle(left, top, right - left, bottom - top, kind=kind, hint=hint)
    if right - left < _LABEL_WIDTH_PX or bottom - top < _LABEL_HEIGHT_PX:
        return
    words = units.bytes_(buffer.bytes)
    if len(words) * _LETTER_PX < right - left:
        middle = (left + right) / 2
        drawing.text(middle, (top + bottom) / 2 + 4, words, kind="box-text", anchor="middle")


def _draw_levels(drawing: Drawing, plan: MemoryPlan, y: LinearScale) -> None:
    """The arena's height and, apart from it, the level no packing can beat."""
    arena, bound = y(plan.arena_bytes), y(plan.lower_bound_bytes)
    drawing.line(FRAME.left, arena, FRAME.right, arena, kind="level arena")
    drawing.line(FRAME.left, bound, FRAME.right, bound, kind="level bound")
    right = FRAME.right + 10
    if abs(arena - bound) < 30:
        drawing.text(right, min(arena, bound) + 4, "arena", kind="series")
        drawing.text(right, min(arena, bound) + 20, "lower bound", kind="series muted")
        return
    drawing.text(right, arena + 4, "arena", kind="series")
    drawing.text(right, bound + 4, "lower bound", kind="series muted")

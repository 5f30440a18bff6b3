"""The frame of a plot: grid, tick labels and axis titles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fitwright.deliver.scales import LinearScale, LogScale
from fitwright.deliver.svg import Drawing

Scale = LinearScale | LogScale


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: its scale, where the ticks are and what they say."""

    scale: Callable[[float], float]
    ticks: Sequence[float]
    tick_text: Callable[[float], str]
    title: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The plot area inside a drawing, in its pixels."""

    left: float
    right: float
    top: float
    bottom: float


def draw_axes(drawing: Drawing, frame: Frame, x: Axis, y: Axis) -> None:
    """Horizontal grid, both tick rows, both titles."""
    for tick in y.ticks:
        at = y.scale(tick)
        drawing.line(frame.left, at, frame.right, at, kind="grid")
        drawing.text(frame.left - 8, at + 4, y.tick_text(tick), anchor="end")
    for tick in x.ticks:
        at = x.scale(tick)
        drawing.line(at, frame.bottom, at, frame.bottom + 5, kind="tick")
        drawing.text(at, frame.bottom + 20, x.tick_text(tick), anchor="middle")
    drawing.line(frame.left, frame.bottom, frame.right, frame.bottom, kind="axis")
    drawing.text(frame.left, frame.top - 14, y.title, kind="axis-title")
    middle = (frame.left + frame.right) / 2
    drawing.text(middle, frame.bottom + 42, x.title, kind="axis-title", anchor="middle")

"""Drawing: escaped by construction, coloured by the page's style sheet, no script."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from fitwright.deliver.wording import plain


@dataclass(frozen=True)
class Svg:
    """A finished drawing; templates put it into the page as it is."""

    text: str

    def __html__(self) -> str:
        return self.text


class Drawing:
    """An SVG that grows; every text and attribute is escaped when it is finished.

    Args:
        width, height: of the view box; the page scales it.
        title, description: what a reader hears instead of the picture; without a title
            the drawing is decoration and is hidden from screen readers.
    """

    def __init__(
        self, width: float, height: float, *, title: str = "", description: str = "", kind: str = ""
    ) -> None:
        self.width, self.height = width, height
        self._root = ET.Element("svg", {"viewBox": f"0 0 {_px(width)} {_px(height)}"})
        self._root.set("class", f"plot {kind}".strip())
        if not title:
            self._root.set("aria-hidden", "true")
            return
        self._root.set("role", "img")
        ET.SubElement(self._root, "title").text = plain(title)
        ET.SubElement(self._root, "desc").text = plain(description, longest=600)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, kind: str) -> None:
        """A straight line; `kind` is its class in the style sheet."""
        self._add("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2}, kind)

    def path(self, points: list[tuple[float, float]], *, kind: str) -> None:
        """A line through the points."""
        steps = " L".join(f"{_px(x)} {_px(y)}" for x, y in points)
        self._add("path", {"d": f"M{steps}"}, kind)

    def rectangle(
        self, x: float, y: float, width: float, height: float, *, kind: str, hint: str = ""
    ) -> None:
        """A box; `hint` shows when the pointer rests on it."""
        box = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0)}
        self._add("rect", box, kind, hint)

    def circle(self, x: float, y: float, radius: float, *, kind: str, hint: str = "") -> None:
        """A dot; `hint` shows when the pointer rests on it."""
        self._add("circle", {"cx": x, "cy": y, "r": radius}, kind, hint)

    def diamond(self, x: float, y: float, radius: float, *, kind: str, hint: str = "") -> None:
        """A square on its corner."""
        corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
        points = " ".join(f"{_px(a)},{_px(b)}" for a, b in corners)
        self._add("polygon", {"points": points}, kind, hint)

    def cross(self, x: float, y: float, radius: float, *, kind: str, hint: str = "") -> None:
        """Two strokes."""
        ends = (
            f"M{_px(x + a * radius)} {_px(y - radius)} L{_px(x - a * radius)} {_px(y + radius)}"
            for a in (-1, 1)
        )
        self._add("path", {"d": " ".join(ends)}, kind, hint)

    def text(
        self, x: float, y: float, words: str, *, kind: str = "", anchor: str = "start"
    ) -> None:
        """Words at a baseline point; anchor start, middle or end."""
        self._add("text", {"x": x, "y": y, "text-anchor": anchor}, kind).text = plain(words)

    def slanted(self, x: float, y: float, words: str, *, kind: str = "") -> None:
        """Words that rise from a point, for columns narrower than their names."""
        place: dict[str, float | str] = {"x": x, "y": y}
        place["transform"] = f"rotate(-50 {_px(x)} {_px(y)})"
        self._add("text", place, kind).text = plain(words)

    def finished(self) -> Svg:
        """The drawing as text."""
        return Svg(ET.tostring(self._root, encoding="unicode"))

    def _add(
        self, tag: str, attributes: Mapping[str, float | str], kind: str, hint: str = ""
    ) -> ET.Element:
        values = {k: v if isinstance(v, str) else _px(v) for k, v in attributes.items()}
        element = ET.SubElement(self._root, tag, values)
        if kind:
            element.set("class", kind)
        if hint:
            ET.SubElement(element, "title").text = plain(hint)
        return element


def apart(wanted: list[float], gap: float) -> list[float]:
    """Label positions as near as possible to `wanted`, in its order, at least `gap` apart.

    One sweep downwards, then the whole stack moves back by half of what it grew.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [wanted[i] for i in order]
    for before, after in pairwise(range(len(placed))):
        placed[after] = max(placed[after], placed[before] + gap)
    shift = sum(p - wanted[i] for p, i in zip(placed, order, strict=True)) / max(len(order), 1)
    result = [0.0] * len(wanted)
    for position, index in zip(placed, order, strict=True):
        result[index] = position - shift
    return result


def _px(value: float) -> str:
    """A tenth of a pixel is enough, and keeps the file small."""
    return f"{value:.1f}".removesuffix(".0")

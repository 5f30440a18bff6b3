"""A network known by its totals instead of its graph."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from fitwright.records.record import Record

Style = Literal["plain", "depthwise", "vit", "window", "dense", "detector", "recurrent", "ranking"]
"""What decides how well a network fills a device. ``plain``: dense convolutions one after the
other (resnet, vgg); ``depthwise``: separable convolutions (mobilenet, efficientnet);
``vit``: global attention and large products; ``window``: windows of attention, or attention and
convolutions mixed (swin); ``dense``: many concatenations (densenet, inception); ``detector``:
a backbone with heads, boxes and their selection; ``recurrent``: step by step; ``ranking``:
embedding tables and small products."""


class Workload(Record):
    """One inference of one sample, as published: the graph itself is not at hand.

    Attributes:
        name: as its authors write it, lower case.
        style: see `Style`.
        macs: multiply-adds of one sample; 1 MAC = 2 FLOP.
        parameters: trained numbers.
        activations: numbers that convolutions and products write, of one sample; None: unknown.
        num_layers: convolutions and products one after the other; None: unknown.
        side: of the square (or the square of equal area) image, in pixels; 0: no image.
        tokens: of the sequence; 0: none.
        aliases: other names of the same network.
        source: who published the totals.
    """

    name: str
    style: Style
    macs: float = Field(gt=0)
    parameters: float = Field(gt=0)
    activations: float | None = Field(default=None, gt=0)
    num_layers: int | None = Field(default=None, gt=0)
    side: float = 0.0
    tokens: int = 0
    aliases: tuple[str, ...] = ()
    source: str = ""

    def at_side(self, side: float) -> Self:
        """The same network on an image of another size: work grows with the area.

        Not for networks that do not read an image; fully connected layers at the end, whose
        work does not grow, are too small to count.
        """
        if not self.side or side == self.side:
            return self
        area = (side / self.side) ** 2
        activations = None if self.activations is None else self.activations * area
        changed = {"macs": self.macs * area, "activations": activations, "side": side}
        return self.model_copy(update=changed)

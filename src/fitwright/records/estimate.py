"""What the performance model answers: a number with its band and the evidence behind it."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import model_validator

from fitwright.records.figure import Figure
from fitwright.records.record import Record

Rung = Literal["measured", "device", "architecture", "family", "kind"]
RUNGS: tuple[Rung, ...] = ("measured", "device", "architecture", "family", "kind")
"""The ladder of evidence, best first: measured here, interpolated between measurements of this
device, and transferred from the same architecture, the same family, or the kind of device."""


class Estimate(Record):
    """A predicted quantity.

    Attributes:
        value: in base units; above zero.
        low, high: the 80 % band: four of five true values lie inside.
        unit: as of `Figure`.
        rung: the weakest evidence that the value rests on.
        reasons: where the constants come from and what is left out, a sentence each.
    """

    value: float
    low: float
    high: float
    unit: str
    rung: Rung
    reasons: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _band_holds_the_value(self) -> Self:
        if not all(math.isfinite(x) for x in (self.low, self.value, self.high)):
            raise ValueError("an estimate is finite; answer NoData with the reason instead")
        if not 0 <= self.low <= self.value <= self.high:
            raise ValueError("an estimate needs 0 <= low <= value <= high")
        return self

    def figure(self) -> Figure:
        """As a figure of a verdict or a report, labelled predicted."""
        return Figure(
            value=self.value,
            low=self.low,
            high=self.high,
            unit=self.unit,
            label="predicted",
            source=f"evidence: {self.rung}; 80 % band" + "".join(f"; {r}" for r in self.reasons),
        )


class NoData(Record):
    """Nothing to predict from, and why; never a guess."""

    reason: str

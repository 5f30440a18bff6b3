"""One number that never loses its label, unit, interval and source."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import model_validator

from fitwright.records.record import Record

Label = Literal["measured", "predicted", "estimated", "unavailable"]


class Figure(Record):
    """A quantity with how it is known.

    Attributes:
        value: in base units; ``None`` only when the label is ``unavailable``.
        low, high: the interval that goes with it (95 % unless `source` says otherwise).
        unit: ``s``, ``bytes``, ``J``, ``W``, ``/s``, ``usd``, ``FLOP``, ``FLOP/s``, ``B/s``,
            or empty for a share or a count.
        label: measured, predicted, estimated or unavailable.
        source: how the number came about, or why there is none.
        num_samples: how many observations carry it; 0 when it is not a statistic.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    label: Label
    source: str = ""
    num_samples: int = 0

    @model_validator(mode="after")
    def _label_matches(self) -> Self:
        if (self.value is None) != (self.label == "unavailable"):
            raise ValueError("a figure has no value exactly when its label is 'unavailable'")
        if self.value is not None and math.isnan(self.value):
            raise ValueError("a figure is never NaN; use the label 'unavailable' and say why")
        return self

    @classmethod
    def unavailable(cls, why: str, *, unit: str = "") -> Figure:
        """No number, and the reason; never zero."""
        return cls(value=None, unit=unit, label="unavailable", source=why)

    @classmethod
    def measured(
        cls,
        value: float,
        *,
        unit: str = "",
        low: float | None = None,
        high: float | None = None,
        source: str = "",
        num_samples: int = 0,
    ) -> Figure:
        """A number that was observed here."""
        return cls(
            value=value,
            low=value if low is None else low,
            high=value if high is None else high,
            unit=unit,
            label="measured",
            source=source,
            num_samples=num_samples,
        )

"""Predicted against measured, row by row and domain by domain."""

from __future__ import annotations

from fitwright.records.estimate import Rung
from fitwright.records.record import Record


class Scored(Record):
    """One case.

    Attributes:
        predicted, low, high, measured: in `unit`; None where there is no prediction, or the
            table leaves the figure out. `low` to `high` is the 80 % band.
        error: predicted over measured, less 1; 0.1 is 10 % too high.
        rung: the evidence that answered; None without a prediction.
        reason: why there is no prediction, or what it rests on.
        internal_error: whether a defect of Fitwright's own kept the row from an answer.
    """

    case: str
    domain: str
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    measured: float | None = None
    error: float | None = None
    rung: Rung | None = None
    reason: str = ""
    device_id: str = ""
    unit: str = ""
    source: str = ""
    internal_error: bool = False


class Summed(Record):
    """Several cases together.

    Attributes:
        num_predicted: rows with a prediction; the rest count as missed.
        median_absolute_error, worst_absolute_error: of the rows that have an error; shares.
        share_within_band: of figures that lie in the 80 % band.
        num_internal_errors: rows that a defect of Fitwright's own kept from an answer.
    """

    num_rows: int
    num_predicted: int
    median_absolute_error: float | None
    worst_absolute_error: float | None
    share_within_band: float | None
    num_internal_errors: int = 0


class Validation(Record):
    """A table of cases, scored."""

    rows: tuple[Scored, ...]
    by_domain: dict[str, Summed]

"""How much of a peak was reached in measurements: the fitted constants of the performance model."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from fitwright.records.estimate import Rung
from fitwright.records.record import Record


class Evidence(Record):
    """Constants of one formula, fitted to the measurements of one scope.

    Attributes:
        what: the formula, e.g. ``gemm`` or ``attention_decode``.
        dtype: whose constants these are; empty where the formula has none.
        rung: how near the scope is to a device: ``device``, ``architecture``, ``family`` or
            ``kind`` (``measured`` for what was calibrated on this very machine).
        scope: the id of the device, or the name of its architecture, family or kind.
        constants: by the names that the formula states, in base units or shares.
        curve: points (x, y) of a utilisation over the logarithm (base 2) of a size, where the
            formula takes one; x ascending, y in (0, 1].
        spread: the 80 % band as a factor: true values lie between value / spread and
            value * spread, as found on data that the fit did not see.
        num_points: measurements behind the fit.
        source: whose measurements.
        devices: ids of the devices measured, where a wider scope says them.
    """

    what: str
    dtype: str = ""
    rung: Rung
    scope: str
    constants: dict[str, float] = Field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()
    spread: float
    num_points: int
    source: str
    devices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if self.spread < 1:
            raise ValueError("spread is a factor of 1 or more")
        xs = [x for x, _ in self.curve]
        if xs != sorted(set(xs)):
            raise ValueError("a curve has ascending x")
        if not all(0 < y <= 1 for _, y in self.curve):
            raise ValueError("a utilisation lies in (0, 1]")
        return self

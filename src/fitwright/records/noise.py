"""How quiet the machine was while something was measured."""

from __future__ import annotations

from pydantic import Field

from fitwright.records.record import Record


class Noise(Record):
    """Taken over one race; each value is None where the machine does not tell it.

    Attributes:
        floor: relative standard deviation between processes that run the same candidate,
            as far as it is known: differences below it need several processes of each.
        steal_share: of the processors' time, what the hypervisor gave to others.
        others_share: of the processors' time, what other programs of this machine took.
        frequency_hz: mean over cores and over the looks taken.
        temperature_c: of the hottest sensor seen, degrees Celsius.
    """

    floor: float | None = Field(default=None, ge=0)
    steal_share: float | None = Field(default=None, ge=0, le=1)
    others_share: float | None = Field(default=None, ge=0, le=1)
    frequency_hz: float | None = Field(default=None, gt=0)
    temperature_c: float | None = None

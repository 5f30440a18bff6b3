"""Which hardware can do it, and why not the rest: step 2's answer."""

from __future__ import annotations

from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.record import Record


class Choice(Record):
    """A device that may keep the contract.

    Attributes:
        floors: by figure name, what physics allows at best here (predicted): time from the
            roofline over measured peaks, memory from weights and live activations.
        margins: by limit name, bound over floor (at_most) or floor over bound (at_least);
            above 1 means there is room.
    """

    device: Device
    num_devices: int = 1
    floors: dict[str, Figure]
    margins: dict[str, float]
    reasons: tuple[str, ...] = ()


class Refused(Record):
    """A device that cannot, the limit it breaks and by how much (ratio above 1)."""

    device_id: str
    limit: str
    reason: str
    gap: float


class Selection(Record):
    """Ranked best first; empty `choices` means no device can."""

    choices: tuple[Choice, ...]
    refused: tuple[Refused, ...]

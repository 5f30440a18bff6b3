"""Which hardware can do it, and why not the rest: step 2's answer."""

from __future__ import annotations

from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.prospect import Claim, Concession, Mix, Prospect
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
    """A device that cannot, the limit it breaks and by how much.

    Attributes:
        gap: needed over possible, a ratio above 1; infinite where no amount would do.
        short_by: the same as an amount in `unit`; None where there is none.
    """

    device_id: str
    limit: str
    reason: str
    gap: float
    short_by: float | None = None
    unit: str = ""


class Selection(Record):
    """Ranked best first; without `choices` and `prospects` no device can.

    Attributes:
        choices: this machine, by what physics allows over its measured peaks.
        refused: what breaks a hard limit, nearest first.
        prospects: devices as predicted, best first.
        mixes: devices of different kinds that share the traffic for less, cheapest first.
        concessions: where no device likely meets the contract: what would have to give,
            smallest change first.
        claims: rules of thumb about kinds of devices, checked for this model.
        model: whose selection this is.
        notes: what a reader should know.
    """

    choices: tuple[Choice, ...]
    refused: tuple[Refused, ...]
    prospects: tuple[Prospect, ...] = ()
    mixes: tuple[Mix, ...] = ()
    concessions: tuple[Concession, ...] = ()
    claims: tuple[Claim, ...] = ()
    model: str = ""
    notes: tuple[str, ...] = ()

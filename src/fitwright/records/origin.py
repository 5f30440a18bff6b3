"""Where a run came from: what resuming it needs."""

from __future__ import annotations

from fitwright.records.record import Record


class Origin(Record):
    """`origin.json`; stays on this machine, ships with nothing.

    Attributes:
        folder: where the contract's relative paths start.
        target: the model or contract as the user named it.
    """

    folder: str
    target: str

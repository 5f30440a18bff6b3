"""Where a run came from: what resuming it needs."""

from __future__ import annotations

from fitwright.records.record import Record


class Origin(Record):
    """`origin.json`; stays on this machine, ships with nothing.

    Attributes:
        folder: where the contract's relative paths start.
        target: the model or contract as the user named it.
        stored_as: name of the run in a database it shares; empty: its trials are in its own
            folder alone. Where that database is, the user says: a URL may hold a password.
    """

    folder: str
    target: str
    stored_as: str = ""

"""What the run depended on, so that it can be repeated."""

from __future__ import annotations

from fitwright.records.record import Record


class Environment(Record):
    """Versions and machine, without host name or paths."""

    fitwright: str
    python: str
    os: str
    cpu: str
    num_cores: int
    memory_bytes: int
    packages: dict[str, str]
    command: str
    started: str

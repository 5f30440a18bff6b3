"""Clock, energy counter, console, and everything the flow is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fitwright.ports.backends import Runtime, Transform
from fitwright.ports.execution import Executor
from fitwright.ports.probe import Probe


class Meter(Protocol):
    """A running energy counter of the machine."""

    source: str

    def energy_j(self) -> float:
        """Joules since some fixed moment."""
        ...


class Clock(Protocol):
    """Seconds, monotonic."""

    def __call__(self) -> float: ...


class Console(Protocol):
    """Where progress goes; stderr on a terminal, plain lines elsewhere, or nowhere."""

    def step(self, text: str) -> None:
        """A new step of the flow begins."""
        ...

    def say(self, text: str) -> None:
        """One line of progress."""
        ...

    def budget(self, spent_s: float, total_s: float, eta_s: float | None = None) -> None:
        """Time used and allowed, and when it is known how long the search will still take."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Everything the flow uses from outside; `fitwright.start.local_tools` fills it.

    Attributes:
        runtimes: the backends that are available here, by name.
        transforms: the table of passes, by recipe type and toolkit.
        meter: energy counter, or None where there is none to read.
        cache: folder for what is kept between runs (the machine's measured peaks).
    """

    runtimes: Mapping[str, Runtime]
    transforms: Mapping[Any, Transform]
    executor: Executor
    meter: Meter | None
    console: Console
    cache: Path
    clock: Clock
    probes: Mapping[str, Probe] = field(default_factory=dict)

"""Power while the machine rests and while it works, where an energy counter can be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fitwright.records.figure import Figure

REST_S = 1.0


class Watts:
    """What the counter says; without one, what was known before.

    Args:
        energy_j: joules since some moment; None: no counter.
        idle, loaded: figures to keep where nothing is read.
    """

    def __init__(
        self, energy_j: Callable[[], float] | None, *, idle: Figure, loaded: Figure
    ) -> None:
        self._energy_j = energy_j
        self.idle, self.loaded = idle, loaded
        self._most_w = 0.0

    def rest(self) -> None:
        """Read idle power over a second."""
        if self._energy_j is None:
            return
        begin_j, begin_s = self._energy_j(), time.monotonic()
        time.sleep(REST_S)
        watts = (self._energy_j() - begin_j) / (time.monotonic() - begin_s)
        self.idle = Figure.measured(watts, unit="W", source="energy counter, machine at rest")

    @contextmanager
    def working(self) -> Iterator[None]:
        """Read loaded power over what happens inside; the highest of several counts."""
        if self._energy_j is None:
            yield
            return
        begin_j, begin_s = self._energy_j(), time.monotonic()
        yield
        watts = (self._energy_j() - begin_j) / (time.monotonic() - begin_s)
        if watts > self._most_w:
            self._most_w = watts
            said = "energy counter, probes at work on all cores"
            self.loaded = Figure.measured(watts, unit="W", source=said)

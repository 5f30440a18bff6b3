"""Which cores measure and which do other work, so that no work ever disturbs a timing.

A measuring child has the cores of its slot to itself whenever it works: other measuring
children of that slot wait for their turn, and every other child whose cores overlap is stopped
(SIGSTOP) meanwhile. With cores set aside for other work nothing needs to be stopped.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from fitwright.errors import UsageError
from fitwright.executors import tree
from fitwright.executors.cores import dealt, usable_cores
from fitwright.ports import Array, LoadBlock, LoadGenLoad, Tensors, Worker

STOP_S = 0.1  # for a process that the kernel holds in a disk access; it disturbs no core there

Cores = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The cores of this machine, divided.

    Attributes:
        measuring: one set of cores per slot; what is measured there has no others.
        background: cores of other work; those of the first slot when none are set aside.
    """

    measuring: tuple[tuple[int, ...], ...]
    background: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether a candidate has every core of the machine, as it will when it is shipped."""
        return len(self.measuring) == 1 and set(self.background) <= set(self.measuring[0])


def one_slot() -> Slots:
    """All cores measure; other work takes the same cores while nothing is measured."""
    cores = _all_cores()
    return Slots(measuring=(cores,), background=cores)


def divided(*, num_measuring: int = 1, num_background: int = 0) -> Slots:
    """Some cores for other work, the rest in equal parts for measuring.

    Figures then hold for a part of the machine: use it where that part is what ships.

    Raises:
        UsageError: a measuring slot would have no core.
    """
    cores = _all_cores()
    if num_measuring < 1 or num_background < 0 or num_measuring + num_background > len(cores):
        raise UsageError(
            f"every measuring slot needs a core: {num_measuring} slot(s) and {num_background} "
            f"core(s) for other work were asked for, and {len(cores)} can be used",
            code="FW153",
            remedy="Ask for fewer slots, or leave other work to the measuring cores.",
        )
    num_left = len(cores) - num_background
    return Slots(
        measuring=dealt(cores[:num_left], num_measuring),
        background=cores[num_left:] or cores,
    )


def _all_cores() -> tuple[int, ...]:
    return usable_cores() or tuple(range(os.cpu_count() or 1))


@final
class Pause:
    """The times during which one child was stopped; its clock stands still meanwhile."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._since: float | None = None
        self._stopped: tuple[int, ...] = ()

    def stopped_s(self) -> float:
        """How long it was stopped so far, seconds."""
        since = self._since
        return self._before_s + (0.0 if since is None else time.monotonic() - since)

    def stop(self, warden_pid: int) -> None:
        """Stop everything beneath the warden, which watches on."""
        if self._since is not None:
            return
        self._since = time.monotonic()
        self._stopped = tree.stop_beneath(warden_pid, within_s=STOP_S)

    def go_on(self) -> None:
        """Let it run again."""
        if self._since is None:
            return
        for pid in self._stopped:
            tree.signal_to(pid, signal.SIGCONT)
        self._before_s, self._since = self.stopped_s(), None


@dataclass(frozen=True, kw_only=True)
class Other:
    """A child that does not measure."""

    warden_pid: int
    cores: Cores
    pause: Pause


@final
class Gate:
    """Lets measuring children have their cores to themselves. Safe to use from threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._measured: list[Cores] = []
        self._others: list[Other] = []

    @contextmanager
    def measuring(self, cores: Sequence[int]) -> Iterator[None]:
        """Within the block no other child of this gate runs on these cores."""
        taken = frozenset(cores)
        with self._changed:
            self._changed.wait_for(lambda: self._is_free(taken))
            self._measured.append(taken)
            for other in self._others:
                if other.cores & taken:
                    other.pause.stop(other.warden_pid)
        try:
            yield
        finally:
            with self._changed:
                self._measured.remove(taken)
                for other in self._others:
                    if self._is_free(other.cores):
                        other.pause.go_on()
                self._changed.notify_all()

    @contextmanager
    def starting(self, cores: Sequence[int]) -> Iterator[list[Other]]:
        """Start another child within the block, and append it; nothing is measured meanwhile."""
        wanted, started = frozenset(cores), list[Other]()
        with self._changed:
            self._changed.wait_for(lambda: self._is_free(wanted))
            yield started
            self._others += started

    def ended(self, other: Other) -> None:
        """That child is gone."""
        with self._changed:
            self._others.remove(other)

    def _is_free(self, cores: Cores) -> bool:
        return not any(cores & taken for taken in self._measured)


@final
class SlotWorker:
    """A worker that has the cores of its slot to itself whenever it works."""

    def __init__(self, worker: Worker, *, gate: Gate, cores: Sequence[int]) -> None:
        self._worker = worker
        self._gate = gate
        self._cores = tuple(cores)

    @property
    def load_s(self) -> float:
        """Time to import the backend and compile the model, seconds."""
        return self._worker.load_s

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened: see `ports.Session.facts`."""
        return self._worker.facts

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries; a copy in memory, and no work of the child."""
        self._worker.feed(inputs)

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order."""
        with self._gate.measuring(self._cores):
            return self._worker.outputs()

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Latencies, seconds; nothing else runs on these cores."""
        with self._gate.measuring(self._cores):
            return self._worker.time_block(seconds=seconds, min_runs=min_runs)

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> LoadBlock:
        """Latencies under load; nothing else runs on these cores."""
        with self._gate.measuring(self._cores):
            return self._worker.load_block(
                seconds=seconds, concurrency=concurrency, arrivals_s=arrivals_s
            )

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Latencies of bursts; nothing else runs on these cores."""
        with self._gate.measuring(self._cores):
            return self._worker.burst_block(seconds=seconds, size=size)

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Latencies under LoadGen; nothing else runs on these cores."""
        with self._gate.measuring(self._cores):
            return self._worker.loadgen_block(load)

    def peak_memory_bytes(self) -> int:
        """Peak resident memory so far."""
        return self._worker.peak_memory_bytes()

    def busy_s(self) -> float:
        """CPU time so far, seconds."""
        return self._worker.busy_s()

    def close(self) -> None:
        """End the child; never raises."""
        self._worker.close()

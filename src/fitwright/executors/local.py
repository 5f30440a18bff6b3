"""Child processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from copy import copy
from pathlib import Path
from typing import Any, cast, final

from fitwright.executors.background import Background
from fitwright.executors.instances import open_instances
from fitwright.executors.parent import LocalChild
from fitwright.executors.slots import Gate, Other, Slots, SlotWorker, one_slot
from fitwright.ports import (
    Array,
    ChildLimits,
    LoadBlock,
    LoadGenLoad,
    P,
    Runtime,
    T,
    Tensors,
    Worker,
)
from fitwright.records.plan import Settings


@final
class LocalWorker:
    """A child that holds one compiled model; see `ports.Worker`."""

    def __init__(
        self,
        runtime: Runtime,
        model: Path,
        settings: Settings,
        *,
        limits: ChildLimits,
        cores: Sequence[int] = (),
    ) -> None:
        self._subject = f"{model.name} on {runtime.name}"
        self._child = LocalChild(limits, runtime=runtime)
        loaded = None
        try:
            if cores:
                self._child.ask(f"pinning {self._subject}", "pin", tuple(cores))
            loaded, _ = self._child.ask(
                f"loading {self._subject}", "load", runtime, model, settings
            )
        finally:
            if loaded is None:
                self._child.end()
        self._load_s, self._facts, self._concurrency = loaded

    @property
    def load_s(self) -> float:
        """Time to import the backend and compile the model, seconds."""
        return float(self._load_s)

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened: see `ports.Session.facts`."""
        return cast("Mapping[str, str]", self._facts)

    @property
    def concurrency(self) -> int:
        """How many queries in flight the session is made for."""
        return int(self._concurrency)

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries through shared memory; shape (queries, *input shape)."""
        from fitwright.executors import shared

        self.feed_shared(*shared.packed(inputs))

    def feed_shared(self, memory: int, tensors: Any) -> None:
        """Take queries that lie in shared memory already; the descriptor is used up."""
        self._child.ask(f"feeding {self._subject}", "feed", tensors, memory=memory)

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order; shape (queries, *output shape)."""
        from fitwright.executors import shared

        tensors, memory = self._child.ask(f"running {self._subject}", "outputs")
        assert memory is not None, "outputs come through shared memory"
        return shared.mapped(memory, tensors)

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Run queries in turn, one at a time; latency of each, seconds."""
        latencies_s, _ = self._child.ask(f"timing {self._subject}", "time_block", seconds, min_runs)
        return cast("Sequence[float]", latencies_s)

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> tuple[Sequence[float], float]:
        """Run queries under load; latencies and the elapsed time, seconds."""
        block, _ = self._child.ask(
            f"loading {self._subject} with traffic",
            "load_block",
            seconds,
            concurrency,
            tuple(arrivals_s),
        )
        return cast("tuple[Sequence[float], float]", block)

    def closed_part(self, *, seconds: float, concurrency: int, begin_at: float) -> LoadBlock:
        """This child's part of a closed loop over several; see `timing.closed_loop`."""
        doing = f"loading {self._subject} with traffic"
        part, _ = self._child.ask(doing, "closed_part", seconds, concurrency, begin_at)
        return cast("LoadBlock", part)

    def open_part(
        self, reading_end: int, *, concurrency: int, arrivals_s: Sequence[float], begin_at: float
    ) -> LoadBlock:
        """This child's part of an open loop over several; closes its end of the turns."""
        doing, arrivals_s = f"loading {self._subject} with traffic", tuple(arrivals_s)
        part, _ = self._child.ask(
            doing, "open_part", concurrency, arrivals_s, begin_at, memory=reading_end
        )
        return cast("LoadBlock", part)

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Bursts of queries; latency of each burst and the elapsed time, seconds."""
        doing = f"loading {self._subject} with bursts"
        return cast("LoadBlock", self._child.ask(doing, "burst_block", seconds, size)[0])

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Under the load of MLCommons LoadGen; latencies and the elapsed time, seconds."""
        doing = f"loading {self._subject} by LoadGen"
        return cast("LoadBlock", self._child.ask(doing, "loadgen_block", load)[0])

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of the child so far, without queries and outputs in transit."""
        return int(self._child.ask(f"watching {self._subject}", "peak_memory_bytes")[0])

    def busy_s(self) -> float:
        """CPU time the child has used so far, seconds, over all its threads."""
        return float(self._child.ask(f"watching {self._subject}", "busy_s")[0])

    def close(self) -> None:
        """End the child; never raises, leaves no process behind."""
        self._child.end()


@final
class LocalExecutor:
    """Runs every trial in a fresh process of this machine; see `ports.Executor`.

    Threads of the driver may use it at the same time: children that measure take turns on
    the cores of their slot, and all others are stopped while one of them works there.

    Args:
        workers: how many submitted functions run at once.
        slots: which cores measure; all of them, one child at a time, unless stated.
    """

    def __init__(self, *, workers: int = 1, slots: Slots | None = None) -> None:
        self._slots = slots or one_slot()
        self._slot = 0
        self._gate = Gate()
        self._background = Background(workers)

    @property
    def num_slots(self) -> int:
        """Slots that measure independently of each other."""
        return len(self._slots.measuring)

    def on_slot(self, number: int) -> LocalExecutor:
        """The same executor, measuring on another slot: one for each thread that measures."""
        other = copy(self)
        other._slot = range(self.num_slots)[number]
        return other

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """Start a fresh child, or several instances, and compile in it. Raises TrialFailed."""
        cores = self._slots.measuring[self._slot]
        several = settings.instances > 1 or settings.pinned is not None
        with self._gate.measuring(cores):
            if several or not self._slots.whole:
                worker = open_instances(
                    LocalWorker, runtime, model, settings, limits=limits, cores=cores
                )
            else:
                worker = LocalWorker(runtime, model, settings, limits=limits)
        return SlotWorker(worker, gate=self._gate, cores=cores)

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one picklable function in a fresh child.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that the function raised.
        """
        cores = self._slots.measuring[self._slot]
        return self._call(cores, function, limits, *args, **kwargs)

    def submit(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Like `call`, in the background, on the cores for that; raises when asked for the
        result. One that has not begun can be cancelled."""
        cores = self._slots.background
        return self._background.submit(lambda: self._call(cores, function, limits, *args, **kwargs))

    def _call(
        self,
        cores: tuple[int, ...],
        function: Callable[P, T],
        limits: ChildLimits,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        with self._gate.starting(cores) as started:
            child = LocalChild(limits)
            other = Other(warden_pid=child.warden_pid, cores=frozenset(cores), pause=child.pause)
            started.append(other)
        try:
            if not self._slots.whole:
                child.ask("pinning", "pin", cores)
            name = getattr(function, "__name__", type(function).__name__)
            value, _ = child.ask(name, "call", function, args, kwargs)
            return cast("T", value)
        finally:
            self._gate.ended(other)
            child.end()

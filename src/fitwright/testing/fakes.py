"""Fakes of the ports: no process, no framework, no clock but the one they are given."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fitwright.errors import TrialFailed
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

Answer = Callable[[Tensors], Mapping[str, Array]]
Latency = Callable[[int], float]


def same(inputs: Tensors) -> Mapping[str, Array]:
    """The model that returns its inputs."""
    return inputs


def one_ms(_run: int) -> float:
    """Every run takes a millisecond."""
    return 1e-3


@dataclass(kw_only=True)
class FakeClock:
    """A clock that stands still until someone takes time."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(kw_only=True)
class FakeWorker:
    """A worker whose i-th run takes `latency_s(i)` on its clock.

    Attributes:
        answer: one query to its outputs.
        fails_at: number of the request (from 0, any method) that fails, with `cause`.
        num_cores: that a run keeps busy.
    """

    latency_s: Latency = one_ms
    answer: Answer = same
    clock: FakeClock = field(default_factory=FakeClock)
    load_s: float = 0.5
    facts: Mapping[str, str] = field(default_factory=lambda: {"device": "CPU"})
    memory_bytes: int = 64 << 20
    num_cores: float = 1.0
    fails_at: int | None = None
    cause: str = "crashed"
    closed: bool = False
    _queries: list[Tensors] = field(default_factory=list)
    _requests: int = 0
    _runs: int = 0
    _busy_s: float = 0.0

    def feed(self, inputs: Tensors) -> None:
        """Keep the queries."""
        self._request()
        number = len(next(iter(inputs.values())))
        self._queries = [{n: a[i, ...] for n, a in inputs.items()} for i in range(number)]

    def outputs(self) -> dict[str, Array]:
        """The answer to every query, stacked."""
        self._request()
        answers = [self.answer(query) for query in self._queries]
        return {name: np.stack([a[name] for a in answers]) for name in answers[0]}

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Runs until the clock has moved by `seconds`."""
        self._request()
        end, latencies_s = self.clock() + seconds, list[float]()
        while self.clock() < end or len(latencies_s) < min_runs:
            latencies_s.append(self._run())
            self.clock.now_s += latencies_s[-1]
        return latencies_s

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> tuple[Sequence[float], float]:
        """The queue of `concurrency` callers, computed: first come, first served."""
        self._request()
        free_s, latencies_s, last_s = [0.0] * concurrency, list[float](), 0.0
        for arrival_s in sorted(arrivals_s) or itertools.repeat(0.0):
            caller = free_s.index(min(free_s))
            if not arrivals_s and free_s[caller] >= seconds:
                break
            begin_s = max(free_s[caller], arrival_s)
            free_s[caller] = last_s = begin_s + self._run()
            latencies_s.append(free_s[caller] - (arrival_s if arrivals_s else begin_s))
        self.clock.now_s += max(*free_s, last_s)
        return latencies_s, max(*free_s, last_s)

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """All of a burst at once, on as many callers; the slowest ends it."""
        self._request()
        latencies_s: list[float] = []
        while not latencies_s or sum(latencies_s) < seconds:
            latencies_s.append(max(self._run() for _ in range(size)))
        self.clock.now_s += sum(latencies_s)
        return latencies_s, sum(latencies_s)

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """The same traffic without LoadGen."""
        if load.scenario == "multi_stream":
            return self.burst_block(seconds=load.seconds, size=load.streams)
        arrivals_s: Sequence[float] = ()
        if load.rate_per_s is not None and load.scenario == "server":
            rng = np.random.default_rng(load.seed)
            num = max(1, round(load.rate_per_s * load.seconds))
            arrivals_s = np.cumsum(rng.exponential(1 / load.rate_per_s, num)).tolist()
        callers = 1 if load.scenario == "single_stream" else load.concurrency
        return self.load_block(seconds=load.seconds, concurrency=callers, arrivals_s=arrivals_s)

    def peak_memory_bytes(self) -> int:
        """As told."""
        self._request()
        return self.memory_bytes

    def busy_s(self) -> float:
        """Time of all runs, on so many cores."""
        self._request()
        return self._busy_s

    def close(self) -> None:
        """Nothing to end; the queries go."""
        self.closed = True
        self._queries = []

    def _run(self) -> float:
        latency_s = self.latency_s(self._runs)
        self._runs += 1
        self._busy_s += latency_s * self.num_cores
        return latency_s

    def _request(self) -> None:
        if self.closed or self._requests == self.fails_at:
            self.closed = True
            raise TrialFailed(f"the fake worker {self.cause}", cause=self.cause)
        self._requests += 1


@dataclass(kw_only=True)
class FakeExecutor:
    """Hands out workers made by `worker`, and calls functions on the spot."""

    worker: Callable[[Runtime, Path, Settings], FakeWorker]
    opened: list[FakeWorker] = field(default_factory=list)

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """A fresh worker; the limits are never reached."""
        del limits
        self.opened.append(self.worker(runtime, model, settings))
        return self.opened[-1]

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """In this process."""
        del limits
        return function(*args, **kwargs)


class ReplayMeter:
    """Reads out recorded energies, joules, one after the other."""

    source = "replay"

    def __init__(self, readings_j: Iterable[float]) -> None:
        self._readings = iter(readings_j)

    def energy_j(self) -> float:
        """The next reading."""
        return next(self._readings)

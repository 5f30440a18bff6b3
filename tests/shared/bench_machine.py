"""A machine in a few lines: workers whose time is a formula, on a clock they advance."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.bench.metrics import Metric, named_metric
from fitwright.bench.setup import Setup, Target
from fitwright.errors import TrialFailed
from fitwright.ports import Array, Availability, ChildLimits, LoadGenLoad, Meter, Samples, Tensors
from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.need import Limit, Need
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate

Model = Callable[[Array], Array]


@dataclass
class FakeClock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def noisy(mean_s: float, *, spread: float = 0.02, seed: int = 0) -> Callable[[int], float]:
    """Latency of the i-th run: log-normal around `mean_s`."""
    rng = np.random.default_rng(seed)
    drawn = mean_s * np.exp(spread * rng.standard_normal(4096))
    return lambda i: float(drawn[i % 4096])


@dataclass
class FakeWorker:
    """Answers with `model`, takes `latency` per run, dies at request number `dies_at`."""

    clock: FakeClock
    model: Model = lambda x: x
    latency: Callable[[int], float] = lambda i: 0.001
    dies_at: int | None = None
    cause: str = "crashed"
    load_s: float = 0.5
    facts: Mapping[str, str] = field(default_factory=lambda: {"concurrency": "2"})
    memory_bytes: int = 50 << 20
    cores_busy: float = 2.0
    closed: bool = False
    fed: dict[str, Array] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    sent: list[LoadGenLoad] = field(default_factory=list)
    runs: int = 0
    requests: int = 0
    used_s: float = 0.0

    def _request(self, name: str) -> None:
        assert not self.closed, "a closed worker was used"
        self.log.append(name)
        self.requests += 1
        if self.dies_at is not None and self.requests >= self.dies_at:
            raise TrialFailed("the child died", cause=self.cause, detail="signal 11")

    def _run(self) -> float:
        time_s = self.latency(self.runs)
        self.runs += 1
        self.used_s += time_s * self.cores_busy
        return time_s

    def feed(self, inputs: Tensors) -> None:
        self._request("feed")
        self.fed = dict(inputs)

    def outputs(self) -> dict[str, Array]:
        self._request("outputs")
        (values,) = self.fed.values()
        self.clock.now_s += sum(self._run() for _ in values)
        return {"scores": np.stack([self.model(v) for v in values])}

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        self._request("time_block")
        times: list[float] = []
        while len(times) < min_runs or sum(times) < seconds:
            times.append(self._run())
        self.clock.now_s += sum(times)
        return times

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> tuple[Sequence[float], float]:
        """One server in front of a queue; `concurrency` in flight share it fairly."""
        self._request("load_block")
        if len(arrivals_s):
            free_s, latencies = 0.0, []
            for arrival_s in arrivals_s:
                free_s = max(free_s, arrival_s) + self._run()
                latencies.append(free_s - arrival_s)
            self.clock.now_s += free_s
            return latencies, free_s
        services: list[float] = []
        while sum(services) < seconds:
            services.append(self._run())
        self.clock.now_s += sum(services)
        return [s * concurrency for s in services], sum(services)

    def burst_block(self, *, seconds: float, size: int) -> tuple[Sequence[float], float]:
        """`size` queries at once share the server, so a burst takes as long as all of them."""
        self._request("burst_block")
        latencies: list[float] = []
        while sum(latencies) < seconds:
            latencies.append(sum(self._run() for _ in range(size)))
        self.clock.now_s += sum(latencies)
        return latencies, sum(latencies)

    def loadgen_block(self, load: LoadGenLoad) -> tuple[Sequence[float], float]:
        """Remembers what was asked for, and answers like the other blocks."""
        self.sent.append(load)
        if load.scenario == "multi_stream":
            return self.burst_block(seconds=load.seconds, size=load.streams)
        arrivals_s: Sequence[float] = ()
        if load.scenario == "server":
            assert load.rate_per_s is not None
            gaps = np.random.default_rng(load.seed).exponential(
                1 / load.rate_per_s, max(1, int(load.rate_per_s * load.seconds))
            )
            arrivals_s = np.cumsum(gaps).tolist()
        return self.load_block(
            seconds=load.seconds, concurrency=load.concurrency, arrivals_s=arrivals_s
        )

    def peak_memory_bytes(self) -> int:
        self._request("peak_memory_bytes")
        return self.memory_bytes + sum(v.nbytes for v in self.fed.values())

    def busy_s(self) -> float:
        return self.used_s

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeExecutor:
    """Opens what `makers` says for the model's file name; several: one per opening."""

    makers: Mapping[str, Sequence[Callable[[], FakeWorker]]]
    opened: list[FakeWorker] = field(default_factory=list)
    _counts: dict[str, itertools.count[int]] = field(default_factory=dict)

    def open(
        self, runtime: Any, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> FakeWorker:
        nth = next(self._counts.setdefault(model.name, itertools.count()))
        choices = self.makers[model.name]
        worker = choices[min(nth, len(choices) - 1)]()
        self.opened.append(worker)
        return worker

    def call(self, function: Any, limits: ChildLimits, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


class FakeRuntime:
    name = "fake"

    def availability(self) -> Availability:
        return Availability(version="1")

    def formats(self) -> tuple[str, ...]:
        return ("onnx",)

    def load(self, model: Path, settings: Settings) -> Any:
        raise NotImplementedError


def samples(num: int = 40, *, labels: bool = True, seed: int = 0) -> Samples:
    """Clear-cut three-class scores: the identity model is right on nine tenths of them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, num)
    shown = np.where(np.arange(num) % 10 == 9, (truth + 1) % 3, truth)
    scores = 8.0 * np.eye(3)[shown] + rng.normal(0, 0.1, (num, 3))
    return Samples(
        inputs={"x": scores[:, None, :].astype(np.float32)},
        labels=truth if labels else None,
        origin="contract",
    )


def need(**changes: Any) -> Need:
    stated: dict[str, Any] = {
        "limits": (),
        "agreement": Agreement(),
        "traffic": Traffic(),
        "budget": Budget(),
        "objective": "latency_p50",
        "percentile": 50,
        "metric": "accuracy",
        "data_origin": "contract",
        "has_labels": True,
        "check_top1": True,
        "num_calibration": 0,
        "num_evaluation": 40,
    }
    return Need(**stated | changes)


def limit(name: str, bound: float, *, sense: str = "at_most", figure: str | None = None) -> Limit:
    return Limit.model_validate(
        {"name": name, "figure": figure or name, "sense": sense, "bound": bound}
    )


def device(**changes: Any) -> Device:
    stated: dict[str, Any] = {
        "id": "local",
        "kind": "cpu",
        "name": "fake",
        "architecture": "x86_64",
        "instruction_sets": (),
        "num_cores": 2,
        "num_threads": 4,
        "caches": (),
        "memory_bytes": 8 << 30,
        "peaks": {
            "float32": Figure.measured(100e9, unit="FLOP/s"),
            "int8": Figure.measured(400e9, unit="FLOP/s"),
        },
        "bandwidth": Figure.measured(10e9, unit="B/s"),
        "idle_power": Figure.unavailable("unknown", unit="W"),
        "loaded_power": Figure.unavailable("unknown", unit="W"),
        "software": {},
        "backends": ("fake",),
    }
    return Device(**stated | changes)


def target(file: str = "candidate.onnx", *, title: str = "original") -> Target:
    return Target(
        candidate=Candidate(variant_id=file, title=title, backend="fake", settings=Settings()),
        runtime=FakeRuntime(),
        model=Path(file),
        size_bytes=1000,
        flops=2_000_000,
        bytes_moved=500_000,
    )


def setup(
    executor: FakeExecutor,
    clock: FakeClock,
    *,
    data: Samples | None = None,
    metric: Metric | None = None,
    meter: Meter | None = None,
    on: Device | None = None,
    **need_changes: Any,
) -> Setup:
    data = data or samples()
    return Setup(
        need=need(**need_changes),
        device=on or device(),
        samples=data,
        reference={"scores": data.inputs["x"]},
        metric=metric or (named_metric("accuracy") if data.labels is not None else None),
        executor=executor,
        limits=ChildLimits(),
        meter=meter,
        clock=clock,
    )

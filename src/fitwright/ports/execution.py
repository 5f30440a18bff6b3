"""Where trials run: child processes with a clock and a memory limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from fitwright.ports.backends import Runtime
from fitwright.ports.tensors import Array, Tensors
from fitwright.records.plan import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ChildLimits:
    """What one child may use before it is stopped.

    Attributes:
        wall_s: for each request to the child (load, block, transform), seconds.
        memory_bytes: resident memory.
        output_bytes: what it may print before it is stopped.
    """

    wall_s: float = 120.0
    memory_bytes: int = 8 << 30
    output_bytes: int = 16 << 20


LoadBlock: TypeAlias = tuple[Sequence[float], float]
"""Latencies and the elapsed time of one block, seconds."""


@dataclass(frozen=True, kw_only=True)
class LoadGenLoad:
    """What MLCommons LoadGen is asked to send in one block.

    Attributes:
        streams: queries sent together in multi_stream.
        rate_per_s: mean rate of arrivals in server.
        concurrency: queries the model may work on at once; the others wait.
        seed: of the arrivals and of the order of the queries.
    """

    scenario: Literal["single_stream", "multi_stream", "server", "offline"]
    seconds: float
    concurrency: int = 1
    streams: int = 1
    rate_per_s: float | None = None
    seed: int = 0


class Worker(Protocol):
    """A child process that holds one compiled model. Every method raises TrialFailed."""

    @property
    def load_s(self) -> float:
        """Time to import the backend and compile the model, seconds."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened: see `Session.facts`."""
        ...

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries through shared memory; shape (queries, *input shape)."""
        ...

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order; shape (queries, *output shape)."""
        ...

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Run queries in turn, one at a time; latency of each, seconds."""
        ...

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> tuple[Sequence[float], float]:
        """Run queries under load; latencies and the elapsed time, seconds.

        Closed loop with `concurrency` in flight, or open loop at the given arrival
        times (latency then counts from the arrival, waiting included).
        """
        ...

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Run `size` queries together, and the next ones when the last is answered.

        A latency is that of a whole burst. Raises PlanError where several processes
        hold the model: nothing keeps their bursts together.
        """
        ...

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Run queries as MLCommons LoadGen sends them; its own latencies and elapsed time.

        Raises BackendMissing without the package, PlanError as `burst_block` does.
        """
        ...

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of the child so far."""
        ...

    def busy_s(self) -> float:
        """CPU time the child has used so far, seconds, over all its threads."""
        ...

    def close(self) -> None:
        """End the child; never raises, leaves no process behind."""
        ...


class Executor(Protocol):
    """Where children run."""

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """Start a fresh child and compile in it. Raises TrialFailed."""
        ...

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one picklable function in a fresh child. Raises TrialFailed, or the
        FitwrightError that the function raised."""
        ...

"""What the steps need from outside, as small protocols.

`flow` wires them; `fitwright.testing` has a fake of each. Typing only: numpy is named
here for the type checker and never imported at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Recipe
from fitwright.records.trial import Trial
from fitwright.store.lease import Lease

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Tensors: TypeAlias = Mapping[str, Array]
else:
    Array = Any
    Tensors = Mapping[str, Any]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Queries ready for a model, and labels if known.

    Attributes:
        inputs: per model input, shape (queries, *input shape at the bound sizes).
        labels: shape (queries * batch, ...), or None.
        origin: ``contract`` (real) or ``synthetic``.
    """

    inputs: Tensors
    labels: Array | None
    origin: Literal["contract", "synthetic"]

    @property
    def num_queries(self) -> int:
        """Length of the first axis of every input."""
        return len(next(iter(self.inputs.values())))

    def picked(self, queries: Array) -> Samples:
        """Some of the queries, by index, with their labels."""
        labels = self.labels
        if labels is not None:
            by_query = labels.reshape(self.num_queries, -1, *labels.shape[1:])
            labels = by_query[queries].reshape(-1, *labels.shape[1:])
        inputs = {name: values[queries] for name, values in self.inputs.items()}
        return Samples(inputs=inputs, labels=labels, origin=self.origin)


# --- backends -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a backend runs here.

    Attributes:
        version: of the package, when importable.
        missing: what to install (the extra's name) or what the hardware lacks; empty when
            available.
    """

    version: str | None
    missing: str = ""


class Session(Protocol):
    """A compiled model inside a child process. Safe to call from `concurrency` threads."""

    @property
    def concurrency(self) -> int:
        """How many threads may call `run` at once to good effect."""
        ...

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One query; outputs by name."""
        ...

    def facts(self) -> Mapping[str, str]:
        """What really happened: execution device, precision, providers. No silent fallback."""
        ...


class Runtime(Protocol):
    """A backend that runs models. Picklable; imports its framework only when used."""

    @property
    def name(self) -> str:
        """Its key in the table of backends."""
        ...

    def availability(self) -> Availability:
        """Cheap: looks for the package, does not import it."""
        ...

    def formats(self) -> tuple[str, ...]:
        """Which variant formats it reads."""
        ...

    def load(self, model: Path, settings: Settings) -> Session:
        """Compile. Raises PlanError for settings this machine cannot honour."""
        ...


@dataclass(frozen=True, kw_only=True)
class TransformRequest:
    """What a pass gets.

    Attributes:
        model: the ONNX file to adapt (shapes fixed where the plan says so).
        calibration: ``.npz`` with one array per input, shape (queries, *input shape), or None.
        folder: empty folder to write into; the pass writes nowhere else.
        device: where the result is meant to run; decides number formats by what the
            hardware has. None: the most cautious choice.
    """

    recipe: Recipe
    model: Path
    summary: ModelSummary
    calibration: Path | None
    folder: Path
    device: Device | None = None


@dataclass(frozen=True, kw_only=True)
class TransformResult:
    """What a pass made.

    Attributes:
        file: main file, beneath the request's folder.
        format: ``onnx`` or ``openvino_ir``.
        backends: which backends may run it.
        settings: what candidates of it must set.
        modified: False when the pass found nothing to change.
        notes: what was left out and why.
    """

    file: Path
    format: Literal["onnx", "openvino_ir"] = "onnx"
    backends: tuple[str, ...]
    settings: Settings = field(default_factory=Settings)
    modified: bool = True
    notes: tuple[str, ...] = ()


class Transform(Protocol):
    """A pass: the code that applies one recipe. Picklable; applied in a child process."""

    @property
    def requires(self) -> str:
        """What must hold before, for people."""
        ...

    @property
    def ensures(self) -> str:
        """What holds after, for people."""
        ...

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Why it cannot apply here, or None. Cheap; imports nothing heavy."""
        ...

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Write the adapted model."""
        ...


# --- where trials run -----------------------------------------------------------------


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


# --- what is never lost ---------------------------------------------------------------


class TrialStore(Protocol):
    """Trials of one run, and who is at work on which candidate.

    Any number of threads, processes and machines may share one. Every method that writes
    raises StorageError and then has changed nothing.
    """

    def trials(self) -> tuple[Trial, ...]:
        """Every finished trial, by number."""
        ...

    def record(self, trial: Trial, lease: Lease | None = None) -> Trial:
        """Store a finished trial for good and end the lease; gives it as it is stored.

        The same trial again changes nothing; a number taken by another is replaced by the
        next free one; of two results of one claimed candidate the first counts.
        """
        ...

    def claim(self, key: str, *, worker: str, lease_s: float = ...) -> Lease | None:
        """Take on a candidate; None when it is done, in good hands, or given up."""
        ...

    def renew(self, lease: Lease) -> bool:
        """One sign of life; False when the lease was lost or has ended."""
        ...

    def release(self, lease: Lease) -> None:
        """Give a candidate back untried; the attempt does not count."""
        ...

    def held(self) -> tuple[Lease, ...]:
        """Every lease that has neither ended nor been given back."""
        ...

    def abandoned(self) -> tuple[Lease, ...]:
        """Leases whose worker has stopped answering; `Lease.is_last`: nobody may retry."""
        ...


# --- measuring ------------------------------------------------------------------------


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

    def budget(self, spent_s: float, total_s: float) -> None:
        """Time used and allowed, for the time-left display."""
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

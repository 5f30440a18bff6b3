"""What a trial needs, what is tried, and what comes out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fitwright.bench.heats import Floor
from fitwright.bench.metrics import Metric
from fitwright.ports import ChildLimits, Clock, Executor, Meter, Runtime, Samples, Tensors, Worker
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.need import Need
from fitwright.records.trial import Candidate, Comparison, Failure


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The same for every trial of a run.

    Attributes:
        samples: the evaluation samples, kept apart from calibration.
        reference: the original's outputs on them, in order.
        metric: what accuracy means; None without labels.
        limits: for each child.
        meter: energy counter, or None where none can be read.
        seed: of resampling, arrivals and who goes first.
        floor: what the run has learned of the spread between processes; every race learns.
    """

    need: Need
    device: Device
    samples: Samples
    reference: Tensors
    metric: Metric | None
    executor: Executor
    limits: ChildLimits
    meter: Meter | None = None
    seed: int = 0
    clock: Clock = time.monotonic
    floor: Floor = field(default_factory=Floor, compare=False)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A candidate with its file.

    Attributes:
        size_bytes: every file it needs.
        flops: of one query, 1 MAC = 2; None when some operator has no rule.
        bytes_moved: by one query, each operator's inputs and outputs once.
    """

    candidate: Candidate
    runtime: Runtime
    model: Path
    size_bytes: int
    flops: int | None
    bytes_moved: int


@dataclass(kw_only=True)
class Contender:
    """An opened, fed, warmed worker: the incumbent between two races.

    `worker` is replaced whenever the candidate is opened again: for every heat after the
    first, and when its child died.
    """

    target: Target
    worker: Worker
    figures: Mapping[str, Figure] = field(default_factory=dict)
    latency_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one trial saw.

    Attributes:
        incumbent_figures: the incumbent's latencies in the same interleaved rounds.
        latencies_s: a sample of them, evenly spread over the run.
        seconds: wall-clock time of the whole trial.
        contender: the open worker, for flow to keep or to close; None when it was closed.
    """

    figures: Mapping[str, Figure] = field(default_factory=dict)
    incumbent_figures: Mapping[str, Figure] = field(default_factory=dict)
    comparison: Comparison | None = None
    failure: Failure | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    latencies_s: tuple[float, ...] = ()
    seconds: float = 0.0
    contender: Contender | None = None

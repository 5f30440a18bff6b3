"""One interleaved run of the artefact and its peers, each in a process of its own.

The artefact and the peers that Fitwright's own backends can run are children of its executor;
those of other environments are driven over a pipe (`peer_external`).

Every round runs one short block of each contestant, in a new random order (seeded), so a
drift of the machine falls on all of them alike and nobody always follows the same neighbour.
The first run of a block warms the caches that the others used and does not count. Who is far
behind after FIRST_ROUNDS leaves: such a block can take longer than all others together. A
second copy of the artefact is opened last, as a control: by how much it differs from the first
is what this method cannot tell apart. The artefact's time is the mean of both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from peer_external import ExternalWorker, PeerFailed
from peer_inputs import HeldOut

from fitwright.backends import RUNTIMES
from fitwright.bench.statistics import bootstrap_interval, median_ratio_interval
from fitwright.errors import FitwrightError
from fitwright.executors.local import LocalExecutor
from fitwright.ports import Array, ChildLimits, Tensors
from fitwright.records.plan import Settings

BLOCK_S = 0.3
MIN_RUNS = 6
WARM_UP_ROUNDS = 3
FIRST_ROUNDS = 12  # after which whoever is FAR_BEHIND with the whole interval leaves
FAR_BEHIND = 2.0  # times the artefact's time
DUEL_SESSIONS = 4
SAME = 0.02  # a ratio within 2 % of 1 counts as equally fast; the control row says how much
#              two processes running the very same file differ
SAME_AGREEMENT = 1.1  # distances within 10 % of each other differ by the choice of samples
LARGEST_L2 = 0.05  # what still counts as the same answers, for random weights
LARGEST_DROP = 0.01  # of the task's metric, for trained ones
LIMITS = ChildLimits(wall_s=300.0, memory_bytes=12 << 30)
Given = Literal["onnx", "torch"]


class Turns(Protocol):
    """What the comparison asks of a process; see `fitwright.ports.Worker`."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened."""
        ...

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries."""
        ...

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order."""
        ...

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Run queries in turn, one at a time; latency of each, seconds."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


@dataclass(frozen=True, kw_only=True)
class Child:
    """Runs in a child of Fitwright's executor, by one of its backends."""

    backend: str
    file: Path
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class External:
    """Runs under the Python of another environment.

    Attributes:
        command: starts a process that speaks as `peer_serve` does.
        folder: for queries, outputs and what the process prints.
        environment: variables on top of this process's own.
    """

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A model, how it is run, and what it took to make.

    Attributes:
        what: the candidate in words.
        given: what its maker started from: the ONNX file, or the torch module itself.
        made_s: wall-clock time of the tool that made it, seconds; 0 for plain files.
        size_bytes: of every file that it needs.
    """

    name: str
    what: str
    given: Given
    runs: Child | External
    made_s: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class NotRun:
    """A peer that is not in the table, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one contestant did.

    Attributes:
        latency_s, latency_low_s, latency_high_s: median over the rounds and its bootstrap
            interval (95 %), of one query.
        speed, speed_low, speed_high: time of this contestant over time of the artefact,
            median of the paired rounds and its sign-test interval (95 %); above 1 the
            artefact is faster.
        rounds: how many these are from; fewer for those that left, far behind.
        relative_l2: distance of the outputs to the original's, over all held-out queries.
        metric: the task's, on the held-out samples; None for random weights.
    """

    name: str
    given: Given
    latency_s: float
    latency_low_s: float
    latency_high_s: float
    speed: float
    speed_low: float
    speed_high: float
    relative_l2: float
    metric: float | None
    size_bytes: int
    made_s: float
    rounds: int
    facts: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Whether the artefact is at least as fast as the fastest rival.

    A rival is a peer whose answers are as good: see `agrees`. `outcome` judges the interval of
    the ratio to that rival, over so many rounds.
    """

    rival: str
    outcome: str
    speed: float
    speed_low: float
    speed_high: float
    rounds: int = 0


def compare(
    contestants: Sequence[Contestant], *, held_out: HeldOut, reference: str, rounds: int
) -> tuple[list[Row], list[NotRun]]:
    """Measure all of them in one run; the first is the artefact.

    Args:
        contestants: opened all at once, each in a process, in this order. Those that run the
            artefact's own file are copies of it: its time in a round is their geometric mean,
            because the child that is opened first runs some percent slower than the last.
        held_out: queries that no tool has seen.
        reference: name of the contestant whose outputs are the original's.
        rounds: how many blocks each contestant runs that is not far behind.

    Returns:
        A row of each contestant that ran, and what kept the others from running.
    """
    with ExitStack() as stack:
        workers, outputs, not_run = answered(contestants, held_out, stack=stack)
        ran = [c for c in contestants if c.name in workers]
        copies = [c.name for c in ran if c.runs == contestants[0].runs]
        times = interleaved(workers, rounds=min(rounds, FIRST_ROUNDS))
        if rounds > FIRST_ROUNDS:
            near = {n: w for n, w in workers.items() if not far_behind(times[n], times, copies)}
            rest = interleaved(near, rounds=rounds - FIRST_ROUNDS, seed=1)
            times = {name: [*found, *rest.get(name, ())] for name, found in times.items()}
        facts = {name: dict(worker.facts) for name, worker in workers.items()}
    artefact_times = mean_of(times, copies)
    rows = [
        row(
            c,
            times=times[c.name],
            artefact_times=artefact_times,
            relative_l2=distance(outputs[c.name], outputs[reference]),
            metric=metric(outputs[c.name], held_out.labels),
            facts=facts[c.name],
        )
        for c in ran
    ]
    return rows, not_run


def mean_of(times: Mapping[str, Sequence[float]], copies: Sequence[str]) -> list[float]:
    """The artefact's time in each round: the geometric mean of its copies'."""
    return [math.prod(t) ** (1 / len(t)) for t in zip(*(times[n] for n in copies), strict=True)]


def far_behind(
    found: Sequence[float], times: Mapping[str, Sequence[float]], copies: Sequence[str]
) -> bool:
    """Whether the whole interval of the ratio to the artefact lies above FAR_BEHIND."""
    artefact_times = mean_of(times, copies)
    log_ratios = [math.log(t / a) for t, a in zip(found, artefact_times, strict=True)]
    return median_ratio_interval(log_ratios)[1].low > FAR_BEHIND


def answered(
    contestants: Sequence[Contestant], held_out: HeldOut, *, stack: ExitStack
) -> tuple[dict[str, Turns], dict[str, Tensors], list[NotRun]]:
    """Everyone opened, with the outputs; a peer that fails is left out with its reason."""
    workers: dict[str, Turns] = {}
    outputs: dict[str, Tensors] = {}
    not_run: list[NotRun] = []
    for contestant in contestants:
        try:
            worker = opened(contestant, held_out.inputs)
            stack.callback(worker.close)
            outputs[contestant.name] = worker.outputs()
            workers[contestant.name] = worker
        except (FitwrightError, PeerFailed) as error:
            if contestant is contestants[0]:
                raise
            not_run.append(NotRun(name=contestant.name, reason=str(error).split("\n")[0]))
    return workers, outputs, not_run


def duel(artefact: Contestant, rival: Contestant, *, held_out: HeldOut, rounds: int) -> Finding:
    """Only the two, in sessions that open one first and then the other, all rounds together.

    Which child is opened first shifts a ratio by a percent or two; both orders cancel that.
    """
    log_ratios: list[float] = []
    for session in range(DUEL_SESSIONS):
        pair = (artefact, rival) if session % 2 == 0 else (rival, artefact)
        with ExitStack() as stack:
            workers: dict[str, Turns] = {}
            for contestant in pair:
                worker = opened(contestant, held_out.inputs)
                stack.callback(worker.close)
                workers[contestant.name] = worker
            times = interleaved(workers, rounds=rounds // DUEL_SESSIONS)
        ours, theirs = times[artefact.name], times[rival.name]
        log_ratios += [math.log(t / a) for a, t in zip(ours, theirs, strict=True)]
    speed, interval = median_ratio_interval(log_ratios)
    return Finding(
        rival=rival.name,
        outcome=outcome(interval.low, interval.high),
        speed=speed,
        speed_low=interval.low,
        speed_high=interval.high,
        rounds=len(log_ratios),
    )


def opened(contestant: Contestant, held_out: Tensors) -> Turns:
    """A process with the contestant compiled and the queries handed over."""
    runs = contestant.runs
    worker: Turns
    if isinstance(runs, External):
        worker = ExternalWorker(runs.command, folder=runs.folder, environment=runs.environment)
    else:
        runtime = RUNTIMES[runs.backend]
        worker = LocalExecutor().open(runtime, runs.file, runs.settings, limits=LIMITS)
    worker.feed(held_out)
    return worker


def interleaved(
    workers: Mapping[str, Turns], *, rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Median latency of every block, seconds, by contestant and round."""
    times: dict[str, list[float]] = {name: [] for name in workers}
    shuffled = np.random.default_rng(seed)
    for number in range(-WARM_UP_ROUNDS, rounds):
        order = shuffled.permutation(list(workers)).tolist()
        for name in order:
            block = workers[name].time_block(seconds=BLOCK_S, min_runs=MIN_RUNS)
            if number >= 0:
                times[name].append(statistics.median(block[1:]))
    return times


def row(
    contestant: Contestant,
    *,
    times: Sequence[float],
    artefact_times: Sequence[float],
    relative_l2: float,
    metric: float | None,
    facts: Mapping[str, str],
) -> Row:
    """The estimates and their intervals from the medians of the blocks."""
    medians = np.asarray(times)
    interval = bootstrap_interval(len(medians), lambda i: float(np.median(medians[i])), seed=0)
    paired = zip(times, artefact_times, strict=False)  # those that left have the first rounds only
    log_ratios = [math.log(t / a) for t, a in paired]
    speed, speed_interval = median_ratio_interval(log_ratios)
    return Row(
        name=contestant.name,
        given=contestant.given,
        latency_s=float(np.median(medians)),
        latency_low_s=interval.low,
        latency_high_s=interval.high,
        speed=speed,
        speed_low=speed_interval.low,
        speed_high=speed_interval.high,
        relative_l2=relative_l2,
        metric=metric,
        size_bytes=contestant.size_bytes,
        made_s=contestant.made_s,
        rounds=len(times),
        facts=facts,
    )


def distance(outputs: Tensors, reference: Tensors) -> float:
    """Relative L2 distance over all outputs and queries."""
    difference = square_sum(np.float64(outputs[n]) - reference[n] for n in reference)
    return math.sqrt(difference / square_sum(np.float64(reference[n]) for n in reference))


def square_sum(arrays: Any) -> float:
    """Sum of squares over all elements of all arrays."""
    return float(sum(np.square(a).sum() for a in arrays))


def metric(outputs: Tensors, labels: Array | None) -> float | None:
    """Share of samples whose largest logit is the right class; None without labels."""
    if labels is None:
        return None
    (logits,) = outputs.values()
    return float((logits.argmax(-1) == labels).mean())


def agrees(peer: Row, artefact: Row, *, original: Row) -> bool:
    """Whether a peer's answers are as good as the artefact's, or good enough.

    On random weights: a distance to the original of at most LARGEST_L2, or no larger than the
    artefact's. On trained ones: a metric at most LARGEST_DROP below the original's, or no
    lower than the artefact's.
    """
    if peer.metric is None or artefact.metric is None or original.metric is None:
        return peer.relative_l2 <= max(LARGEST_L2, artefact.relative_l2 * SAME_AGREEMENT)
    return peer.metric >= min(original.metric - LARGEST_DROP, artefact.metric)


def finding(artefact: Row, peers: Sequence[Row], *, original: Row) -> Finding:
    """The artefact against the fastest of the peers that agree as it does."""
    rivals = [p for p in peers if agrees(p, artefact, original=original)]
    if not rivals:
        return Finding(
            rival="none", outcome="no peer agrees as well", speed=1.0, speed_low=1.0, speed_high=1.0
        )
    rival = min(rivals, key=lambda p: p.speed)
    return Finding(
        rival=rival.name,
        outcome=outcome(rival.speed_low, rival.speed_high),
        speed=rival.speed,
        speed_low=rival.speed_low,
        speed_high=rival.speed_high,
        rounds=rival.rounds,
    )


def outcome(low: float, high: float) -> str:
    """What an interval of the speed ratio says."""
    if low > 1:
        return "faster"
    if low >= 1 - SAME:
        return "as fast"
    return "slower" if high < 1 - SAME else "undecided"

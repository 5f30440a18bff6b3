"""One candidate: opened in a fresh child, verified, warmed, then raced."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from fitwright.bench.block import Block, latency_block, latency_block_under, rate_block
from fitwright.bench.latency import latency_figures, thinned
from fitwright.bench.race import IncumbentLost, RaceResult, race
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.statistics import mean_interval
from fitwright.bench.verify import verify
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.ports import Samples, Tensors, Worker
from fitwright.records.figure import Figure
from fitwright.records.trial import Failure

__all__ = [
    "Contender",
    "Measurement",
    "Setup",
    "Target",
    "open_contender",
    "try_candidate",
]

WARM_SHARE = 0.2
VERIFY_SHARE = 0.5
MIN_QUERIES_AGREEMENT = 16
MIN_QUERIES_LABELLED = 64
SHORT_TIMING_S = 1.0


def try_candidate(
    setup: Setup, target: Target, *, incumbent: Contender | None, budget_s: float
) -> Measurement:
    """Verify, then race against the incumbent; without one, a short timing.

    Whatever the candidate does (crash, hang, wrong or infinite outputs) becomes the
    measurement's failure. The child is closed unless it is returned as the contender.

    Args:
        budget_s: for warm-up and race together; loading and verifying come on top.

    Raises:
        DataError: the metric fails; that is no candidate's fault.
        TrialFailed: FW440, the incumbent died and could not be reopened.
    """
    start = setup.clock()
    try:
        worker = _open(setup, target)
    except TrialFailed as error:
        return _failed(setup, Failure.of(error), start)
    keep = False
    try:
        measured = _measured(setup, target, worker, incumbent=incumbent, budget_s=budget_s)
        keep = measured.contender is not None
    except _IncumbentGone:
        raise
    except TrialFailed as error:
        return _failed(setup, Failure.of(error), start)
    finally:
        if not keep:
            worker.close()
    return _timed(measured, setup.clock() - start)


def open_contender(setup: Setup, target: Target, *, warm_s: float = 2.0) -> Contender:
    """Open, feed and warm a candidate that was verified before.

    Raises:
        TrialFailed: it no longer runs.
    """
    worker = _open(setup, target)
    try:
        worker.feed(setup.samples.inputs)
        warm = warm_up(worker, budget_s=warm_s, clock=setup.clock)
    except TrialFailed:
        worker.close()
        raise
    return Contender(target=target, worker=worker, latency_s=warm.latency_s)


class _IncumbentGone(TrialFailed):
    """The incumbent could not be reopened: the run cannot compare any more."""


def _open(setup: Setup, target: Target) -> Worker:
    return setup.executor.open(
        target.runtime, target.model, target.candidate.settings, limits=setup.limits
    )


def _failed(setup: Setup, failure: Failure, start: float) -> Measurement:
    return Measurement(failure=failure, seconds=setup.clock() - start)


def _timed(measured: Measurement, seconds: float) -> Measurement:
    return Measurement(
        figures=measured.figures,
        comparison=measured.comparison,
        failure=measured.failure,
        latencies_s=measured.latencies_s,
        seconds=seconds,
        contender=measured.contender,
    )


def _measured(
    setup: Setup,
    target: Target,
    worker: Worker,
    *,
    incumbent: Contender | None,
    budget_s: float,
) -> Measurement:
    footprint, probe_s = first_queries(setup, worker)
    samples, reference = affordable(setup, probe_s=probe_s, budget_s=VERIFY_SHARE * budget_s)
    worker.feed(samples.inputs)
    verified = verify(
        worker,
        reference=reference,
        need=setup.need,
        samples=samples,
        metric=setup.metric,
        seed=setup.seed,
    )
    if isinstance(verified, Failure):
        return Measurement(failure=verified)
    worker.feed(setup.samples.inputs)
    warm = warm_up(worker, budget_s=WARM_SHARE * budget_s, clock=setup.clock)
    figures = {**verified, **footprint, **static_figures(target, worker)}
    contender = Contender(target=target, worker=worker, latency_s=warm.latency_s)
    raced = None
    if incumbent is not None:
        raced = _race(setup, contender, incumbent, budget_s=(1 - WARM_SHARE) * budget_s)
    times = _latencies(setup, contender, raced, budget_s=budget_s)
    figures |= latency_figures([times], seed=setup.seed)
    if setup.need.objective == "throughput":
        figures["throughput"] = _short_throughput(setup, worker, raced, budget_s=budget_s)
    contender.figures = figures
    return Measurement(
        figures=figures,
        comparison=raced.comparison if raced else None,
        latencies_s=thinned(times),
        contender=contender,
    )


def first_queries(setup: Setup, worker: Worker) -> tuple[dict[str, Figure], float]:
    """Memory while serving one query at a time, and the scale of a query's time.

    Read before the evaluation samples are handed over, which are no part of the footprint.
    """
    worker.feed({name: values[:1] for name, values in setup.samples.inputs.items()})
    probe_s = min(latency_block(worker, seconds=0.0, min_runs=3))
    return {"peak_memory": memory_figure(worker)}, probe_s


def memory_figure(worker: Worker) -> Figure:
    """Peak resident memory of the child so far."""
    return Figure.measured(
        float(worker.peak_memory_bytes()),
        unit="bytes",
        source="peak resident memory of the child: model, backend and Python together",
    )


def affordable(setup: Setup, *, probe_s: float, budget_s: float) -> tuple[Samples, Tensors]:
    """Evaluation samples that verification can run in time, evenly spread, and the reference.

    All of them when they fit in `budget_s`; never fewer than 64 with labels or 16 without.
    """
    num = setup.samples.num_queries
    floor = MIN_QUERIES_AGREEMENT if setup.samples.labels is None else MIN_QUERIES_LABELLED
    wanted = max(floor, int(budget_s / probe_s) if probe_s > 0 else num)
    if wanted >= num:
        return setup.samples, setup.reference
    return subset(setup.samples, setup.reference, np.linspace(0, num - 1, wanted).astype(int))


def subset(
    samples: Samples, reference: Tensors, queries: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> tuple[Samples, Tensors]:
    """Some queries with their labels and reference outputs."""
    labels = samples.labels
    if labels is not None:
        by_query = labels.reshape(samples.num_queries, -1, *labels.shape[1:])
        labels = by_query[queries].reshape(-1, *labels.shape[1:])
    picked = Samples(
        inputs={name: values[queries] for name, values in samples.inputs.items()},
        labels=labels,
        origin=samples.origin,
    )
    return picked, {name: values[queries] for name, values in reference.items()}


def static_figures(target: Target, worker: Worker) -> dict[str, Figure]:
    """What needs no timing."""
    return {
        "size": Figure.measured(float(target.size_bytes), unit="bytes", source="files it needs"),
        "load_time": Figure.measured(
            worker.load_s, unit="s", source="import of the backend and compilation, once"
        ),
    }


def objective_block(setup: Setup) -> Block:
    """What two candidates are compared by: latency, or time per query under full load."""
    if setup.need.objective == "throughput":
        return rate_block(setup.need.traffic)
    return latency_block_under(setup.need.traffic)


def _race(
    setup: Setup, contender: Contender, incumbent: Contender, *, budget_s: float
) -> RaceResult:
    """The race; an incumbent that dies is reopened once and the race starts again."""

    def once() -> RaceResult:
        return race(
            contender.worker,
            incumbent.worker,
            incumbent_name=incumbent.target.candidate.key,
            latency_s=max(contender.latency_s, incumbent.latency_s),
            budget_s=budget_s,
            seed=setup.seed,
            clock=setup.clock,
            block=objective_block(setup),
        )

    try:
        return once()
    except IncumbentLost as lost:
        _reopen(setup, incumbent, lost)
    try:
        return once()
    except IncumbentLost as lost:
        raise _gone(incumbent, lost.cause) from lost


def _reopen(setup: Setup, incumbent: Contender, lost: IncumbentLost) -> None:
    incumbent.worker.close()
    try:
        again = open_contender(setup, incumbent.target)
    except TrialFailed as error:
        raise _gone(incumbent, error) from lost
    incumbent.worker, incumbent.latency_s = again.worker, again.latency_s


def _gone(incumbent: Contender, cause: TrialFailed) -> _IncumbentGone:
    return _IncumbentGone(
        f"the best candidate so far, {incumbent.target.candidate.describe()}, died during a "
        f"comparison and again after it was reopened: {cause.rule}",
        code="FW440",
        remedy="Run `fitwright tune RUN` to go on; its figures so far are kept.",
        cause=cause.cause,
        detail=cause.detail,
    )


def _latencies(
    setup: Setup, contender: Contender, raced: RaceResult | None, *, budget_s: float
) -> Sequence[float]:
    """Latencies of the race, or of a short timing when there was none of latency."""
    if raced is not None and setup.need.objective != "throughput":
        return raced.candidate_s
    block = latency_block_under(setup.need.traffic)
    return block(contender.worker, seconds=min(SHORT_TIMING_S, WARM_SHARE * budget_s), min_runs=10)


def _short_throughput(
    setup: Setup, worker: Worker, raced: RaceResult | None, *, budget_s: float
) -> Figure:
    """Inferences per second from the race's blocks, or from a few blocks of its own."""
    batch = setup.need.traffic.batch
    if raced is not None:
        times: Sequence[float] = raced.candidate_s
    else:
        block = rate_block(setup.need.traffic)
        seconds = min(SHORT_TIMING_S, WARM_SHARE * budget_s) / 5
        times = [t for _ in range(5) for t in block(worker, seconds=seconds, min_runs=1)]
    rates = [batch / t for t in times]
    low, high = mean_interval(rates, seed=setup.seed)
    return Figure.measured(
        median(rates),
        unit="/s",
        low=max(0.0, min(low, median(rates))),
        high=max(high, median(rates)),
        source="inferences per second under full load, median of blocks",
        num_samples=len(rates),
    )

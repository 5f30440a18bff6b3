"""One candidate: opened in a fresh child, verified, warmed, then raced."""

from __future__ import annotations

from dataclasses import replace

from fitwright.bench.block import (
    Pace,
    WorkerLost,
    latency_block_under,
    rate_block,
)
from fitwright.bench.final import final
from fitwright.bench.glance import glanced
from fitwright.bench.latency import Blocks, latency_figures, thinned
from fitwright.bench.load import throughput_figure
from fitwright.bench.opening import open_worker, static_figures
from fitwright.bench.race import INCUMBENT, RaceResult, race
from fitwright.bench.reopening import fresh_pair, objective_block, open_contender, reopen
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.verify import examine
from fitwright.bench.warmup import warm_up
from fitwright.errors import Exit, TrialFailed
from fitwright.records.figure import Figure
from fitwright.records.trial import Failure

__all__ = [
    "Contender",
    "Measurement",
    "Setup",
    "Target",
    "final",
    "objective_block",
    "open_contender",
    "try_candidate",
]

WARM_SHARE = 0.2
SHORT_TIMING_S = 1.0
SHORT_BLOCKS = 8


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
        contender = Contender(target=target, worker=open_worker(setup, target))
    except TrialFailed as error:
        return _failed(setup, Failure.of(error), start)
    keep = False
    try:
        measured = _measured(setup, contender, incumbent=incumbent, budget_s=budget_s)
        keep = measured.contender is not None
    except _IncumbentGone:
        raise
    except TrialFailed as error:
        return _failed(setup, Failure.of(error), start)
    finally:
        if not keep:
            contender.worker.close()
    return replace(measured, seconds=setup.clock() - start)


class _IncumbentGone(TrialFailed):
    """The incumbent could not be reopened: the run cannot compare any more, but can go on."""

    exit = Exit.STOPPED


def _failed(setup: Setup, failure: Failure, start: float) -> Measurement:
    return Measurement(failure=failure, seconds=setup.clock() - start)


def _measured(
    setup: Setup, contender: Contender, *, incumbent: Contender | None, budget_s: float
) -> Measurement:
    worker = contender.worker
    examined = examine(setup, worker, budget_s=budget_s)
    if isinstance(examined, Failure):
        examined = glanced(
            setup,
            worker,
            examined,
            incumbent=incumbent,
            budget_s=budget_s,
            block=objective_block(setup),
        )
        return Measurement(failure=examined, facts=dict(worker.facts))
    warm = warm_up(worker, budget_s=WARM_SHARE * budget_s, clock=setup.clock)
    figures = {**examined, **static_figures(contender.target, worker)}
    contender.latency_s = warm.latency_s
    raced = None
    if incumbent is not None:
        raced = _race(setup, contender, incumbent, budget_s=(1 - WARM_SHARE) * budget_s)
    blocks = _latencies(setup, contender, raced, budget_s=budget_s)
    figures |= latency_figures(blocks, seed=setup.seed)
    if setup.need.objective == "throughput":
        figures["throughput"] = _short_throughput(setup, contender, raced, budget_s=budget_s)
    contender.figures = figures
    return Measurement(
        figures=figures,
        incumbent_figures=_same_rounds(setup, raced),
        comparison=raced.comparison if raced else None,
        facts=dict(worker.facts),
        latencies_s=thinned(blocks),
        contender=contender,
    )


def _same_rounds(setup: Setup, raced: RaceResult | None) -> dict[str, Figure]:
    """The incumbent's latencies of this very race; those of another minute do not compare."""
    if raced is None or setup.need.objective == "throughput":
        return {}
    return latency_figures(raced.incumbent_blocks, seed=setup.seed)


def _race(
    setup: Setup, contender: Contender, incumbent: Contender, *, budget_s: float
) -> RaceResult:
    """The race; an incumbent that dies is reopened once and the race starts again."""
    try:
        return _raced(setup, contender, incumbent, budget_s=budget_s)
    except WorkerLost as lost:
        if lost.name != INCUMBENT:
            raise lost.cause from lost
        try:
            reopen(setup, incumbent)
        except TrialFailed as error:
            raise _gone(incumbent, error) from lost
    try:
        return _raced(setup, contender, incumbent, budget_s=budget_s)
    except WorkerLost as lost:
        cause = _gone(incumbent, lost.cause) if lost.name == INCUMBENT else lost.cause
        raise cause from lost


def _raced(
    setup: Setup, contender: Contender, incumbent: Contender, *, budget_s: float
) -> RaceResult:
    return race(
        contender.worker,
        incumbent.worker,
        incumbent_name=incumbent.target.candidate.key,
        pace=Pace(
            latency_s=max(contender.latency_s, incumbent.latency_s),
            budget_s=budget_s,
            clock=setup.clock,
            seed=setup.seed,
        ),
        block=objective_block(setup),
        fresh=fresh_pair(setup, contender, incumbent),
        floor=setup.floor,
    )


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
) -> Blocks:
    """Latencies of the race, or of a short timing when there was none of latency."""
    if raced is not None and setup.need.objective != "throughput":
        return raced.candidate_blocks
    block = latency_block_under(setup.need.traffic)
    seconds = min(SHORT_TIMING_S, WARM_SHARE * budget_s) / SHORT_BLOCKS
    return [block(contender.worker, seconds=seconds, min_runs=1) for _ in range(SHORT_BLOCKS)]


def _short_throughput(
    setup: Setup, contender: Contender, raced: RaceResult | None, *, budget_s: float
) -> Figure:
    """Inferences per second from the race's blocks, or from a few blocks of its own."""
    if raced is not None:
        return throughput_figure(
            [t for b in raced.candidate_blocks for t in b], traffic=setup.need.traffic
        )
    block = rate_block(setup.need.traffic)
    seconds = min(SHORT_TIMING_S, WARM_SHARE * budget_s) / SHORT_BLOCKS
    times = [
        t for _ in range(SHORT_BLOCKS) for t in block(contender.worker, seconds=seconds, min_runs=1)
    ]
    return throughput_figure(times, traffic=setup.need.traffic)

"""The last word: artefact and baseline, reopened from their files, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from fitwright.bench.block import Pace, WorkerLost, latency_block_under
from fitwright.bench.energy import energy_figure
from fitwright.bench.latency import LatencyResult, percentile_run, thinned
from fitwright.bench.load import (
    ServerBlock,
    server_block_s,
    throughput_figure,
    throughput_run,
)
from fitwright.bench.noise import NoiseWatch
from fitwright.bench.opening import first_queries, open_worker, static_figures
from fitwright.bench.physics import cost_figure, physics_figures
from fitwright.bench.race import CANDIDATE, Blocks, race, race_on
from fitwright.bench.reopening import fresh_pair, objective_block
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.verify import verify
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.ports import Worker
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure
from fitwright.records.trial import Comparison, Failure

ARTEFACT, BASELINE = "artefact", "baseline"
WARM_SHARE = 0.05
LATENCY_SHARE = 0.6
HEATS_SHARE = 0.1  # and what the latencies leave of theirs
THROUGHPUT_SHARE = 0.1
ENERGY_SHARE, ENERGY_MOST_S = 0.05, 5.0


@dataclass(kw_only=True)
class _Side:
    """One of the two while the run goes on."""

    target: Target
    contender: Contender | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    failure: Failure | None = None
    blocks: tuple[tuple[float, ...], ...] = ()

    @property
    def ready(self) -> Contender:
        """The opened worker; only asked for when both were prepared without failure."""
        assert self.contender is not None, "prepared first"
        return self.contender


def final(
    setup: Setup, artefact: Target, baseline: Target, *, budget_s: float
) -> tuple[Measurement, Measurement]:
    """Everything the contract asks, of the very file that ships and of the baseline.

    Both are opened in fresh children, verified on all evaluation samples, then measured in
    interleaved blocks: latency percentiles under the contract's traffic, throughput,
    energy; memory, size and load time are read on the way; cost and achieved rates follow
    from them. The artefact's measurement holds the comparison with the baseline: the rounds
    of this run are its first heat, and while the difference is too close to tell from that
    between two processes of one file, further heats open both again.

    A child that dies, or an output that disagrees, becomes the failure of its own
    measurement; the other keeps the figures taken until then. No child stays open.

    Args:
        budget_s: of the measuring; opening and verifying both come on top.

    Raises:
        DataError: the metric fails.
    """
    start_s = setup.clock()
    sides = {ARTEFACT: _Side(target=artefact), BASELINE: _Side(target=baseline)}
    comparison = None
    try:
        for side in sides.values():
            _prepare(setup, side, warm_s=WARM_SHARE * budget_s)
        if all(side.failure is None for side in sides.values()):
            comparison = _measure(setup, sides, budget_s=budget_s)
    except WorkerLost as lost:
        sides[lost.name].failure = Failure.of(lost.cause)
    finally:
        for side in sides.values():
            if side.contender is not None:
                side.contender.worker.close()
    seconds = setup.clock() - start_s
    first, second = (_measurement(side, seconds=seconds) for side in sides.values())
    return replace(first, comparison=comparison), second


def _measurement(side: _Side, *, seconds: float) -> Measurement:
    return Measurement(
        figures=side.figures,
        failure=side.failure,
        facts=dict(side.contender.worker.facts) if side.contender is not None else {},
        latencies_s=thinned(side.blocks),
        seconds=seconds,
    )


def _prepare(setup: Setup, side: _Side, *, warm_s: float) -> None:
    """Open, verify on every evaluation sample, warm up."""
    try:
        worker = open_worker(setup, side.target)
        side.contender = Contender(target=side.target, worker=worker)
        footprint, _ = first_queries(setup, worker)
        side.figures |= footprint | static_figures(side.target, worker)
        worker.feed(setup.samples.inputs)
        verified = verify(
            worker,
            reference=setup.reference,
            need=setup.need,
            samples=setup.samples,
            metric=setup.metric,
            seed=setup.seed,
        )
        if isinstance(verified, Failure):
            side.failure = verified
            return
        side.figures |= verified
        warm = warm_up(worker, budget_s=warm_s, clock=setup.clock)
        side.contender.latency_s = warm.latency_s
    except TrialFailed as error:
        side.failure = Failure.of(error)


def _measure(setup: Setup, sides: Mapping[str, _Side], *, budget_s: float) -> Comparison:
    workers, watch = {name: side.ready.worker for name, side in sides.items()}, NoiseWatch()
    start_s, (latency_share, rate_share) = setup.clock(), _shares(setup)
    pace = Pace(
        latency_s=max(side.ready.latency_s for side in sides.values()),
        budget_s=latency_share * budget_s,
        clock=setup.clock,
        seed=setup.seed,
    )
    results = _latencies(setup, workers, pace=pace)
    left_s = (latency_share + HEATS_SHARE) * budget_s - (setup.clock() - start_s)
    for name, result in results.items():
        sides[name].blocks = result.blocks
        sides[name].figures |= result.figures
    throughput_pace = replace(pace, budget_s=rate_share * budget_s)
    times = throughput_run(workers, traffic=setup.need.traffic, pace=throughput_pace)
    for name, side in sides.items():
        side.figures["throughput"] = throughput_figure(times[name], traffic=setup.need.traffic)
        energy_s = min(ENERGY_SHARE * budget_s, ENERGY_MOST_S)
        side.figures["energy"] = _energy(setup, name, side, seconds=energy_s)
        side.figures |= _derived(setup, side)
    blocks = {name: result.blocks for name, result in results.items()}
    if setup.need.objective == "throughput":
        blocks = {name: tuple((t,) for t in seen) for name, seen in times.items()}
    pace = replace(pace, budget_s=max(0.0, left_s))
    return _compared(setup, sides, blocks, pace=pace, watch=watch)


def _shares(setup: Setup) -> tuple[float, float]:
    """Of the budget, for latencies and for throughput: most for what decides."""
    if setup.need.objective == "throughput" and not latency_bounds(setup):
        return THROUGHPUT_SHARE, LATENCY_SHARE
    return LATENCY_SHARE, THROUGHPUT_SHARE


def _derived(setup: Setup, side: _Side) -> dict[str, Figure]:
    """What follows from the measured figures."""
    figures = physics_figures(
        side.target,
        side.figures,
        device=setup.device,
        facts=side.ready.worker.facts,
        traffic=setup.need.traffic,
    )
    price = setup.need.price_usd_per_s
    return figures | {"cost": cost_figure(side.figures["throughput"], price_usd_per_s=price)}


def _latencies(
    setup: Setup, workers: Mapping[str, Worker], *, pace: Pace
) -> dict[str, LatencyResult]:
    traffic = setup.need.traffic
    run = partial(
        percentile_run,
        workers,
        judged=ARTEFACT,
        percentile=setup.need.percentile,
        bounds=latency_bounds(setup),
        pace=pace,
    )
    if traffic.scenario != "server":
        return run(block=latency_block_under(traffic))
    block = ServerBlock(traffic, seed=setup.seed)
    results = run(block=block, length_s=server_block_s(traffic, budget_s=pace.budget_s))
    return {
        name: _unbounded(result, traffic) if block.overloaded(workers[name]) else result
        for name, result in results.items()
    }


def latency_bounds(setup: Setup) -> dict[int, float]:
    """The contract's latency limits by percent."""
    prefix = "latency_p"
    return {
        int(limit.figure.removeprefix(prefix)): limit.bound
        for limit in setup.need.limits
        if limit.figure.startswith(prefix)
    }


def _unbounded(result: LatencyResult, traffic: Traffic) -> LatencyResult:
    """Latencies of a queue that grows as long as traffic lasts: no upper end."""
    why = f"overloaded: at {traffic.rate_per_s:g} queries/s the backlog grows without end"
    figures = {
        name: Figure.unavailable(f"{why}; {figure.source}", unit=figure.unit)
        if figure.value is None
        else figure.model_copy(update={"high": inf, "source": f"{why}; {figure.source}"})
        for name, figure in result.figures.items()
    }
    return replace(result, figures=figures)


def _energy(setup: Setup, name: str, side: _Side, *, seconds: float) -> Figure:
    try:
        return energy_figure(
            side.ready.worker,
            meter=setup.meter,
            device=setup.device,
            traffic=setup.need.traffic,
            seconds=seconds,
            seed=setup.seed,
            latency_s=side.ready.latency_s,
        )
    except TrialFailed as error:
        raise WorkerLost(name, error) from error


def _compared(
    setup: Setup,
    sides: Mapping[str, _Side],
    blocks: Mapping[str, Blocks],
    *,
    pace: Pace,
    watch: NoiseWatch,
) -> Comparison:
    """Artefact against baseline: the rounds so far, then heats as long as it takes."""
    try:
        ours, theirs = sides[ARTEFACT].ready, sides[BASELINE].ready
        return _raced(setup, ours, theirs, blocks, pace=pace, watch=watch)
    except WorkerLost as lost:
        name = ARTEFACT if lost.name == CANDIDATE else BASELINE
        raise WorkerLost(name, lost.cause) from lost


def _raced(
    setup: Setup,
    ours: Contender,
    theirs: Contender,
    blocks: Mapping[str, Blocks],
    *,
    pace: Pace,
    watch: NoiseWatch,
) -> Comparison:
    """Waiting under server traffic says nothing about two candidates that the load would not
    decide, so there they are raced from the start, one query at a time."""
    again = partial(
        race_on,
        list(zip(blocks[ARTEFACT], blocks[BASELINE], strict=True)),
        opening_s=ours.worker.load_s + theirs.worker.load_s,
    )
    if setup.need.traffic.scenario == "server" and setup.need.objective != "throughput":
        again = partial(race, ours.worker, theirs.worker)
    return again(
        incumbent_name=theirs.target.candidate.key,
        pace=pace,
        block=objective_block(setup),
        fresh=fresh_pair(setup, ours, theirs),
        floor=setup.floor,
        watch=watch,
    ).comparison

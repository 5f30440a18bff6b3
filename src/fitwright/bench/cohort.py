"""Several candidates at once against the incumbent: the slower half leaves, rung by rung.

Successive halving (Jamieson & Talwalkar, AISTATS 2016) on paired rounds: every round holds
one block of each candidate still in and one of the incumbent, so what is compared was
measured in the same moments. Elimination costs an opportunity at worst and claims nothing:
who is left is measured in full, on its own, before anything is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import log
from statistics import median

from fitwright.bench.block import Block, Pace, WorkerLost, interleaved
from fitwright.bench.glance import glanced
from fitwright.bench.latency import latency_figures, thinned
from fitwright.bench.opening import open_worker, static_figures
from fitwright.bench.race import INCUMBENT, classify, compared
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.statistics import FEWEST_PAIRS, median_ratio_interval
from fitwright.bench.verify import examine
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.ports import Worker
from fitwright.records.figure import Figure
from fitwright.records.trial import Failure

WARM_SHARE = 0.2


@dataclass(kw_only=True)
class _Entrant:
    target: Target
    worker: Worker
    latency_s: float
    figures: dict[str, Figure]
    started_s: float
    blocks: list[tuple[float, ...]] = field(default_factory=list)
    log_ratios: list[float] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.target.candidate.key

    def standing(self) -> float:
        return median(self.log_ratios) if self.log_ratios else 0.0

    def is_slower(self) -> bool:
        if len(self.log_ratios) < FEWEST_PAIRS:
            return False
        return classify(median_ratio_interval(self.log_ratios)[1]) == "slower"


Leave = Callable[[str, Measurement], None]
"""Told of each candidate that leaves, by key, with what was measured of it."""


def eliminate(
    setup: Setup,
    targets: Sequence[Target],
    *,
    incumbent: Contender,
    budget_s: float,
    block: Block,
    leave: Leave,
) -> str | None:
    """Run the cohort until one candidate is left, or none.

    Args:
        incumbent: open and warm; it stays so.
        budget_s: for the rounds; opening, verifying and warming come on top.
        block: what candidates are compared by.
        leave: called as soon as a candidate has left, so that what is known of it is kept
            whatever becomes of the others.

    Returns:
        Key of the candidate worth a race of its own; None when the incumbent was faster than
        all of them.

    Raises:
        TrialFailed: the incumbent died.
    """
    inside: dict[str, _Entrant] = {}
    try:
        for target in targets:
            each_s = budget_s / len(targets)
            entered = _entered(setup, target, incumbent, budget_s=each_s, block=block)
            if isinstance(entered, Measurement):
                leave(target.candidate.key, entered)
            else:
                inside[entered.key] = entered
        return _rungs(setup, inside, leave, incumbent, budget_s=budget_s, block=block)
    finally:
        for entrant in inside.values():
            entrant.worker.close()


def _entered(
    setup: Setup, target: Target, incumbent: Contender, *, budget_s: float, block: Block
) -> _Entrant | Measurement:
    """Open, the same model and warm; else what is known of it."""
    started_s = setup.clock()
    keep = False
    try:
        worker = open_worker(setup, target)
    except TrialFailed as error:
        return Measurement(failure=Failure.of(error), seconds=setup.clock() - started_s)
    try:
        examined = examine(setup, worker, budget_s=budget_s, screen=True)
        if isinstance(examined, Failure):
            examined = glanced(
                setup, worker, examined, incumbent=incumbent, budget_s=budget_s, block=block
            )
            return Measurement(failure=examined, seconds=setup.clock() - started_s)
        warm = warm_up(worker, budget_s=WARM_SHARE * budget_s, clock=setup.clock)
        keep = True
    except TrialFailed as error:
        return Measurement(failure=Failure.of(error), seconds=setup.clock() - started_s)
    finally:
        if not keep:
            worker.close()
    return _Entrant(
        target=target,
        worker=worker,
        latency_s=warm.latency_s,
        figures=examined | static_figures(target, worker),
        started_s=started_s,
    )


def _rungs(
    setup: Setup,
    inside: dict[str, _Entrant],
    leave: Leave,
    incumbent: Contender,
    *,
    budget_s: float,
    block: Block,
) -> str | None:
    end, num_rounds = setup.clock() + budget_s, FEWEST_PAIRS
    while inside:
        _run(setup, inside, leave, incumbent, num_rounds=num_rounds, end=end, block=block)
        ranked = sorted(inside.values(), key=lambda e: -e.standing())
        kept = [e for e in ranked[: max(1, len(ranked) // 2)] if not e.is_slower()]
        for entrant in ranked:
            if entrant not in kept:
                measured = _left(setup, entrant, incumbent)
                inside.pop(entrant.key).worker.close()
                leave(entrant.key, measured)
        if len(inside) == 1:
            return next(iter(inside))
        num_rounds *= 2
    return None


def _run(
    setup: Setup,
    inside: dict[str, _Entrant],
    leave: Leave,
    incumbent: Contender,
    *,
    num_rounds: int,
    end: float,
    block: Block,
) -> None:
    """So many rounds of everyone still in; who dies leaves with its cause."""
    num_left = num_rounds
    while inside and num_left:
        pace = _pace(setup, inside, incumbent, left_s=end - setup.clock())
        workers = {key: e.worker for key, e in inside.items()} | {INCUMBENT: incumbent.worker}
        rounds = interleaved(workers, block, seconds=pace.block_s)
        try:
            for times in islice(rounds, num_left):
                _note(inside, times)
                num_left -= 1
                if setup.clock() >= end:
                    return
        except WorkerLost as lost:
            if lost.name == INCUMBENT:
                raise lost.cause from lost
            inside.pop(lost.name).worker.close()
            leave(lost.name, Measurement(failure=Failure.of(lost.cause)))


def _note(inside: Mapping[str, _Entrant], times: Mapping[str, Sequence[float]]) -> None:
    theirs = median(times[INCUMBENT])
    for key, entrant in inside.items():
        entrant.blocks.append(tuple(times[key]))
        entrant.log_ratios.append(log(theirs / median(times[key])))


def _pace(
    setup: Setup, inside: Mapping[str, _Entrant], incumbent: Contender, *, left_s: float
) -> Pace:
    """Blocks so short that the first rung fits, whatever the number of entrants."""
    slowest_s = max(incumbent.latency_s, *(e.latency_s for e in inside.values()))
    per_pair_s = max(left_s, 0.0) * 2 / (len(inside) + 1)
    return Pace(latency_s=slowest_s, budget_s=per_pair_s, clock=setup.clock, seed=setup.seed)


def _left(setup: Setup, entrant: _Entrant, incumbent: Contender) -> Measurement:
    comparison = None
    if entrant.log_ratios:
        comparison = compared(entrant.log_ratios, incumbent.target.candidate.key)
    timed = setup.need.objective != "throughput"
    return Measurement(
        figures=entrant.figures
        | (latency_figures(entrant.blocks, seed=setup.seed) if timed else {}),
        comparison=comparison,
        facts=dict(entrant.worker.facts),
        latencies_s=thinned(entrant.blocks) if timed else (),
        seconds=setup.clock() - entrant.started_s,
    )

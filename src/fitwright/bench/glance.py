"""How fast a candidate would be whose outputs are too far from the original's.

A mix of it that keeps some layers in floating point may be near enough; whether that is worth
looking for hangs on the time it would save.
"""

from __future__ import annotations

from itertools import islice
from math import log
from statistics import median

from fitwright.bench.block import Block, Pace, WorkerLost, interleaved
from fitwright.bench.race import CANDIDATE, INCUMBENT, compared
from fitwright.bench.setup import Contender, Setup
from fitwright.bench.statistics import FEWEST_PAIRS
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.ports import Worker
from fitwright.records.trial import Comparison, Failure

REACH = 3.0  # times what is allowed: of what lies further, little could stay in int8
SHARE = 0.2  # of the time for a candidate, at most


def glanced(
    setup: Setup,
    worker: Worker,
    failure: Failure,
    *,
    incumbent: Contender | None,
    budget_s: float,
    block: Block,
) -> Failure:
    """The failure, with a few rounds against the best so far where it says by how much.

    Args:
        worker: fed; it answered every query, wrongly.
        incumbent: open and warm; None: there is nothing to compare with.
        budget_s: for measuring the candidate; a share of it is spent here.
        block: what candidates are compared by.
    """
    if incumbent is None or not _is_near(failure):
        return failure
    try:
        seen = _compared(setup, worker, incumbent, budget_s=SHARE * budget_s, block=block)
    except (TrialFailed, WorkerLost):
        return failure  # it failed before, and a dead incumbent is found by the next race
    return failure.model_copy(update={"glance": seen})


def _is_near(failure: Failure) -> bool:
    excess = failure.excess
    return failure.cause == "disagrees" and excess is not None and excess <= REACH


def _compared(
    setup: Setup, worker: Worker, incumbent: Contender, *, budget_s: float, block: Block
) -> Comparison:
    warm = warm_up(worker, budget_s=budget_s / 2, clock=setup.clock)
    slower_s = max(warm.latency_s, incumbent.latency_s)
    pace = Pace(latency_s=slower_s, budget_s=budget_s, clock=setup.clock, seed=setup.seed)
    pair = {CANDIDATE: worker, INCUMBENT: incumbent.worker}
    rounds = list(islice(interleaved(pair, block, seconds=pace.block_s), FEWEST_PAIRS))
    return compared(
        [log(median(times[INCUMBENT]) / median(times[CANDIDATE])) for times in rounds],
        incumbent.target.candidate.key,
    )

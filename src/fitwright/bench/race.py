"""Two workers in turn, block by block, until one is shown to be faster."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Literal

from fitwright.bench.block import Block, block_s, latency_block
from fitwright.bench.statistics import LEVEL, Interval, median_ratio_interval, spent_alpha
from fitwright.errors import TrialFailed
from fitwright.ports import Clock, Worker
from fitwright.records.trial import Comparison

SAME = 0.01
FIRST_LOOK = 6
FAST_RUN_S = 0.05

Outcome = Literal["faster", "slower", "same", "undecided"]


class IncumbentLost(Exception):
    """The incumbent's child died; the candidate is not to blame."""

    def __init__(self, cause: TrialFailed) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """How it ended, and every time seen (seconds per query)."""

    comparison: Comparison
    candidate_s: tuple[float, ...]
    incumbent_s: tuple[float, ...]


def race(
    candidate: Worker,
    incumbent: Worker,
    *,
    incumbent_name: str,
    latency_s: float,
    budget_s: float,
    seed: int,
    clock: Clock,
    block: Block = latency_block,
) -> RaceResult:
    """Candidate against incumbent in interleaved blocks; both warm, both fed.

    A round is one block of each; which goes first alternates (A B, B A, …), so a drift of
    the machine falls on both. Each round gives one log-ratio of block medians.

    The rounds are looked at after 6, 7, 9, 11, … of them (a quarter more each time), and
    the race ends at a look whose interval decides. Looking often would make false winners:
    look k uses level 1 - 0.05 / (k (k + 1)) (`statistics.spent_alpha`), so the chance that
    any look is wrong stays below 5 %. A loser is dropped at the plain 95 % level instead,
    since losing by mistake costs an opportunity and claims nothing. The interval returned
    is the deciding one.

    Args:
        latency_s: time of one query of the slower of both; sets the length of a block.
        block: what is compared; lower is better.

    Raises:
        TrialFailed: the candidate's child died.
        IncumbentLost: the incumbent's child died.
    """
    end = clock() + budget_s
    length_s = block_s(latency_s, budget_s=budget_s)
    min_runs = 3 if latency_s < FAST_RUN_S else 1
    candidate_first = random.Random(seed).random() < 0.5
    rounds: list[tuple[Sequence[float], Sequence[float]]] = []
    next_look, look = FIRST_LOOK, 0
    outcome: Outcome = "undecided"
    while outcome == "undecided" and (clock() < end or not rounds):
        first = candidate_first == (len(rounds) % 2 == 0)
        rounds.append(_round(candidate, incumbent, block, length_s, min_runs, first))
        if len(rounds) >= next_look:
            look += 1
            outcome = _look(_log_ratios(rounds), look)
            next_look = max(next_look + 1, next_look * 5 // 4)
    return RaceResult(
        comparison=_comparison(
            _log_ratios(rounds), incumbent_name, look + (outcome == "undecided")
        ),
        candidate_s=tuple(t for ours, _ in rounds for t in ours),
        incumbent_s=tuple(t for _, theirs in rounds for t in theirs),
    )


def _round(
    candidate: Worker,
    incumbent: Worker,
    block: Block,
    length_s: float,
    min_runs: int,
    candidate_first: bool,
) -> tuple[Sequence[float], Sequence[float]]:
    if candidate_first:
        ours = block(candidate, seconds=length_s, min_runs=min_runs)
        return ours, _incumbent_block(incumbent, block, length_s, min_runs)
    theirs = _incumbent_block(incumbent, block, length_s, min_runs)
    return block(candidate, seconds=length_s, min_runs=min_runs), theirs


def _incumbent_block(
    incumbent: Worker, block: Block, length_s: float, min_runs: int
) -> Sequence[float]:
    try:
        return block(incumbent, seconds=length_s, min_runs=min_runs)
    except TrialFailed as error:
        raise IncumbentLost(error) from error


def _log_ratios(rounds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[float]:
    return [log(median(theirs) / median(ours)) for ours, theirs in rounds]


def classify(interval: Interval) -> Outcome:
    """What an interval of the ratio says: above 1 faster, below 1 slower, within ±1 % same."""
    if interval.low >= 1 - SAME and interval.high <= 1 + SAME:
        return "same"
    if interval.low > 1:
        return "faster"
    return "slower" if interval.high < 1 else "undecided"


def _look(log_ratios: list[float], look: int) -> Outcome:
    strict = classify(median_ratio_interval(log_ratios, level=1 - spent_alpha(look))[1])
    if strict != "undecided":
        return strict
    plain = classify(median_ratio_interval(log_ratios)[1])
    return plain if plain == "slower" else "undecided"


def _comparison(log_ratios: list[float], incumbent: str, look: int) -> Comparison:
    ratio, strict = median_ratio_interval(log_ratios, level=1 - spent_alpha(look))
    _, plain = median_ratio_interval(log_ratios, level=LEVEL)
    dropped = classify(strict) == "undecided" and classify(plain) == "slower"
    return compared(log_ratios, incumbent, plain if dropped else strict, ratio)


def compared(
    log_ratios: Sequence[float], incumbent: str, interval: Interval, ratio: float
) -> Comparison:
    """The record of a finished comparison."""
    return Comparison(
        incumbent=incumbent,
        ratio=ratio,
        low=interval.low,
        high=interval.high,
        num_rounds=len(log_ratios),
        outcome=classify(interval),
    )

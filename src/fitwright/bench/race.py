"""Two workers in turn, block by block, until one is shown to be faster."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Literal

from fitwright.bench.block import Block, Pace, interleaved, latency_block
from fitwright.bench.statistics import LEVEL, Interval, Looks, median_ratio_interval, spent_alpha
from fitwright.ports import Worker
from fitwright.records.trial import Comparison

SAME = 0.01
FIRST_DROP = 6
FIRST_LOOK = 7
FAST_RUN_S = 0.05
CANDIDATE, INCUMBENT = "candidate", "incumbent"

Outcome = Literal["faster", "slower", "same", "undecided"]


Blocks = tuple[tuple[float, ...], ...]
Round = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class RaceResult:
    """How it ended, and every time seen, block by block (seconds per query)."""

    comparison: Comparison
    candidate_blocks: Blocks
    incumbent_blocks: Blocks


def race(
    candidate: Worker,
    incumbent: Worker,
    *,
    incumbent_name: str,
    pace: Pace,
    block: Block = latency_block,
) -> RaceResult:
    """Candidate against incumbent in interleaved blocks; both warm, both fed.

    A round is one block of each and gives one log-ratio of block medians. The race ends at
    the first look (after 7, 8, 10, 12, 15, … rounds) whose interval decides. Looking often
    makes false winners, so look k uses level 1 - 0.05 / (k (k + 1)) (`spent_alpha`): the
    chance that any look errs stays below 5 %. A loser is dropped at the plain 95 % level,
    from 6 rounds on: that costs an opportunity at worst and claims nothing.

    Raises:
        WorkerLost: a child died, named CANDIDATE or INCUMBENT.
    """
    end = pace.clock() + pace.budget_s
    rounds: list[Round] = []
    looks = Looks(first=FIRST_LOOK)
    outcome: Outcome = "undecided"
    for times in _interleaved_pair(candidate, incumbent, pace=pace, block=block):
        rounds.append((tuple(times[CANDIDATE]), tuple(times[INCUMBENT])))
        if looks.due(len(rounds)) or len(rounds) == FIRST_DROP:
            outcome = _look(_log_ratios(rounds), looks.number)
        if outcome != "undecided" or pace.clock() >= end:
            break
    look = looks.number + (outcome == "undecided")
    return RaceResult(
        comparison=_comparison(_log_ratios(rounds), incumbent_name, look),
        candidate_blocks=tuple(ours for ours, _ in rounds),
        incumbent_blocks=tuple(theirs for _, theirs in rounds),
    )


def _interleaved_pair(
    candidate: Worker, incumbent: Worker, *, pace: Pace, block: Block
) -> Iterator[dict[str, Sequence[float]]]:
    return interleaved(
        {CANDIDATE: candidate, INCUMBENT: incumbent},
        block,
        seconds=pace.block_s,
        min_runs=3 if pace.latency_s < FAST_RUN_S else 1,
        forward=random.Random(pace.seed).random() < 0.5,
    )


def _log_ratios(rounds: Sequence[Round]) -> list[float]:
    return [log(median(theirs) / median(ours)) for ours, theirs in rounds]


def classify(interval: Interval) -> Outcome:
    """What an interval of the ratio says: above 1 faster, below 1 slower, within ±1 % same."""
    if interval.low >= 1 - SAME and interval.high <= 1 + SAME:
        return "same"
    if interval.low > 1:
        return "faster"
    return "slower" if interval.high < 1 else "undecided"


def _look(log_ratios: list[float], look: int) -> Outcome:
    """What this look says; look 0 may only drop a loser."""
    plain = classify(median_ratio_interval(log_ratios)[1])
    if plain == "slower" or not look:
        return plain if plain == "slower" else "undecided"
    return classify(median_ratio_interval(log_ratios, level=1 - spent_alpha(look))[1])


def _comparison(log_ratios: list[float], incumbent: str, look: int) -> Comparison:
    """With the interval that decided: the plain one where it drops a loser."""
    ratio, interval = median_ratio_interval(log_ratios, level=LEVEL)
    if classify(interval) != "slower":
        _, interval = median_ratio_interval(log_ratios, level=1 - spent_alpha(look))
    return compared(log_ratios, incumbent, interval, ratio)


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

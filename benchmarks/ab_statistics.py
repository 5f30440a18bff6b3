"""What should be taken of a heat's rounds? Several statistics against a truth that is known.

Of the rounds that `ab_power.py` measured anyway, so that all of them see the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fitwright.bench.statistics import Floats

NUM_ROUNDS = 9  # the fewest after which a first heat is looked at
FAST, FEWEST = 1.35, 4

Round = tuple[float, float]
"""Median time of the candidate's block and of the incumbent's, in seconds."""

Statistic = Callable[[Floats, Floats], float]
"""From the log-ratios of the rounds and from the logs of the products of both times."""


def of_all(ratios: Floats, sums: Floats) -> float:  # noqa: ARG001
    """What `fitwright.bench.heats.heat_of` takes: the median."""
    return float(np.median(ratios))


def of_each(ratios: Floats, sums: Floats) -> float:  # noqa: ARG001
    """The plain mean."""
    return float(np.mean(ratios))


def of_fast(ratios: Floats, sums: Floats) -> float:
    """Mean of the middle half of the fast rounds; what was taken until 2026-11-30."""
    bound = max(sums.min() + math.log(FAST), np.sort(sums)[FEWEST - 1])
    fast = np.sort(ratios[sums <= bound])
    return float(np.mean(fast[len(fast) // 4 : len(fast) - len(fast) // 4]))


STATISTICS: dict[str, Statistic] = {
    "median of all rounds (what a race takes)": of_all,
    "mean of all rounds": of_each,
    f"middle half of the rounds within {FAST:g} of the fastest": of_fast,
}


def error(statistic: Statistic, rounds: Sequence[Round], *, truth: float) -> float:
    """Log of what the first rounds say over the true ratio."""
    logs = np.log(np.asarray(rounds[:NUM_ROUNDS], np.float64))
    return statistic(logs[:, 1] - logs[:, 0], logs.sum(axis=1)) - math.log(truth)


def statistics_table(races: Sequence[tuple[Sequence[Round], float]]) -> list[str]:
    """How far from the truth the first rounds of a race are, in lines of Markdown.

    Args:
        races: rounds of each, and the true ratio.
    """
    told = [(rounds, truth) for rounds, truth in races if len(rounds) >= NUM_ROUNDS]
    if not told:
        return []
    lines = [
        "",
        f"What the first {NUM_ROUNDS} rounds of {len(told)} of these races say, against the truth:",
        "",
        "| one ratio from them | root mean square error | 9 of 10 within |",
        "|---|---|---|",
    ]
    for name, statistic in STATISTICS.items():
        off = np.abs([error(statistic, rounds, truth=truth) for rounds, truth in told])
        rms, most = float(np.sqrt(np.mean(off**2))), float(np.quantile(off, 0.9))
        lines.append(f"| {name} | {100 * rms:.1f} % | {100 * most:.1f} % |")
    return lines

"""What should be taken of a heat's rounds? Several statistics against a truth that is known.

Of the rounds that `ab_power.py` measured anyway, so that all of them see the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fitwright.bench.statistics import Floats

NUM_ROUNDS = (9, 16)  # the first look at a heat, and a noisy heat or two
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


def errors(
    statistic: Statistic, races: Sequence[tuple[Sequence[Round], float]], *, num: int
) -> Floats:
    """Of each race, the logarithm of what its first `num` rounds say over the true ratio; size."""
    found = []
    for rounds, truth in races:
        logs = np.log(np.asarray(rounds[:num], np.float64))
        told = statistic(logs[:, 1] - logs[:, 0], logs.sum(axis=1))
        found.append(abs(told - math.log(truth)))
    return np.array(found)


def statistics_table(races: Sequence[tuple[Sequence[Round], float]]) -> list[str]:
    """How far from the truth the first rounds of a race are, in lines of Markdown.

    Args:
        races: rounds of each, and the true ratio; those of too few rounds are left out.
    """
    told = [(rounds, truth) for rounds, truth in races if len(rounds) >= max(NUM_ROUNDS)]
    if not told:
        return []
    heads = "".join(f" {n} rounds: root mean square | 9 of 10 within |" for n in NUM_ROUNDS)
    lines = ["", f"How far off are the first rounds of {len(told)} of these races?", ""]
    lines += [f"| one ratio from them |{heads}", "|---|" + "---|" * 2 * len(NUM_ROUNDS)]
    for name, statistic in STATISTICS.items():
        cells = []
        for num in NUM_ROUNDS:
            off = errors(statistic, told, num=num)
            cells += [float(np.sqrt(np.mean(off**2))), float(np.quantile(off, 0.9))]
        lines.append(f"| {name} | " + " | ".join(f"{100 * c:.1f} %" for c in cells) + " |")
    return lines

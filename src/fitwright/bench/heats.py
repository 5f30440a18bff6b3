"""The arithmetic of heats: what several pairs of processes say together.

A process keeps a speed of its own for as long as it lives: the physical pages behind its
weights fall into caches and translation tables as luck has it, and two processes of the same
file differ by 1 to 4 %. More rounds in the same two processes never average that away, so a
race runs in **heats**, each with fresh processes, and the spread between heats counts.

Sources:
    Birge, Phys. Rev. 40 (1932): an interval scaled by the spread that was seen.
    Hartung & Knapp, Statistics in Medicine 20 (2001): the same with Student's t, for few
        groups of unequal precision; a bootstrap of few heats would be too narrow.
    Pocock, Biometrika 64 (1977): the same level at each of a bounded number of looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from fitwright.bench.statistics import Floats, Interval, Looks, student_quantile

PRIOR_SPREAD = 0.025  # between processes of one file; 0.020 to 0.024 seen, see docs
PRIOR_WEIGHT = 4.0  # as many heats' worth of certainty
MOST_WEIGHT = 12.0  # what other candidates have shown never says more than that
ORDER_SPREAD = 0.015  # by what the process opened first may be slower or faster on average
LEAST_SPREAD = 0.01  # nor can it lower the floor below this for the next candidate
LOOK_LEVEL = 0.995  # of each look after a heat; 2 % together one-sided, see test_level.py
MOST_HEATS = 60  # beyond that, a difference counts as hopeless
FEWEST_TO_LEARN = 3
NUM_RESAMPLES = 200

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Heat:
    """What one pair of processes says.

    Attributes:
        log_ratio: of the incumbent's time over the candidate's.
        variance: of `log_ratio` between rounds, from resampled rounds; what differs between
            pairs of processes is not in it.
        candidate_first: which of the two was opened first.
    """

    log_ratio: float
    variance: float
    num_rounds: int
    candidate_first: bool


def heat_of(times_s: Sequence[Pair], *, candidate_first: bool, seed: int) -> Heat:
    """From the (candidate's, incumbent's) time of each round.

    The median of the rounds' log-ratios. Shared machines have two speeds or more and change
    between them within a second, so that now and then one side meets the fast machine and
    the other the slow one: such a round is off by the whole step, to either side alike. To
    choose the fast rounds instead would leave few of them where the machine is slow most of
    the time, and among those few the mixed ones (docs/benchmarks.md, "Races under noise").
    """
    logs = np.log(np.asarray(times_s, np.float64))
    ratios = logs[:, 1] - logs[:, 0]
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (NUM_RESAMPLES, len(ratios)))
    return Heat(
        log_ratio=float(np.median(ratios)),
        variance=_variance(np.median(ratios[drawn], axis=1)),
        num_rounds=len(ratios),
        candidate_first=candidate_first,
    )


def _variance(resampled: Floats) -> float:
    """From the middle 90 %: now and then a resample holds hardly any usual round."""
    low, high = np.quantile(resampled, [0.05, 0.95])
    return float((high - low) / (2 * NormalDist().inv_cdf(0.95))) ** 2


class Floor:
    """The spread between processes of one candidate, learned from the heats of a run.

    Starts from a cautious prior. Every race of several heats adds to it, because its heats
    repeat the same comparison in fresh processes.

    Attributes:
        spread: standard deviation of one process's log time.
        weight: of that knowledge, in degrees of freedom.
    """

    def __init__(self, spread: float = PRIOR_SPREAD, *, weight: float = PRIOR_WEIGHT) -> None:
        self._sum = weight * 2 * spread**2
        self._weight = weight

    @property
    def spread(self) -> float:
        """Of one process; `LEAST_SPREAD` at least."""
        return max(LEAST_SPREAD, math.sqrt(self._sum / self._weight / 2))

    @property
    def weight(self) -> float:
        """Degrees of freedom, bounded: the next candidate may be of another kind."""
        return min(MOST_WEIGHT, self._weight)

    @property
    def pair_variance(self) -> float:
        """Of the log-ratio of two processes."""
        return 2 * self.spread**2

    def learn(self, heats: Sequence[Heat]) -> None:
        """From the heats of one race; those noisier inside than the floor tell nothing."""
        told = [h for h in heats if h.variance <= self.pair_variance]
        if len(told) < FEWEST_TO_LEARN:
            return
        gaps = _fitted(told, self).gaps
        degrees = len(told) - 2  # the ratio and the effect of the order are fitted
        inside = float(np.mean([h.variance for h in told]))
        self._sum += max(0.0, float(np.sum(gaps**2)) - degrees * inside)
        self._weight += degrees


def combined(heats: Sequence[Heat], floor: Floor, *, level: float) -> tuple[float, Interval]:
    """Ratio and interval from all heats, spread between processes included.

    Each heat weighs by what is known of its variance: the floor's and its own. What comes
    of the order of opening is fitted and taken out. The interval is scaled by the spread
    actually seen between heats, together with the floor's word (Birge's ratio), and uses
    Student's t with as many degrees of freedom as both have.
    """
    fit = _fitted(heats, floor)
    reach = student_quantile((1 + level) / 2, fit.degrees) * fit.error
    return math.exp(fit.centre), Interval(
        math.exp(fit.centre - reach), math.exp(fit.centre + reach)
    )


class _Fit(NamedTuple):
    """Log-ratio, its standard error and degrees of freedom; what is left of each heat."""

    centre: float
    error: float
    degrees: float
    gaps: Floats


def _fitted(heats: Sequence[Heat], floor: Floor) -> _Fit:
    """Weighted least squares for the ratio and the effect of who was opened first.

    That effect is small and drawn towards none, as by one more observation of 0 with
    spread `ORDER_SPREAD`; so a single heat carries its doubt, and many cancel it.
    """
    values = np.array([h.log_ratio for h in heats])
    signs = np.array([1.0 if h.candidate_first else -1.0 for h in heats])
    weights = 1 / np.array([floor.pair_variance + h.variance for h in heats])
    design = np.stack([np.ones_like(signs), signs])
    covariance = np.linalg.inv((design * weights) @ design.T + np.diag([0, ORDER_SPREAD**-2]))
    centre, order = covariance @ (design * weights) @ values
    gaps = values - centre - order * signs
    spread = float(np.sum(weights * gaps**2)) + (float(order) / ORDER_SPREAD) ** 2
    degrees = floor.weight + len(heats) - 1
    scale = (floor.weight + spread) / degrees
    return _Fit(float(centre), math.sqrt(scale * covariance[0, 0]), degrees, gaps)


def num_heats_to_decide(
    heats: Sequence[Heat], floor: Floor, *, same: float, log_ratio: float | None = None
) -> int | None:
    """After how many heats like these the ratio would be known, or known to be `same`.

    Args:
        same: largest log-ratio that counts as no difference.
        log_ratio: if this were the true one; None: as it looks now.

    Returns:
        None when it would take more than `MOST_HEATS`.
    """
    fit = _fitted(heats, floor)
    centre = abs(fit.centre if log_ratio is None else log_ratio)
    one_heat, gap = fit.error * math.sqrt(len(heats)), max(centre, same - centre)
    looks = Looks(first=1)
    for num in range(1, MOST_HEATS + 1):
        if not looks.due(num) or num <= len(heats):
            continue
        reach = student_quantile((1 + LOOK_LEVEL) / 2, fit.degrees + num - len(heats))
        if reach * one_heat / math.sqrt(num) < gap:
            return num
    return None

"""Estimates with intervals: order statistics where they are exact, bootstrap elsewhere.

Everything random takes a seed: the same input gives the same answer.

Sources:
    David & Nagaraja, Order Statistics, 3rd ed. 2003, section 7.1: distribution-free
        interval of a quantile from the binomial distribution.
    Woodruff, JASA 47 (1952): the same for clustered samples, through the design effect.
    Wilson, JASA 22 (1927): interval of a share.
    Tango, Statistics in Medicine 17 (1998): interval of the difference of paired shares;
        unlike the bootstrap it does not shrink to nothing when no pair differs.
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.95
MIN_BLOCKS_FOR_DESIGN_EFFECT = 8
MAX_BOOTSTRAP = 2000
NUM_DRAWS = 1000
NUM_ANGLES = 4001


class Interval(NamedTuple):
    """Both ends belong to it; an end nothing is known about is infinite."""

    low: float
    high: float


def percentile(values: Sequence[float] | Floats, percent: int) -> float:
    """Nearest-rank percentile; whole percents, so no rounding picks the wrong run."""
    if len(values) == 0:
        raise ValueError("a percentile needs at least one value")
    if not 1 <= percent <= 100:
        raise ValueError(f"percent must lie in 1..100, got {percent}")
    rank = -(-percent * len(values) // 100)
    return float(np.partition(np.asarray(values, np.float64), rank - 1)[rank - 1])


def num_samples_for_point(percent: int) -> int:
    """From how many samples on the percentile is not simply the largest of them."""
    return -(-100 // (100 - percent))


def num_samples_for(percent: int, *, level: float = LEVEL) -> int:
    """Smallest sample whose largest value bounds the percentile from above.

    All n samples lie below the p-quantile with chance p**n; that must not exceed half of
    1 - level. 368 samples for p99 at 95 %.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(percent / 100))


FEWEST_PAIRS = num_samples_for(50)
"""Fewer give no 95 % interval of their median: six."""


def percentile_interval(
    values: Sequence[float] | Floats,
    percent: int,
    *,
    level: float = LEVEL,
    design_effect: float = 1.0,
) -> Interval:
    """Interval of a percentile between two order statistics.

    Exact and distribution-free for independent samples; clustered samples count as
    n / design_effect of them. An end that no order statistic can give is infinite.
    """
    if not 1 <= percent <= 99:
        raise ValueError(f"percent must lie in 1..99, got {percent}")
    ordered = np.sort(np.asarray(values, np.float64))
    estimate = percentile(ordered, percent)
    num_effective = max(1, math.floor(len(ordered) / max(1.0, design_effect)))
    low_rank, high_rank = _ranks(num_effective, percent / 100, 1 - level)
    scale = len(ordered) / num_effective
    low = ordered[max(0, math.floor(low_rank * scale) - 1)] if low_rank >= 1 else -math.inf
    high = (
        ordered[min(len(ordered), math.ceil(high_rank * scale)) - 1]
        if high_rank <= num_effective
        else math.inf
    )
    return Interval(min(float(low), estimate), max(float(high), estimate))


def _ranks(num: int, share: float, alpha: float) -> tuple[int, int]:
    """Ranks l, u with P(l <= Binomial(num, share) <= u - 1) at least 1 - alpha."""
    below = _binomial_cdf(num, share)
    low = int(np.searchsorted(below, alpha / 2, side="right"))
    high = int(np.searchsorted(below, 1 - alpha / 2 - 1e-12, side="left")) + 1
    return low, high


def _binomial_cdf(num: int, share: float) -> Floats:
    """P(X <= k) for k in 0..num, summed in logarithms."""
    k = np.arange(num)
    steps = np.log((num - k) / (k + 1)) + math.log(share / (1 - share))
    log_mass = num * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(np.minimum(np.cumsum(np.exp(log_mass)), 1.0), np.float64)


def design_effect(blocks: Sequence[Sequence[float] | Floats], percent: int) -> float:
    """By how much clustering widens the variance of a percentile's rank; 1 or more.

    Slow runs come in bursts on a shared machine. The variance of the share of values
    above the percentile is estimated between blocks and divided by the binomial one.
    """
    if len(blocks) < MIN_BLOCKS_FOR_DESIGN_EFFECT:
        return 1.0
    sizes = np.array([len(b) for b in blocks], np.float64)
    threshold = percentile(np.concatenate([np.asarray(b) for b in blocks]), percent)
    above = np.array([np.count_nonzero(np.asarray(b) > threshold) for b in blocks])
    num, share = sizes.sum(), above.sum() / sizes.sum()
    if share in (0.0, 1.0):
        return 1.0
    between = float(np.sum((above - sizes * share) ** 2)) * len(blocks) / (len(blocks) - 1)
    return max(1.0, between / float(num * share * (1 - share)))


def bootstrap_interval(
    num: int,
    statistic: Callable[[NDArray[np.intp]], float],
    *,
    seed: int,
    level: float = LEVEL,
    num_resamples: int = NUM_DRAWS,
) -> Interval:
    """Percentile bootstrap of a statistic of resampled indices (0..num-1, with repeats).

    Resamples on which the statistic is NaN (undefined there) are left out; if it is
    undefined on more than half of them, nothing is known.
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(0, num, num)) for _ in range(num_resamples)])
    defined = drawn[~np.isnan(drawn)]
    if 2 * len(defined) < num_resamples:
        return Interval(-math.inf, math.inf)
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(defined, ends, method="inverted_cdf")
    return Interval(float(low), float(high))


def mean_interval(values: Sequence[float] | Floats, *, seed: int, level: float = LEVEL) -> Interval:
    """Interval of the mean; infinite ends for fewer than two values.

    Bootstrap up to 2000 values; beyond, the normal interval, which is the same there.
    """
    array = np.asarray(values, np.float64)
    if len(array) < 2:
        return Interval(-math.inf, math.inf)
    if len(array) > MAX_BOOTSTRAP:
        half = _normal_quantile((1 + level) / 2) * float(array.std(ddof=1)) / len(array) ** 0.5
        return Interval(float(array.mean()) - half, float(array.mean()) + half)
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, len(array), (NUM_DRAWS, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def block_mean_interval(blocks: Sequence[Sequence[float] | Floats], *, seed: int) -> Interval:
    """95 % interval of the mean of all values, resampling whole blocks.

    Sums over counts, so that a block of few slow values does not weigh like one of many.
    """
    sums = np.array([float(np.sum(b)) for b in blocks])
    counts = np.array([len(b) for b in blocks], np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (NUM_DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def share_interval(num_true: int, num: int, *, level: float = LEVEL) -> Interval:
    """Wilson's interval of a share."""
    if num == 0:
        return Interval(0.0, 1.0)
    z = _normal_quantile((1 + level) / 2)
    share = num_true / num
    centre = (share + z * z / (2 * num)) / (1 + z * z / num)
    half = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num)) / (1 + z * z / num)
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def paired_share_interval(
    num_lost: int, num_won: int, num: int, *, level: float = LEVEL
) -> Interval:
    """Tango's score interval of (num_lost - num_won) / num.

    Args:
        num_lost: pairs true before and false after.
        num_won: pairs false before and true after.
        num: all pairs.
    """
    z = _normal_quantile((1 + level) / 2)
    estimate = (num_lost - num_won) / num

    def distance(difference: float) -> float:
        return _tango_score(num_lost, num_won, num, difference)

    low = _bisect(lambda d: distance(d) - z, -1.0, estimate) if estimate > -1 else -1.0
    high = _bisect(lambda d: -z - distance(d), 1.0, estimate) if estimate < 1 else 1.0
    return Interval(low, high)


def _tango_score(lost: int, won: int, num: int, difference: float) -> float:
    """(observed - expected) difference of the pairs in standard errors under `difference`."""
    b = (2 * num - lost + won) * difference - lost - won
    c = -won * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 8 * num * c)) - b) / (4 * num)
    variance = num * (2 * share + difference * (1 - difference))
    gap = lost - won - num * difference
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def _bisect(positive_outside: Callable[[float], float], outside: float, inside: float) -> float:
    """Where the function turns from positive (outside) to negative (inside)."""
    if positive_outside(outside) <= 0:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        if positive_outside(middle) > 0:
            outside = middle
        else:
            inside = middle
    return (outside + inside) / 2


def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share)


def student_quantile(share: float, degrees: float) -> float:
    """Quantile of Student's t; `degrees` of freedom above 1, not only whole ones.

    With t = sqrt(n) tan(a) the density is proportional to cos(a)**(n - 1), which is summed
    here over a fine grid; within 0.1 % of the tables.
    """
    edge = math.pi / 2
    angles = np.linspace(0.0, edge, NUM_ANGLES)
    density = np.cos(angles) ** (degrees - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = float(np.interp(abs(2 * share - 1), mass / mass[-1], angles))
    return math.copysign(math.sqrt(degrees) * math.tan(angle), share - 0.5)


def spent_alpha(look: int, *, alpha: float = 1 - LEVEL) -> float:
    """Error allowed at the look-th look (1, 2, …) so that all looks together keep `alpha`.

    alpha / (k (k + 1)) sums to alpha over all k: a union bound, valid whatever the
    dependence between looks and however many there are (the spending idea of Lan &
    DeMets, Biometrika 70 (1983), with the series of Darling & Robbins, PNAS 58 (1967)).
    """
    return alpha / (look * (look + 1))


class Looks:
    """When a growing sample is looked at: first after `first`, then a quarter more each time.

    Attributes:
        number: of the current look, from 1; see `spent_alpha`.
    """

    def __init__(self, *, first: int) -> None:
        self.number = 0
        self._next = first

    def due(self, size: int) -> bool:
        """Whether now is the next look."""
        if size < self._next:
            return False
        self.number += 1
        self._next = max(size + 1, size * 5 // 4)
        return True


def median_ratio_interval(
    log_ratios: Sequence[float], *, level: float = LEVEL
) -> tuple[float, Interval]:
    """Median of paired ratios and its distribution-free interval, from their logarithms.

    The sign-test interval: exact for independent rounds, and one disturbed round cannot
    move it, which a bootstrap of few rounds does not promise. Fewer than `FEWEST_PAIRS` give
    no 95 % interval: its ends are 0 and infinity.
    """
    ratio = math.exp(float(np.median(np.asarray(log_ratios, np.float64))))
    low, high = percentile_interval(log_ratios, 50, level=level)
    return ratio, Interval(math.exp(low), math.exp(high))

"""How long a query waits when queries arrive at random: the M/D/1 queue.

Poisson arrivals at share `rho` of what one server can serve, every service one unit long.
The tail is exponential: P(wait > w) ~ C exp(-x w), with x > 0 the root of rho (e^x - 1) = x and
C = (1 - rho) / (rho e^x - 1) (Cramer-Lundberg; Asmussen, "Applied Probability and Queues",
2003, XIII.5); exact far out, and compared with a simulated queue in the tests.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

BUSIEST = 0.9
"""No server is planned busier: beyond, the queue of a bursty minute takes many to clear."""
_GRID = 181


def wait_services(rho: float, *, percent: float) -> float:
    """The wait that `percent` of the queries do not exceed, in service times.

    Args:
        rho: share of the time the server is busy, in [0, 1).
        percent: below 100.
    """
    if not 0 <= rho < 1:
        raise ValueError(f"a queue is stable for a busy share in [0, 1), got {rho}")
    beyond = 1 - percent / 100
    if rho <= beyond or rho == 0:
        return 0.0  # so many find the server free
    root = _root(rho)
    scale = (1 - rho) / (rho * math.exp(root) - 1)
    return max(0.0, math.log(scale / beyond) / root)


def busiest(allowed_services: float, *, percent: float) -> float:
    """The largest busy share at which that wait is kept; at most `BUSIEST`.

    Args:
        allowed_services: the wait allowed at that percentile, in service times.
    """
    if allowed_services < 0:
        return 0.0
    shares, waits = _table(percent)
    return float(shares[np.searchsorted(waits, allowed_services, side="right") - 1])


@cache
def _table(percent: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shares = np.linspace(0.0, BUSIEST, _GRID)
    waits = [wait_services(float(share), percent=percent) for share in shares]
    return shares, np.maximum.accumulate(waits)


def _root(rho: float) -> float:
    """x > 0 with rho (e^x - 1) = x, by bisection: the left side is convex and starts lower."""
    low, high = 1e-12, 1.0
    while rho * math.expm1(high) < high:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if rho * math.expm1(middle) < middle:
            low = middle
        else:
            high = middle
    return high

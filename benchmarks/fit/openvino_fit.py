"""Sums of positive terms fitted in the logarithm, with a prior for every parameter.

A time is the sum of its terms, each a known number times the exponential of some parameters,
and the whole times the exponential of others (levels, characters). Parameters are found by
Gauss and Newton's steps on soft errors; the priors are further rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SIGMA = 0.12
"""What single figures of the table scatter by; farther ones weigh less."""
Prior = Mapping[str, tuple[float, float]]
"""By name, the logarithm expected and how far it may lie from it."""
Parameters = dict[str, float]


@dataclass(frozen=True)
class Term:
    """``amount`` of each row, times exp of the parameters weighed in ``by``."""

    amount: float
    by: Mapping[str, float]


@dataclass(frozen=True)
class Sum:
    """One measured time: its terms, and what multiplies all of them."""

    terms: Sequence[Term]
    factor: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class _Arrays:
    """All rows: amounts (rows, terms), weights (those, parameters), factors (rows, parameters)."""

    amounts: np.ndarray
    weights: np.ndarray
    factors: np.ndarray

    def logs(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logarithm of each time, and its slope over each parameter."""
        terms = self.amounts * np.exp(np.clip(self.weights @ x, -40, 40))
        total = terms.sum(axis=1)
        slopes = np.einsum("rt,rtp->rp", terms, self.weights) / total[:, None]
        return np.log(total) + self.factors @ x, slopes + self.factors


def fit(rows: Sequence[Sum], prior: Prior) -> Parameters:
    """The parameters at the least sum of soft errors and pulls of the priors."""
    names = list(prior)
    arrays, y = _arrays(rows, names), np.log([r.seconds for r in rows])
    middle, width = np.array(list(prior.values())).T
    x, damping = middle.copy(), 1e-2

    def cost(at: np.ndarray) -> float:
        far = (arrays.logs(at)[0] - y) / SIGMA
        return float(np.sum(2 * np.hypot(1, far) - 2) + np.sum(((at - middle) / width) ** 2))

    least = cost(x)
    while damping < 1e6:
        log_s, slopes = arrays.logs(x)
        weight = 1 / np.hypot(1, (log_s - y) / SIGMA) / SIGMA**2
        square = (slopes.T * weight) @ slopes + np.diag(width**-2)
        downhill = (slopes.T * weight) @ (log_s - y) + (x - middle) / width**2
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), downhill)
        found = cost(x - step)
        if found > least:
            damping *= 4
            continue
        x, gain, least, damping = x - step, least - found, found, max(damping / 5, 1e-6)
        if gain < 1e-5:
            break
    return dict(zip(names, map(float, x), strict=True))


def _arrays(rows: Sequence[Sum], names: Sequence[str]) -> _Arrays:
    place = {n: i for i, n in enumerate(names)}
    most = max(len(r.terms) for r in rows)
    amount = np.zeros((len(rows), most))
    by = np.zeros((len(rows), most, len(names)))
    factor = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        for j, term in enumerate(row.terms):
            amount[i, j] = term.amount
            for name, weight in term.by.items():
                by[i, j, place[name]] = weight
        for name, weight in row.factor.items():
            factor[i, place[name]] = weight
    return _Arrays(amount, by, factor)


def predicted(row: Sum, p: Parameters) -> float:
    """Seconds."""
    arrays = _arrays([row], list(p))
    return float(np.exp(arrays.logs(np.array(list(p.values())))[0][0]))

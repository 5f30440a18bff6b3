"""How wide the bands of products are: of few rows of activations, of many, and of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from operator_fit import Sweep, covered, spread_80

from fitwright.perf.operators.formulas import FEW_ROWS


@dataclass(frozen=True)
class Bands:
    """80 % bands as factors."""

    all: float = 1.0
    few: float = 1.0
    many: float = 1.0

    def at_least(self, other: Bands) -> Bands:
        """The wider of each."""
        few, many = max(self.few, other.few), max(self.many, other.many)
        return Bands(max(self.all, other.all), few, many)


@dataclass(frozen=True)
class Found:
    """What an answer from some rung was on rows that had no part in it.

    Attributes:
        few: whether the product has up to `FEW_ROWS` rows of activations.
    """

    predicted: np.ndarray
    measured: np.ndarray
    few: np.ndarray

    def bands(self) -> Bands:
        few, many = (spread_80(self.predicted[w], self.measured[w]) for w in (self.few, ~self.few))
        return Bands(spread_80(self.predicted, self.measured), few, many)

    def covered(self, bands: Bands) -> str:
        """Of products of few and of many rows, the share within the band."""
        parts = ((self.few, bands.few), (~self.few, bands.many))
        shares = [covered(self.predicted[w], self.measured[w], band) for w, band in parts]
        return " ".join(f"{s:.0%}" for s in shares)


def found_of(sweep: Sweep, told: tuple[np.ndarray, np.ndarray]) -> Found:
    """Predicted and measured of every row of a sweep."""
    few = np.array([sweep.works[i].m <= FEW_ROWS for i, _ in sweep.rows])
    return Found(*told, few)


def joined(found: Sequence[Found]) -> Found:
    """Several, each counted alike however many rows it has (by thinning to the fewest)."""
    fewest = min(len(f.measured) for f in found)
    chosen = [np.linspace(0, len(f.measured) - 1, fewest).astype(int) for f in found]
    return Found(
        np.concatenate([f.predicted[c] for f, c in zip(found, chosen, strict=True)]),
        np.concatenate([f.measured[c] for f, c in zip(found, chosen, strict=True)]),
        np.concatenate([f.few[c] for f, c in zip(found, chosen, strict=True)]),
    )


def banded(taken: Mapping[str, float], bands: Bands) -> dict[str, float]:
    """Constants with what the bands of products of few and of many rows are to that of both."""
    return {**taken, "few_band": bands.few / bands.all, "many_band": bands.many / bands.all}

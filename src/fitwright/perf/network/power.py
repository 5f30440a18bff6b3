"""The rate that a device's power can feed, where that is less than its peak.

An inference card of 70 W holds its boost clock for no more than moments of dense products.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fitwright.records.sheet import Sheet

Energies = Sequence[tuple[int, float]]
"""Picojoules of one multiply or add with all that surrounds it, by the year of the device."""

PICOJOULES_32: Energies = ((2016, 23), (2018, 16), (2020, 11), (2022, 8), (2025, 7))
"""float32 in vector units: what P4 (2016), T4 (2018) and MI210 (2021) sustain at their TDP
(NeuSight's measurements); between and after them by the steps of the process."""

PICOJOULES_16: Energies = ((2018, 2.5), (2020, 1.3), (2022, 0.92), (2025, 0.8))
"""16 bits in matrix units: large products at the TDP reach 0.79 of an H100's peak (0.9 pJ at
700 W), 0.58 of a B200's (0.8 pJ), 0.85 of an A100's (1.3 pJ or less); T4 about 28 TFLOP/s."""


def fed_rate(peak: float, sheet: Sheet, energies: Energies) -> float:
    """FLOP/s that the device's TDP can feed; the peak where that is less or unknown."""
    if sheet.tdp_w is None or sheet.year is None:
        return peak
    return min(peak, sheet.tdp_w.value / (picojoules(sheet.year, energies) * 1e-12))


def picojoules(year: int, energies: Energies) -> float:
    """Straight lines between the years; flat before the first and after the last."""
    if year <= energies[0][0]:
        return energies[0][1]
    for (y0, e0), (y1, e1) in pairwise(energies):
        if year <= y1:
            return e0 + (e1 - e0) * (year - y0) / (y1 - y0)
    return energies[-1][1]

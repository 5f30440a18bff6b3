"""Scales: from a quantity to a place on the paper, and the round numbers along the way."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LinearScale:
    """`low` lies at `start`, `high` at `end`; an empty range lies in the middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return _between(self.start, self.end, _share(value, self.low, self.high))

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside the range, some `about` of them."""
        step = nice_step((self.high - self.low) / max(about, 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def byte_ticks(self, about: int = 5) -> list[float]:
        """Round numbers in the binary unit that suits the range."""
        unit = 2.0 ** (10 * max(0, int(math.log2(max(self.high, 1)) // 10)))
        inner = LinearScale(low=self.low / unit, high=self.high / unit, start=0, end=1)
        return [t * unit for t in inner.ticks(about)]


@dataclass(frozen=True, kw_only=True)
class LogScale:
    """Equal ratios are equally long; both ends above zero."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        low, high = math.log10(self.low), math.log10(self.high)
        return _between(self.start, self.end, _share(math.log10(value), low, high))

    def ticks(self) -> list[float]:
        """Powers of ten, and 2 and 5 times them where the range is short."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades <= 2.5 else (1,)
        stride = max(1, math.ceil(decades / 9))
        powers = range(first - first % stride, last + 1, stride)
        inside = (m * 10.0**p for p in powers for m in steps)
        return [t for t in inside if self.low * (1 - 1e-9) <= t <= self.high * (1 + 1e-9)]


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    if not rough > 0 or not math.isfinite(rough):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def decades_around(values: list[float]) -> tuple[float, float]:
    """The powers of ten that enclose the values, at least one decade apart."""
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values)))
    return low, high if high > low else low * 10


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if low == high else (value - low) / (high - low)


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * share

"""How figures, limits and names read: one voice for the report and the terminal."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable

from fitwright import units
from fitwright.records.figure import Figure
from fitwright.records.need import Limit

LONGEST_NAME = 160
_SMALLEST, _LARGEST = 1e-30, 1e30  # no machine measures beyond, and ratios stay finite
_NOISE = 1e-9  # an end this much smaller than the other is the rounding of a difference
_TITLES = {
    "latency_mean": "mean latency",
    "peak_memory": "peak memory",
    "load_time": "load time",
    "energy": "energy per inference",
    "cost": "cost per million",
    "size": "artefact size",
    "accuracy_drop": "accuracy drop",
    "relative_l2": "relative L2 distance",
    "time_ratio": "time",
    "agreement": "relative L2 distance",
    "top1_agreement": "top-1 agreement",
    "equal_share": "equal integer outputs",
    "achieved_flops": "achieved FLOP/s",
    "achieved_bandwidth": "achieved bandwidth",
}
TECHNIQUES = {
    "hardware_acceleration": "hardware acceleration",
    "heterogeneous_computing": "heterogeneous computing",
    "distributed_computing": "distributed computing",
    "compression": "compression",
    "memory_optimisation": "memory optimisation",
    "energy_efficiency": "energy efficiency",
}


def figure_title(name: str) -> str:
    """``latency_p99`` -> ``p99 latency``; unknown names lose their underscores only."""
    if name.startswith("latency_p"):
        return f"{name.removeprefix('latency_')} latency"
    return _TITLES.get(name, plain(name.replace("_", " ")))


def plain(text: str, *, longest: int = LONGEST_NAME) -> str:
    """One line of text a stranger wrote, without control or direction characters, cut."""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    kept = " ".join(kept.split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def positive(figure: Figure | None) -> float | None:
    """The value where a ratio or a logarithm of it means something, else None."""
    value = figure.value if figure else None
    return value if value is not None and _SMALLEST < value < _LARGEST else None


def overlap(one: Figure, other: Figure) -> bool:
    """Whether both may have the same true value, as far as their intervals say."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    exact = one.low == one.high and other.low == other.high
    return not exact and max(one.low, other.low) <= min(one.high, other.high)


def rounded(value: float, digits: int) -> float:
    """`value` to that many significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def _digits(figure: Figure) -> int:
    """How many digits the interval supports: two when it is wider than ±5 %, else three.

    Three also where two would move the figure out of its own interval.
    """
    if figure.value is None or figure.low is None or figure.high is None:
        return 3
    half_width = (figure.high - figure.low) / 2
    if not math.isfinite(half_width):
        return 3
    if figure.unit == "" and half_width <= 0.005 * abs(figure.value):
        return 4
    stays = figure.low <= rounded(figure.value, 2) <= figure.high
    return 2 if half_width > 0.05 * abs(figure.value) and stays else 3


def figure_text(figure: Figure) -> str:
    """The value with its unit; ``≈`` before an estimate; the reason when there is none."""
    if figure.value is None:
        return f"unavailable: {plain(figure.source)}" if figure.source else "unavailable"
    mark = "≈ " if figure.label == "estimated" else ""
    return mark + quantity(figure.value, figure.unit, digits=_digits(figure))


def quantity(value: float, unit: str, *, digits: int = 3) -> str:
    """As `units.show`, with a true minus sign and zero without a prefix.

    Bytes keep the three digits `units` gives them: it counts in powers of two, and rounding
    twice would move the number.
    """
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    shown = value if unit == "bytes" or (unit and digits >= 3) else rounded(value, digits)
    return re.sub(r"(?<![\de])-(?=\d)", "−", units.show(shown, unit))


def interval_text(figure: Figure) -> str:
    """``1.86 – 1.94 ms``, ``≥ 1.86 ms`` when open above; empty without an interval."""
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    if math.isinf(figure.low) or math.isinf(figure.high):
        return _open_interval(figure.low, figure.high, lambda v: quantity(v, figure.unit))
    widest = max(abs(figure.low), abs(figure.high))
    ends = (0.0 if abs(v) < _NOISE * widest else v for v in (figure.low, figure.high))
    low, high = (quantity(v, figure.unit, digits=max(3, _digits(figure))) for v in ends)
    if low == high:
        return ""
    return f"{_without_shared_unit(low, high)} – {high}"


def samples_text(figure: Figure) -> str:
    """``n = 4,000``: how many queries carry a time; empty for figures that are no statistic."""
    if figure.value is None or figure.unit != "s" or not figure.num_samples:
        return ""
    return f"n = {figure.num_samples:,}"


def _open_interval(low: float, high: float, text: Callable[[float], str]) -> str:
    """One end is as far as too few samples leave it: nowhere."""
    if math.isinf(low) and math.isinf(high):
        return "no bound yet"
    return f"≤ {text(high)}" if math.isinf(low) else f"≥ {text(low)}"


def _without_shared_unit(low: str, high: str) -> str:
    low_number, _, low_unit = low.partition(" ")
    return low_number if low_unit == high.partition(" ")[2] else low


def share(value: float, digits: int = 1) -> str:
    """``0.1234`` -> ``12.3 %``; a part too small to show is not called zero."""
    smallest = 10.0**-digits
    if 0 < value * 100 < smallest / 2:
        return f"< {smallest:g} %"
    return f"{100 * value:.{digits}f} %"


def factor_text(figure: Figure) -> str:
    """``2.31×``; the reason when there is no factor."""
    if figure.value is None:
        return figure_text(figure)
    mark = "≈ " if figure.label == "estimated" else ""
    return f"{mark}{times(rounded(figure.value, min(3, _digits(figure))))}"


def factor_interval(figure: Figure) -> str:
    """``2.2 – 2.4×``; empty when the factor carries no interval."""
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    if math.isinf(figure.low) or math.isinf(figure.high):
        return _open_interval(figure.low, figure.high, times)
    low, high = times(figure.low), times(figure.high)
    return "" if low == high else f"{low.removesuffix('×')} – {high}"


def times(ratio: float) -> str:
    """``2.3142`` -> ``2.31×``."""
    if math.isinf(ratio):
        return "∞×"
    return f"{ratio:.3g}×" if abs(ratio) < 1000 else f"{ratio:,.0f}×"


def bound_text(limit: Limit) -> str:
    """``≤ 5 ms`` or ``≥ 200 /s``."""
    sign = "≤" if limit.sense == "at_most" else "≥"
    return f"{sign} {units.show(limit.bound, limit.unit)}"

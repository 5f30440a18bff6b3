"""The units that tables of cases write, in base units."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fitwright.records.estimate import Estimate, NoData

IN_BASE_UNITS: Mapping[str, float] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
    "uj": 1e-6,
    "µj": 1e-6,
    "mj": 1e-3,
    "j": 1.0,
    "kj": 1e3,
    "wh": 3600.0,
    "mw": 1e-3,
    "w": 1.0,
    "kw": 1e3,
    "gflop/s": 1e9,
    "tflop/s": 1e12,
    "pflop/s": 1e15,
    "gflops": 1e9,
    "tflops": 1e12,
    "tops": 1e12,
    "gb/s": 1e9,
    "%": 1e-2,
}
"""Lower-case; a unit of things (``FPS``, ``img/s``, ``tok/s``, ``cycles``, ``LUT``) is 1."""
COUNTED = re.compile(
    r"(fps|cycles?|luts?|ffs?|dsps?|brams?\d*|urams?|share|ratio"
    r"|(img|images?|samples?|tok|tokens?|req|requests?|inf|inferences?|queries|seq|sequences?)?/s)"
)
_ASIDE = re.compile(r"\(.*?\)")
_TAIL = re.compile(r"_p\d+(_per_\d+)?$")
_PER = re.compile(r"/(device|gpu|sample|request|inference|token|query|image|chip|node)s?\b")


def in_base_units(unit: str) -> float | None:
    """What one of this unit is in base units; None when it is not known.

    ``J/request (GPU)`` is joules, ``tok/s/device`` tokens per second: what a figure is stated
    per is the metric's business, not the unit's.
    """
    plain = _PER.sub("", _TAIL.sub("", _ASIDE.sub("", unit).strip().lower())).strip()
    if plain in IN_BASE_UNITS:
        return IN_BASE_UNITS[plain]
    return 1.0 if COUNTED.fullmatch(plain) else None


def in_unit(estimate: Estimate, unit: str) -> Estimate | NoData:
    """The estimate as the table writes it."""
    factor = in_base_units(unit)
    if factor is None:
        return NoData(reason=f"the unit {unit!r} is not known")
    return estimate.model_copy(
        update={
            "value": estimate.value / factor,
            "low": estimate.low / factor,
            "high": estimate.high / factor,
            "unit": unit,
        }
    )

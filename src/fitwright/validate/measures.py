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
    "seconds": 1.0,
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
    "gop/s": 1e9,
    "gops": 1e9,
    "top/s": 1e12,
    "mb/s": 1e6,
    "gb/s": 1e9,
    "tb/s": 1e12,
    "mib/s": 2.0**20,
    "gib/s": 2.0**30,
    "kwh": 3.6e6,
    "klut": 1e3,
    "%": 1e-2,
    "percent": 1e-2,
    "pct": 1e-2,
}
"""Lower-case; a unit of things (``FPS``, ``img/s``, ``tok/s``, ``cycles``, ``LUT``) is 1."""
COUNTED = re.compile(
    r"(fps|(clock )?cycles?|cc|luts?|ffs?|dsps?|brams?\d*|urams?|share|ratio"
    r"|(1|it|iterations?|steps?|imgs?|images?|frames?|samples?|tok|tokens?|req|requests?|inf"
    r"|inferences?|quer(y|ies)|seqs?|sequences?)?/s)"
)
KINDS: Mapping[str, str] = {
    "a time": "ns us µs ms s seconds min h",
    "a size": "b kb mb gb kib mib gib",
    "an energy": "uj µj mj j kj wh kwh",
    "a power": "mw w kw",
    "arithmetic a second": "gflop/s tflop/s pflop/s gflops tflops gop/s gops top/s tops",
    "a share": "% share ratio",
    "bytes a second": "mb/s gb/s tb/s mib/s gib/s",
}
"""What units measure; units of things are a rate where they are per second, else a count."""
_ASIDE = re.compile(r"\(.*?\)")
_TAIL = re.compile(r"_p\d+(_per_\d+)?$")
_PER = re.compile(
    r"(?:/| per )(device|gpu|accelerator|sample|request|req|inference|inf|token|tok|query|image|img"
    r"|frame|batch|step|iteration|it|user|chip|card|node)s?\b"
)
_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), word)
    for pattern, word in (
        (r"μ", "u"),
        (r"\b(micro-?seconds?|usecs?)\b", "us"),
        (r"\b(milli-?seconds?|msecs?)\b", "ms"),
        (r"\b(nano-?seconds?|nsecs?)\b", "ns"),
        (r"\b(seconds?|secs?)\b", "s"),
        (r"\b(minutes?|mins)\b", "min"),
        (r"\b(hours?|hrs?)\b", "h"),
        (r"\bwatts?\b", "W"),
        (r"\b(milli-?joules?)\b", "mJ"),
        (r"\b(micro-?joules?)\b", "uJ"),
        (r"\bjoules?\b", "J"),
        (r"\bbytes?\b", "B"),
        (r"\s+per\s+s\b", "/s"),
        (r"\bqps\b", "queries/s"),
        (r"\b(ips|hz)\b", "1/s"),
    )
)
"""Words for units, and their symbols; before anything else is asked of a unit."""


def in_symbols(unit: str) -> str:
    """``images/sec`` as ``images/s``, ``milliseconds`` as ``ms``, ``QPS`` as ``queries/s``."""
    for pattern, symbol in _WORDS:
        unit = pattern.sub(symbol, unit)
    return unit


def in_base_units(unit: str) -> float | None:
    """What one of this unit is in base units; None when it is not known.

    ``J/request (GPU)`` is joules, ``tok/s/device`` tokens per second: what a figure is stated
    per is the metric's business, not the unit's.
    """
    plain = _plain(unit)
    if plain in IN_BASE_UNITS:
        return IN_BASE_UNITS[plain]
    return 1.0 if COUNTED.fullmatch(plain) else None


def _plain(unit: str) -> str:
    """Lower-case, without asides, percentiles and what it is stated per."""
    symbols = _ASIDE.sub("", in_symbols(unit)).strip().lower()
    return _PER.sub("", _TAIL.sub("", symbols)).strip()


def measures(unit: str) -> str | None:
    """What a unit measures, ``a time`` or ``a rate``; None when the unit is not known."""
    plain = _plain(unit)
    found = next((kind for kind, units in KINDS.items() if plain in units.split()), None)
    if found or in_base_units(unit) is None:
        return found
    return "a rate" if plain.endswith(("/s", "fps")) else "a count"


def in_unit(estimate: Estimate, unit: str) -> Estimate | NoData:
    """The estimate as the table writes it; a time is no answer where a rate is asked for."""
    factor = in_base_units(unit)
    if factor is None:
        return NoData(reason=f"the unit {unit!r} is not known")
    asked, found = measures(unit), measures(estimate.unit)
    if found is not None and asked != found:
        return NoData(reason=f"the unit {unit!r} asks for {asked}; {found} is predicted here")
    return estimate.model_copy(
        update={
            "value": estimate.value / factor,
            "low": estimate.low / factor,
            "high": estimate.high / factor,
            "unit": unit,
        }
    )

"""Parsing and printing of quantities: the only place where units are converted.

Inside Fitwright every quantity is in base units (bytes, seconds, joules, watts,
FLOP with 1 MAC = 2 FLOP, US dollars) and the unit is part of the name. Users write
``10 ms``, ``512 MiB``, ``50 mJ``, ``200/s``, ``0.40 USD/1M``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

Quantity = Literal[
    "seconds",
    "bytes",
    "joules",
    "watts",
    "per_second",
    "usd_per_inference",
    "usd_per_second",
    "usd",
    "flop_per_s",
    "bytes_per_s",
    "hertz",
    "number",
    "share",
    "usd_per_joule",
    "kg_per_joule",
]

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}

_UNITS: Mapping[Quantity, Mapping[str, float]] = {
    "seconds": {
        "ns": 1e-9,
        "us": 1e-6,
        "µs": 1e-6,
        "ms": 1e-3,
        "s": 1.0,
        "sec": 1.0,
        "m": 60.0,
        "min": 60.0,
        "h": 3600.0,
        "d": 86400.0,
        "y": 31_557_600.0,
    },
    "bytes": {f"{p}B": f for p, f in {**_DECIMAL, "K": 1e3, **_BINARY}.items()},
    "joules": {
        "nJ": 1e-9,
        "uJ": 1e-6,
        "µJ": 1e-6,
        "mJ": 1e-3,
        "J": 1.0,
        "kJ": 1e3,
        "Wh": 3600.0,
        "kWh": 3.6e6,
    },
    "watts": {"mW": 1e-3, "W": 1.0, "kW": 1e3},
    "per_second": {"/s": 1.0, "/sec": 1.0, "/min": 1 / 60, "/h": 1 / 3600, "k/s": 1e3},
    "usd_per_inference": {
        "USD": 1.0,
        "USD/1k": 1e-3,
        "USD/1K": 1e-3,
        "USD/1M": 1e-6,
        "USD/1G": 1e-9,
    },
    "usd_per_second": {"USD/s": 1.0, "USD/h": 1 / 3600, "USD/d": 1 / 86400},
    "flop_per_s": {
        f"{p}{u}": f for p, f in _DECIMAL.items() for u in ("FLOPS", "FLOP/s", "OPS", "OP/s")
    },
    "usd": {"USD": 1.0, "kUSD": 1e3},
    "bytes_per_s": {f"{p}B/s": f for p, f in {**_DECIMAL, **_BINARY}.items()},
    "hertz": {f"{p}Hz": f for p, f in _DECIMAL.items() if f < 1e12},
    "number": {"": 1.0, "k": 1e3, "M": 1e6},
    "usd_per_joule": {"USD/kWh": 1 / 3.6e6, "USD/MWh": 1 / 3.6e9},
    "kg_per_joule": {"g/kWh": 1e-3 / 3.6e6, "kg/kWh": 1 / 3.6e6, "kg/MWh": 1 / 3.6e9},
    "share": {"": 1.0, "%": 1e-2},
}
_BARE_OK: frozenset[Quantity] = frozenset({"number", "share"})
_EXAMPLE: Mapping[Quantity, str] = {
    "seconds": "10 ms",
    "bytes": "512 MiB",
    "joules": "50 mJ",
    "watts": "15 W",
    "per_second": "200/s",
    "usd_per_inference": "0.40 USD/1M",
    "usd_per_second": "0.10 USD/h",
    "usd": "1999 USD",
    "flop_per_s": "1 TFLOPS",
    "usd_per_joule": "0.12 USD/kWh",
    "kg_per_joule": "400 g/kWh",
    "bytes_per_s": "2039 GB/s",
    "hertz": "1.41 GHz",
    "number": "108",
    "share": "0.98 or 98 %",
}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


def parse(value: object, quantity: Quantity) -> float:
    """The value in base units.

    Args:
        value: what the user wrote, e.g. ``"10 ms"``; a bare number only where the
            quantity has no unit (a share, a number of things).
        quantity: which kind of quantity is expected.

    Raises:
        ValueError: with the rule, the value and an example, in the user's words.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a quantity such as '{_EXAMPLE[quantity]}', got {value!r}")
    match = _NUMBER.fullmatch(str(value))
    if match is None:
        raise ValueError(f"cannot read {value!r}; write it as '{_EXAMPLE[quantity]}'")
    number, unit = float(match[1]), match[2]
    known = _UNITS[quantity]
    if unit == "" and quantity not in _BARE_OK:
        raise ValueError(f"{value!r} has no unit; write it as '{_EXAMPLE[quantity]}'")
    if unit not in known:
        units = ", ".join(u for u in known if u)
        raise ValueError(f"unknown unit {unit!r} in {value!r}; known: {units}")
    result = number * known[unit]
    if not math.isfinite(result):
        raise ValueError(f"{value!r} is not finite")
    return result


def example(quantity: Quantity) -> str:
    """How a quantity of this kind is written."""
    return _EXAMPLE[quantity]


def pattern(quantity: Quantity) -> str:
    """A regular expression (of JSON Schema) for what `parse` reads from text."""
    units = sorted((u for u in _UNITS[quantity] if u), key=lambda u: (-len(u), u))
    known = "|".join(re.escape(u).replace("\\/", "/") for u in units)
    optional = "?" if quantity in _BARE_OK else ""
    return rf"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*({known}){optional}\s*$"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    """Three significant digits with the largest unit that keeps the number at 1 or more."""
    if not math.isfinite(value):
        return "unbounded"
    for factor, unit in steps:
        if abs(value) >= factor or factor == steps[-1][0]:
            scaled = value / factor
            plain = abs(scaled) < 999.5  # above, three digits would print as 1e+03
            return f"{scaled:.3g} {unit}" if plain else f"{scaled:,.0f} {unit}"
    raise AssertionError("steps must not be empty")


_SECONDS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_JOULES = ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"))
_WATTS = ((1e3, "kW"), (1.0, "W"), (1e-3, "mW"))
_SI = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def seconds(value: float) -> str:
    """``0.0123`` -> ``12.3 ms``."""
    return _scaled(value, _SECONDS)


def bytes_(value: float) -> str:
    """``1048576`` -> ``1 MiB``; binary units, as memory is sold and limited."""
    return _scaled(value, _BYTES)


def joules(value: float) -> str:
    """``0.05`` -> ``50 mJ``."""
    return _scaled(value, _JOULES)


def watts(value: float) -> str:
    """``15`` -> ``15 W``."""
    return _scaled(value, _WATTS)


def count(value: float, unit: str = "") -> str:
    """``2.2e9, "FLOP"`` -> ``2.2 GFLOP``; decimal prefixes."""
    if not math.isfinite(value):
        return "unbounded"
    number, prefix = _scaled(value, _SI).rsplit(" ", 1)
    return f"{number} {prefix}{unit}".rstrip()


def usd_per_million(value: float) -> str:
    """Cost of one inference in US dollars, printed per million."""
    return f"{value * 1e6:.3g} USD/1M"


def share(value: float) -> str:
    """``44 %``."""
    return f"{value * 100:.0f} %"


def years(value: float) -> str:
    """``126230400`` seconds -> ``4 years``."""
    number = value / _UNITS["seconds"]["y"]
    return f"{number:.3g} year{'' if number == 1 else 's'}"


def kg_per_million(value: float) -> str:
    """Emissions of one inference in kg of CO2 equivalent, printed per million."""
    return f"{value * 1e6:.3g} kg CO2e/1M"


def show(value: float, unit: str) -> str:
    """A value with the unit of its figure, as people write it."""
    printers = {
        "s": seconds,
        "bytes": bytes_,
        "J": joules,
        "W": watts,
        "usd": usd_per_million,
        "kg": kg_per_million,
    }
    if unit in printers:
        return printers[unit](value)
    if unit in ("FLOP", "FLOP/s", "OP/s", "B/s", "Hz", "/s"):
        return count(value, unit)
    return f"{value:.4g} {unit}".rstrip()

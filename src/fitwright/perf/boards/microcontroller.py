"""Small networks on microcontrollers: cycles per multiply-add by core and by framework.

``t = MAC * cycles_per_mac / clock``. The logarithm of the cycles per multiply-add is a sum of
effects of the network (fully connected layers read a weight per multiply-add, convolutions do
not), of the core, of the framework's kernels, and of the chip (wait states of its flash). Energy
is time times the power per clock of the chip or its core.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fitwright.perf.ladder import estimate, scopes
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WHAT = "microcontroller"
LADDER: tuple[Rung, ...] = ("kind", "family", "architecture", "device")
FRAMEWORKS = (
    ("x-cube-ai", r"x-?cube-?ai|stm32cube\.?ai|st edge ai|stedgeai"),
    ("hale", r"hale|bosch"),
    ("plumerai", r"plumerai"),
    ("microtvm", r"tvm"),
    ("onnc", r"onnc"),
    ("tflm", r"tflite|tensorflow|tflm|cmsis"),
)
"""Names of frameworks in use, and what is fitted for them."""
MOST_MACS_PER_CYCLE = 4.0
"""No core of this class does more 8-bit multiply-adds at a time without a vector unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Small:
    """One inference on a microcontroller.

    Attributes:
        network: its name in the fitted table; empty: only its `macs` are known.
        framework: one of `FRAMEWORKS`, with its major version if it has one; empty: unknown.
    """

    network: str
    macs: float
    framework: str
    clock_hz: float


def framework_of(words: str) -> str:
    """``X-CUBE-AI v9.0.0`` is ``x-cube-ai 9``; empty when none is known by that name."""
    lower = words.lower()
    name = next((n for n, pattern in FRAMEWORKS if re.search(pattern, lower)), "")
    if name not in ("x-cube-ai", "plumerai"):
        return name
    version = re.search(r"(?:v|engine )\s*(\d+)", lower)
    return f"{name} {version[1]}" if version else name


def rows_for(table: Iterable[Evidence], sheet: Sheet) -> Mapping[Rung, Evidence]:
    """The rows that hold for the device, by rung."""
    named = scopes(sheet)
    return {
        row.rung: row
        for row in table
        if row.what == WHAT and row.rung in LADDER and row.scope == named[row.rung]
    }


def cycles_per_mac(small: Small, rows: Mapping[Rung, Evidence]) -> float:
    """Clock cycles that one multiply-add takes, never under what the core could do at best."""
    names = (
        "offset",
        f"network:{small.network}",
        f"framework:{small.framework}",
        f"framework:{small.framework}:{small.network}",
    )
    total = sum(row.constants.get(n, 0.0) for row in rows.values() for n in names)
    if f"network:{small.network}" not in rows["kind"].constants:
        total += rows["kind"].constants["network"]
    return max(math.exp(total), 1 / MOST_MACS_PER_CYCLE)


def latency(small: Small, *, sheet: Sheet, table: Iterable[Evidence]) -> Estimate | NoData:
    """Seconds of one inference."""
    found = _started(small, sheet, table)
    if isinstance(found, NoData):
        return found
    rows, rung = found
    seconds = small.macs * cycles_per_mac(small, rows) / small.clock_hz
    reason = f"{cycles_per_mac(small, rows):.1f} cycles per multiply-add ({rows[rung].source})"
    spread = rows[rung].spread * (1.0 if small.network else 1.3)
    return estimate(seconds, unit="s", rung=rung, spread=spread, reasons=(reason,))


def energy(small: Small, *, sheet: Sheet, table: Iterable[Evidence]) -> Estimate | NoData:
    """Joules of one inference, the board's supply included."""
    table = tuple(table)
    time = latency(small, sheet=sheet, table=table)
    if isinstance(time, NoData):
        return time
    rows = rows_for(table, sheet)
    named = [r for r in LADDER if r in rows and "log_j_per_cycle" in rows[r].constants]
    if not named:
        return NoData(reason=f"nobody metered {sheet.id} nor its core in MLPerf Tiny")
    per_cycle = math.exp(rows[named[-1]].constants["log_j_per_cycle"])
    joules = time.value * small.clock_hz * per_cycle
    spread = rows[time.rung].spread * rows[named[-1]].constants.get("energy_spread", 1.6)
    return estimate(joules, unit="J", rung=time.rung, spread=spread, reasons=time.reasons)


def _started(
    small: Small, sheet: Sheet, table: Iterable[Evidence]
) -> tuple[Mapping[Rung, Evidence], Rung] | NoData:
    rows = rows_for(table, sheet)
    if "kind" not in rows:
        return NoData(reason=f"no microcontroller of the kind {sheet.kind} was measured")
    if small.clock_hz <= 0 or small.macs <= 0:
        return NoData(reason="a microcontroller needs its clock and the network's multiply-adds")
    return rows, next(r for r in reversed(LADDER) if r in rows)

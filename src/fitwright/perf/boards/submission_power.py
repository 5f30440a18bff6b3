"""Power at the socket of a system with several devices, as MLPerf meters it.

``P = host + n*(host per device + loaded_share*TDP)`` with every device at work; with one query
at a time one device draws ``stream_share*TDP`` and the others wait. `host` is board, fans,
memory and power supply of a system that holds accelerators; edge boards and system modules have
none, their share of the TDP covers the whole board. Conversion losses are in the shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WAITING_SHARE = 0.15
"""Of the TDP that a device draws which waits beside a busy one (a T4: 10 of 70 W, an A100: 45
of 300 W, per data sheets)."""
EFFECTS = {True: "power_full", False: "power_stream"}
"""Logarithm of what the systems of one device draw beyond their kind's: few cards in a large
host."""
NAMES = ("host_w", "host_per_device_w", "loaded_share", "stream_share")


def power_constants(rows: Iterable[Evidence]) -> Mapping[str, float]:
    """Of a kind, replaced by those of a family that has its own (`rows`: widest first)."""
    found: dict[str, float] = {}
    for row in rows:
        found |= {n: row.constants[n] for n in NAMES if n in row.constants}
        if "loaded_share" in row.constants or "stream_share" in row.constants:
            found |= {n: row.constants.get(n, 0.0) for n in NAMES[:2]}
        found |= {n: row.constants[n] for n in EFFECTS.values() if n in row.constants}
    return found


def system_w(
    constants: Mapping[str, float], *, sheet: Sheet, num_devices: int, queue_full: bool
) -> float | None:
    """Watts of the whole system; None where the TDP or the constants are unknown."""
    name = "loaded_share" if queue_full else "stream_share"
    if sheet.tdp_w is None or name not in constants:
        return None
    host = constants.get("host_w", 0.0) + constants.get("host_per_device_w", 0.0) * num_devices
    busy = constants[name]
    busy = busy * num_devices if queue_full else busy + WAITING_SHARE * (num_devices - 1)
    watts = host + busy * sheet.tdp_w.value
    return watts * math.exp(constants.get(EFFECTS[queue_full], 0.0))

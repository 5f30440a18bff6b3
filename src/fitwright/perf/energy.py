"""Energy of one device: what idles, what each operation and each byte costs, capped by the TDP.

``E = t*P_idle + FLOP*e_f + bytes*e_b``, at most ``t*TDP``. The energy of an operation and of a
byte are stated as shares, so that they carry over to devices that nobody metered: doing nothing
but arithmetic at the full published peak would draw ``flop_share*(TDP - P_idle)`` above idle,
reading memory at its full bandwidth ``byte_share*(TDP - P_idle)``. Shares above 1 are real:
a B200 meets its power limit at 60 % of its bfloat16 peak. Power of the board alone, without
host, fans and conversion (`WALL_PER_BOARD`).
"""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.perf.ladder import estimate, nearest
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WHAT = "energy"
WALL_PER_BOARD = 1.15
"""Conversion and cooling: watts at the socket per watt at the board, hosts not counted. Assumed
(a power supply of 94 % and about 8 % for fans), not fitted: systems metered at the socket are
modelled with their hosts in `submission_power`."""


def idle_w(sheet: Sheet, row: Evidence) -> float | None:
    """Watts of a device that is ready but waits: clocks up, nothing running.

    Published idle power is of a device asleep, so that the share of the TDP seen between
    kernels counts where it is more.
    """
    if sheet.tdp_w is None:
        return None
    ready = row.constants["idle_share"] * sheet.tdp_w.value
    asleep = sheet.idle_w.value if sheet.idle_w else 0.0
    return min(max(ready, asleep), sheet.tdp_w.value)


def evidence_for(table: Iterable[Evidence], sheet: Sheet, *, dtype: str) -> Evidence | None:
    """The shares of this dtype, or of any dtype where this one was not metered."""
    rows = tuple(table)
    own = nearest(rows, sheet, what=WHAT, dtype=dtype)
    return own or nearest(rows, sheet, what=WHAT)


def power_w(
    *, flop_per_s: float, bytes_per_s: float, sheet: Sheet, dtype: str, row: Evidence
) -> float | None:
    """Board power at a steady pace, watts; None where the sheet lacks what it takes.

    Args:
        flop_per_s: arithmetic done, of `dtype`.
        bytes_per_s: memory traffic; a sheet without a bandwidth has its traffic counted in
            the arithmetic.
    """
    idle = idle_w(sheet, row)
    peak = sheet.peaks.get(dtype)
    if idle is None or sheet.tdp_w is None or peak is None:
        return None
    room = sheet.tdp_w.value - idle
    load = row.constants["flop_share"] * flop_per_s / peak.value
    if sheet.bandwidth_bytes_per_s is not None:
        load += row.constants["byte_share"] * bytes_per_s / sheet.bandwidth_bytes_per_s.value
    return idle + room * min(1.0, load)


def energy_j(
    *,
    time_s: float,
    flops: float,
    bytes_moved: float,
    sheet: Sheet,
    dtype: str,
    table: Iterable[Evidence],
) -> Estimate | NoData:
    """Joules of one device for work that takes `time_s`.

    Args:
        time_s: of the work, waiting for others included.
        flops: of the arithmetic, 1 MAC = 2; of this device only.
        bytes_moved: to and from its memory.
        sheet: TDP and the peak of `dtype` must be published.
        dtype: of the arithmetic.
        table: rows of the topic ``energy``.
    """
    if time_s <= 0:
        return NoData(reason=f"energy needs a time above 0, got {time_s} s")
    row = evidence_for(table, sheet, dtype=dtype)
    if row is None:
        return NoData(reason=f"nobody metered the power of {sheet.id}, nor of its kind")
    watts = power_w(
        flop_per_s=flops / time_s,
        bytes_per_s=bytes_moved / time_s,
        sheet=sheet,
        dtype=dtype,
        row=row,
    )
    if watts is None:
        return NoData(reason=f"{sheet.id} has no published TDP, or no peak for {dtype}")
    reason = f"energy per operation from {row.scope}: {row.source}"
    return estimate(watts * time_s, unit="J", rung=row.rung, spread=row.spread, reasons=(reason,))

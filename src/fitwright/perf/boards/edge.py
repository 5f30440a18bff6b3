"""Small networks on the CPUs of edge boards: operator by operator, with the framework's share.

``t = sum over operators (launch + max(2*MAC/(peak*big*u), bytes/(bandwidth*u_m)))``. `launch`
is what waking the threads for one operator takes, in cycles of the core; `u` depends on the sort
of operator, the framework and the dtype; `big` is the share of the published peak that the big
cores have, on which frameworks run. Operators follow one another, so networks are additive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fitwright.perf.boards.mobile import Layer
from fitwright.perf.ladder import estimate, scopes
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WHAT = "edge"
LADDER: tuple[Rung, ...] = ("kind", "family", "architecture", "device")
DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "int8": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """What the formula needs of a device.

    Attributes:
        constants: the widest scope first, replaced by narrower ones.
        spread: 80 % band of the rung, a factor.
    """

    sheet: Sheet
    constants: Mapping[str, float]
    rung: Rung
    spread: float
    source: str


def board(sheet: Sheet, table: Iterable[Evidence]) -> Board | NoData:
    """The constants that hold for a device."""
    named = scopes(sheet)
    rows = {
        r.rung: r for r in table if r.what == WHAT and r.rung in LADDER and r.scope == named[r.rung]
    }
    if "kind" not in rows:
        return NoData(reason=f"edge boards were measured on CPUs, not on a {sheet.kind}")
    merged: dict[str, float] = {}
    for rung in LADDER:
        merged |= rows[rung].constants if rung in rows else {}
    rung = next(r for r in reversed(LADDER) if r in rows)
    return Board(
        sheet=sheet,
        constants=merged,
        rung=rung,
        spread=rows[rung].spread,
        source=rows[rung].source,
    )


def latency(layers: Sequence[Layer], *, on: Board, framework: str, dtype: str) -> Estimate | NoData:
    """Seconds of one image."""
    peak = on.sheet.peaks.get(dtype)
    if peak is None:
        return NoData(reason=f"{on.sheet.id} has no fast path for {dtype}")
    value = sum(operator_s(x, on=on, framework=framework, dtype=dtype) for x in layers)
    floor = 2 * sum(x.macs for x in layers) / peak.value
    reason = f"{len(layers)} operators with {framework or 'a framework'} ({on.source})"
    spread = band(layers, on=on, dtype=dtype)
    return estimate(max(value, floor), unit="s", rung=on.rung, spread=spread, reasons=(reason,))


def band(layers: Sequence[Layer], *, on: Board, dtype: str) -> float:
    """80 % of a latency: boards were measured with plain convolutions in float32, other networks
    and dtypes rest on what they were relative to those on other cores."""
    plain = sum(x.macs for x in layers if x.op == "conv") >= sum(x.macs for x in layers) / 2
    if plain and dtype == "float32":
        return on.spread
    return max(on.spread, on.constants.get("spread_unseen", 1.0))


def operator_s(layer: Layer, *, on: Board, framework: str, dtype: str) -> float:
    """One operator, its threads woken for it."""
    constants, sheet = on.constants, on.sheet
    clock = sheet.clock_hz.value if sheet.clock_hz else 1.5e9
    cycles = constants.get(f"launch_cycles:{framework}", constants["launch_cycles"])
    best = sheet.peaks[dtype].value * constants.get("big_share", 1.0)
    busy = 2 * layer.macs / (best * utilisation(layer, constants, framework, dtype))
    moved = DTYPE_BYTES.get(dtype, 4) * (layer.moved + layer.weights)
    if sheet.bandwidth_bytes_per_s is not None:
        share = constants["bandwidth_share"]
        busy = max(busy, moved / (sheet.bandwidth_bytes_per_s.value * share))
    return cycles / clock + busy


def utilisation(layer: Layer, constants: Mapping[str, float], framework: str, dtype: str) -> float:
    """Share of the big cores' peak, in (0, 1]."""
    own = constants.get(f"u:{layer.op}", constants["u:conv"])
    own *= constants.get("device", 1.0)
    own *= constants.get(f"framework:{framework}", 1.0)
    own *= constants.get(f"dtype:{dtype}", 1.0)
    return min(1.0, own)


METERED_SPREAD = 1.3
"""Of a board's power at work over its TDP, 80 %: three boards were metered."""


def watts(on: Board) -> Estimate | NoData:
    """The whole board at work."""
    share = on.constants.get("board_share")
    if on.sheet.tdp_w is None or share is None:
        return NoData(reason=f"{on.sheet.id} has no published TDP, or no board was metered")
    said = f"the board draws {share:.2f} of its TDP"
    power = share * on.sheet.tdp_w.value
    return estimate(power, unit="W", rung=on.rung, spread=METERED_SPREAD, reasons=(said,))


def joules(time: Estimate, *, on: Board) -> Estimate | NoData:
    """Of one image: the whole board at work, back to back."""
    power = watts(on)
    if isinstance(power, NoData):
        return power
    spread = max(METERED_SPREAD, time.high / time.value * 1.1)
    return estimate(
        time.value * power.value,
        unit="J",
        rung=time.rung,
        spread=spread,
        reasons=(*time.reasons, *power.reasons),
    )

"""What a tuned submission to a public benchmark reaches: throughput and latency.

``samples/s = peak * utilisation / FLOP``, the peak of the dtype that submissions use. The
utilisation is a product of effects, each of one scope: the kind of device with the benchmark,
its family, its architecture, and the device itself,
``log u = sum over scopes (offset + character + benchmark) + slopes``, where the slopes say what
a data sheet gives away before anyone measured: chips with many operations per watt throttle,
and chips with many operations per byte wait. The effects are shrunk towards zero, so that what
is not known about a device is answered by its architecture, then its family, then its kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fitwright.perf.ladder import scopes
from fitwright.records.benchmark import Benchmark
from fitwright.records.estimate import NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

WHAT = "mlperf"
PER_WATT = 2e12
"""Operations per joule (peak over TDP) at which the slope over watts is zero."""
PER_BYTE = 350.0
"""Operations per byte (peak over bandwidth) at which the slope over bytes is zero."""
TYPICAL_CLOCK_HZ = 1.5e9
"""Of a device whose sheet has no clock."""
HALVES = ("float16", "bfloat16")
LADDER: tuple[Rung, ...] = ("kind", "family", "architecture", "device")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """How much of a peak a submission reaches.

    Attributes:
        dtype: of the peak.
        peak: of the device at that dtype, FLOP/s or OP/s.
        utilisation: in (0, 1].
        rung: the best scope that had effects.
        spread: 80 % band of that rung, a factor.
        rows: the effects used, by rung.
    """

    dtype: str
    peak: float
    utilisation: float
    rung: Rung
    spread: float
    rows: Mapping[Rung, Evidence]


def effects(table: Iterable[Evidence], sheet: Sheet) -> Mapping[Rung, Evidence]:
    """The rows of this topic that hold for the device, by rung."""
    named = scopes(sheet)
    return {
        row.rung: row
        for row in table
        if row.what == WHAT and row.rung in LADDER and row.scope == named[row.rung]
    }


def dtype_used(sheet: Sheet, benchmark: Benchmark, *, label: str = "") -> str | None:
    """What the submission computes in; None: the device has no fast path for any.

    Labels are what a submitter typed: `label` (a numpy name) counts on CPUs only, where
    float32 means just that.
    """
    if sheet.kind == "cpu" and label == "float32" and label in sheet.peaks:
        return label
    for dtype in benchmark.dtypes:
        if dtype in sheet.peaks and sheet.architecture not in benchmark.kept_from.get(dtype, ()):
            return _faster_half(sheet) if dtype in HALVES else dtype
    return None


def _faster_half(sheet: Sheet) -> str:
    """Of the two 16-bit floats the faster here: matrix units of CPUs know one of them only."""
    known = [d for d in HALVES if d in sheet.peaks]
    return max(known, key=lambda d: sheet.peaks[d].value)


def reached(
    sheet: Sheet, benchmark: Benchmark, table: Iterable[Evidence], *, label: str = ""
) -> Reached | NoData:
    """The share of the peak, from the nearest scopes that were measured."""
    dtype = dtype_used(sheet, benchmark, label=label)
    if dtype is None:
        wanted = ", ".join(benchmark.dtypes)
        return NoData(reason=f"{sheet.id} has no peak for any of {wanted}")
    rows = effects(table, sheet)
    if "kind" not in rows:
        return NoData(reason=f"no {sheet.kind} was ever submitted to MLPerf")
    if f"benchmark:{benchmark.name}" not in rows["kind"].constants:
        return NoData(reason=f"nobody submitted {benchmark.name} in what was fitted")
    log_u = slopes(sheet, benchmark, dtype=dtype, constants=rows["kind"].constants)
    log_u += sum(effect(row, benchmark, dtype=dtype) for row in rows.values())
    rung: Rung = next(r for r in reversed(LADDER) if r in rows)
    return Reached(
        dtype=dtype,
        peak=sheet.peaks[dtype].value,
        utilisation=min(1.0, math.exp(log_u)),
        rung=rung,
        spread=spread_of(rows, rung, benchmark),
        rows=rows,
    )


def spread_of(rows: Mapping[Rung, Evidence], rung: Rung, benchmark: Benchmark) -> float:
    """The band of a scope; wider where the device was measured on other benchmarks only, and
    where a benchmark was measured on one or two devices (``few``)."""
    row = rows[rung]
    if rung == "device" and f"benchmark:{benchmark.name}" in row.constants:
        return row.spread
    few = rows["kind"].constants.get(f"few:{benchmark.name}", 1.0)
    return max(row.spread, few, row.constants.get("spread_other", 1.0))


def effect(row: Evidence, benchmark: Benchmark, *, dtype: str) -> float:
    """What one scope adds to the logarithm of the utilisation."""
    names = ("offset", benchmark.character, f"benchmark:{benchmark.name}", f"dtype:{dtype}")
    return sum(row.constants.get(name, 0.0) for name in names)


def slopes(
    sheet: Sheet, benchmark: Benchmark, *, dtype: str, constants: Mapping[str, float]
) -> float:
    """What the data sheet says: operations per joule and per byte of memory traffic."""
    peak = sheet.peaks[dtype].value
    found = 0.0
    if sheet.tdp_w is not None:
        found += constants.get("per_watt", 0.0) * math.log(peak / sheet.tdp_w.value / PER_WATT)
    if sheet.bandwidth_bytes_per_s is not None:
        ratio = math.log(peak / sheet.bandwidth_bytes_per_s.value / PER_BYTE)
        slope = constants.get(f"per_byte:{benchmark.character}", 0.0)
        found += slope * ratio
    return found


def offline_per_s(found: Reached, benchmark: Benchmark) -> float:
    """Samples a second of one device with a full queue."""
    return found.peak * found.utilisation / benchmark.flops


def server_per_s(found: Reached, benchmark: Benchmark) -> float:
    """Samples a second of one device under random arrivals and a limit on the tail.

    Never above the full queue.
    """
    names = ("server", f"server:{benchmark.name}")
    lost = sum(r.constants.get(n, 0.0) for r in found.rows.values() for n in names)
    return offline_per_s(found, benchmark) * min(1.0, math.exp(lost))


def stream_s(found: Reached, benchmark: Benchmark, *, sheet: Sheet, samples: int) -> float | None:
    """Latency of one query of `samples` at a time: its 90th (one) or 99th percentile (eight).

    ``cycles/clock + (waiting + share*samples)/(samples/s)``: launches and dependent steps take
    cycles whatever the size; `waiting` is what one query leaves idle on devices of many
    engines; `share` is the tail over the mean. None: no such constants.
    """
    kind = {**found.rows["kind"].constants}
    family = found.rows.get("family")
    kind |= family.constants if family else {}
    tail = "one" if samples == 1 else "many"
    key = benchmark.name.removesuffix(".9")
    share = kind.get(f"share_{tail}:{key}", kind.get(f"share_{tail}"))
    if share is None:
        return None
    cycles = kind.get(f"cycles:{key}", kind.get("cycles", 0.0))
    waiting = kind.get(f"waiting:{key}", kind.get("waiting", 0.0))
    clock_hz = sheet.clock_hz.value if sheet.clock_hz else TYPICAL_CLOCK_HZ
    rate = offline_per_s(found, benchmark)
    own = sum(row.constants.get("stream", 0.0) for row in found.rows.values())
    seconds = cycles / clock_hz + (waiting + share * samples) / rate
    return max(seconds * math.exp(own), samples * benchmark.flops / found.peak)


def tail_over_mean(found: Reached, benchmark: Benchmark) -> float:
    """The percentile that `stream_s` answers over the mean latency, which energy goes by."""
    key = benchmark.name.removesuffix(".9")
    return max(1.0, found.rows["kind"].constants.get(f"tail:{key}", 1.0))

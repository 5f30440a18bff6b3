"""Latency of single queries in MLPerf: cycles, waiting and tails (see perf/submission.py)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mlperf_rows import Row

from fitwright.perf.boards.submission import TYPICAL_CLOCK_HZ

Rate = Callable[[Row], float]
CYCLES = (0.0, *np.geomspace(1e5, 2e8, 34).tolist())
SHARES = np.geomspace(0.5, 4.0, 22).tolist()


def seconds(row: Row, rate: float, constants: dict[str, float]) -> float:
    samples = 1 if row.scenario == "SingleStream" else 8
    tail = "one" if samples == 1 else "many"
    key = row.benchmark.name.removesuffix(".9")
    share = constants.get(f"share_{tail}:{key}", constants.get(f"share_{tail}", 1.5))
    cycles = constants.get(f"cycles:{key}", constants.get("cycles", 0.0))
    waiting = constants.get(f"waiting:{key}", constants.get("waiting", 0.0))
    clock = row.sheet.clock_hz.value if row.sheet.clock_hz else TYPICAL_CLOCK_HZ
    return cycles / clock + (waiting + share * samples) / rate


def missed(found: Sequence[Row], rate: Rate, constants: dict[str, float]) -> float:
    """Mean absolute log error: gaps of many devices weigh alike, outliers not squared."""
    errors = [math.log(seconds(r, rate(r), constants) / (r.value * 1e-3)) for r in found]
    return float(np.mean(np.abs(errors)))


def gpu_constants(streams: Sequence[Row], rate: Rate) -> dict[str, float]:
    """Cycles and tails of each benchmark; the medians stand for the others."""
    constants: dict[str, float] = {"cycles": 0.0, "share_one": 1.5, "share_many": 1.2}
    groups = defaultdict(list)
    for row in streams:
        groups[row.benchmark.name.removesuffix(".9")].append(row)
    for name, found in groups.items():
        constants |= one_benchmark(name, found, rate)
    for what in ("share_one", "share_many"):
        known = [v for k, v in constants.items() if k.startswith(f"{what}:")]
        constants[what] = float(np.median(known)) if known else 1.5
    constants["cycles"] = constants.get("cycles:resnet50", 6e5)
    return constants


def one_benchmark(name: str, found: Sequence[Row], rate: Rate) -> dict[str, float]:
    one = [r for r in found if r.scenario == "SingleStream"]
    many = [r for r in found if r.scenario == "MultiStream"]
    best: tuple[float, dict[str, float]] = (math.inf, {})
    for cycles in CYCLES:
        trial = {f"cycles:{name}": cycles}
        cost = 1e-4 * len(CYCLES)
        for tail, rows in (("one", one), ("many", many)):
            if rows:
                options = [
                    (missed(rows, rate, trial | {f"share_{tail}:{name}": s}), s) for s in SHARES
                ]
                gap, share = min(options)
                cost += gap * len(rows)
                trial[f"share_{tail}:{name}"] = share
        best = min(best, (cost, trial), key=lambda pair: pair[0])
    return best[1]


def engine_constants(streams: Sequence[Row], rate: Rate) -> dict[str, float]:
    """Devices of many engines, each query on a few of them: waiting per benchmark."""
    constants = {"share_one": 0.6, "share_many": 0.6}
    groups = defaultdict(list)
    for row in streams:
        groups[row.benchmark.name.removesuffix(".9")].append(row)
    for name, found in groups.items():
        ratios = [
            r.value * 1e-3 * rate(r) - 0.6 * (1 if r.scenario == "SingleStream" else 8)
            for r in found
        ]
        constants[f"waiting:{name}"] = max(0.0, float(np.median(ratios)))
    waits = [v for k, v in constants.items() if k.startswith("waiting:")]
    constants["waiting"] = float(np.median(waits))
    return constants


def add(
    all_rows: Sequence[Row],
    model: Any,
    features: Any,
    predict: Any,
    place: dict[tuple[str, str], dict[str, float]],
) -> None:
    """Puts the constants into the rows of kinds, families and devices; prints held-out errors."""

    def rate(row: Row) -> float:
        full = {k: v for k, v in features(row).items() if k[0].split()[0] != "server"}
        return (
            math.exp(predict(model, full)) * row.sheet.peaks[row.dtype].value / row.benchmark.flops
        )

    streams = [r for r in all_rows if not r.is_rate]
    of = {k: [r for r in streams if r.sheet.kind == k] for k in ("gpu", "npu", "cpu")}
    fits = {"gpu": gpu_constants, "npu": engine_constants, "cpu": gpu_constants}
    for kind, found in of.items():
        place["kind", kind] |= fits[kind](found, rate)
    for kind in ("tpu", "asic"):
        place["kind", kind] |= {"share_one": 1.5, "share_many": 1.2, "cycles": 6e5}
    for family in sorted({r.sheet.family for r in of["npu"]}):
        place["family", family] |= engine_constants(
            [r for r in of["npu"] if r.sheet.family == family], rate
        )
    device_effects(streams, rate, place)
    report(of["gpu"], rate)


def device_effects(
    streams: Sequence[Row], rate: Rate, place: dict[tuple[str, str], dict[str, float]]
) -> None:
    """How much slower one device answers than its kind, shrunk by its number of rows."""
    groups = defaultdict(list)
    for row in streams:
        shared = place["kind", row.sheet.kind] | place.get(("family", row.sheet.family), {})
        gap = math.log(row.value * 1e-3 / seconds(row, rate(row), shared))
        groups[row.sheet.id].append(gap)
    for device, gaps in groups.items():
        if ("device", device) in place:
            place["device", device]["stream"] = float(np.median(gaps)) * len(gaps) / (len(gaps) + 4)


def report(streams: Sequence[Row], rate: Rate) -> None:
    """GPUs: constants without the device at hand (its throughput known)."""
    errors = []
    for device in sorted({r.sheet.id for r in streams}):
        others = [r for r in streams if r.sheet.id != device]
        constants = gpu_constants(others, rate)
        errors += [
            math.log(seconds(r, rate(r), constants) / (r.value * 1e-3))
            for r in streams
            if r.sheet.id == device
        ]
    relative = np.abs(np.expm1(errors))
    print(
        f"latency of GPUs, device left out {len(errors):5d} rows  median {np.median(relative):.3f}"
        f"  p80 {np.quantile(relative, 0.8):.3f}"
    )

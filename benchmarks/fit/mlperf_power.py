"""Power of the systems that submitted to MLPerf (see perf/submission_power.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from mlperf_rows import Row

from fitwright.perf.submission_power import system_w

HOST_W = (50.0, 80.0, 110.0, 140.0, 180.0, 230.0)
PER_DEVICE_W = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0)
BARE = ((0.0,), (0.0,))
SHARES = [round(x, 2) for x in np.arange(0.1, 1.45, 0.05).tolist()]


def metered_w(row: Row) -> float:
    """Of the system, per device that it scored with: joules times the best pace."""
    pace = row.value if row.is_rate else 1 / (row.value * 1e-3)
    return (row.joules or 0.0) * pace


def gap(row: Row, constants: dict[str, float]) -> float:
    """Log error of the system's power."""
    guess = system_w(
        constants, sheet=row.sheet, num_devices=row.num_devices, queue_full=row.is_rate
    )
    if guess is None:
        return 0.0
    return math.log(guess / (row.num_devices if row.is_rate else 1) / metered_w(row))


def constants_for(
    found: Sequence[Row], hosts: tuple[Sequence[float], Sequence[float]]
) -> dict[str, float]:
    """Least mean absolute log error over a grid: outliers are not squared."""
    best: tuple[float, dict[str, float]] = (math.inf, {})
    for host, each in product(*hosts):
        trial = {"host_w": host, "host_per_device_w": each}
        cost = 0.0
        for name, rows in (
            ("loaded_share", [r for r in found if r.is_rate]),
            ("stream_share", [r for r in found if not r.is_rate]),
        ):
            if rows:
                costs = [sum(abs(gap(r, trial | {name: s})) for r in rows) for s in SHARES]
                trial[name] = SHARES[int(np.argmin(costs))]
                cost += min(costs)
        best = min(best, (cost, trial), key=lambda pair: pair[0])
    return best[1]


def add(all_rows: Sequence[Row], place: dict[tuple[str, str], dict[str, float]]) -> None:
    """Puts the constants into the rows of kinds and families; prints held-out errors."""
    metered = [r for r in all_rows if r.joules and r.sheet.tdp_w]
    hosted = (HOST_W, PER_DEVICE_W)
    scopes = (
        ("kind", "gpu", [r for r in metered if r.sheet.family == "nvidia-gpu"], hosted),
        ("kind", "npu", [r for r in metered if r.sheet.kind == "npu"], hosted),
        (
            "family",
            "nvidia-jetson",
            [r for r in metered if r.sheet.kind == "gpu" and r.sheet.family == "nvidia-jetson"],
            BARE,
        ),
        ("family", "arm-cpu", [r for r in metered if r.sheet.family == "arm-cpu"], BARE),
    )
    for rung, scope, found, hosts in scopes:
        constants = constants_for(found, hosts)
        place[rung, scope] |= constants
        errors = held_out(found, hosts)
        relative = np.abs(np.expm1(errors))
        print(
            f"power {scope}: {len(found)} rows, device left out: median {np.median(relative):.3f}"
            f"  p80 {np.quantile(relative, 0.8):.3f}  {constants}"
        )
    place["kind", "gpu"].setdefault("stream_share", 0.6)
    for kind in ("asic", "tpu"):
        named = ("host_w", "host_per_device_w", "loaded_share", "stream_share")
        place["kind", kind] |= {n: place["kind", "gpu"][n] for n in named}
    place["kind", "cpu"] |= {
        "host_w": 120.0,
        "host_per_device_w": 60.0,
        "loaded_share": 1.0,
        "stream_share": 0.9,
    }
    place["family", "arm-cpu"].setdefault(
        "loaded_share", place["family", "arm-cpu"]["stream_share"]
    )


def held_out(found: Sequence[Row], hosts: tuple[Sequence[float], Sequence[float]]) -> list[float]:
    errors = []
    devices = sorted({r.sheet.id for r in found})
    for device in devices:
        others = [r for r in found if r.sheet.id != device] if len(devices) > 1 else list(found)
        constants = constants_for(others, hosts)
        errors += [gap(r, constants) for r in found if r.sheet.id == device]
    return errors

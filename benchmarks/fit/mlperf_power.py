"""Power of the systems that submitted to MLPerf (see perf/submission_power.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from mlperf_rows import Row
from ridge import say

from fitwright.perf.boards.submission_power import system_w

HOST_W = (50.0, 80.0, 110.0, 140.0, 180.0, 230.0)
PER_DEVICE_W = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0)
BARE = ((0.0,), (0.0,))
SHARES = [round(x, 2) for x in np.arange(0.1, 1.45, 0.05).tolist()]


def metered_w(row: Row) -> float:
    """Of the system with one query at a time; with a full queue per device that it scored with:
    joules times the best pace (the metered run is often of another system)."""
    if not row.is_rate:
        return row.watts or math.nan
    return (row.joules or 0.0) * row.value


def tails(streams: Sequence[Row]) -> dict[str, float]:
    """Percentile of the latency over its mean (joules over watts), per benchmark."""
    found: dict[str, list[float]] = {}
    for row in streams:
        mean_s = (row.joules or 0.0) / (row.watts or math.nan)
        found.setdefault(row.benchmark.name.removesuffix(".9"), []).append(
            row.value * 1e-3 / mean_s
        )
    return {f"tail:{k}": max(1.0, float(np.median(v))) for k, v in found.items()}


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


def effect_names(row: Row) -> str:
    return "power_full" if row.is_rate else "power_stream"


def device_effects(
    found: Sequence[Row], constants: dict[str, float]
) -> dict[tuple[str, str], float]:
    """How much more the systems of one device draw than its kind's, by device and mode.

    The median of the log gaps, shrunk by their number: submitters hold few cards in large
    hosts, and each device was metered in one or two systems.
    """
    gaps: dict[tuple[str, str], list[float]] = {}
    for row in found:
        gaps.setdefault((row.sheet.id, effect_names(row)), []).append(-gap(row, constants))
    return {k: float(np.median(v)) * len(v) / (len(v) + 1) for k, v in gaps.items()}


def held_out(
    found: Sequence[Row], hosts: tuple[Sequence[float], Sequence[float]], *, whole_device: bool
) -> list[float]:
    """Log errors of power with a device, or one benchmark of it, left out."""
    errors: dict[Row, float] = {}
    groups = sorted({group_of(r, whole_device) for r in found})
    for group in groups:
        others = [r for r in found if group_of(r, whole_device) != group] or list(found)
        constants = constants_for(others, hosts)
        alone = len({r.sheet.id for r in found}) == 1
        own = {} if alone else device_effects(others, constants)
        for row in found:
            if group_of(row, whole_device) == group:
                effect = own.get((row.sheet.id, effect_names(row)), 0.0)
                errors[row] = gap(row, constants) + effect
    return [errors[r] for r in found]


def group_of(row: Row, whole_device: bool) -> tuple[str, ...]:
    return (row.sheet.id,) if whole_device else (row.sheet.id, row.benchmark.name)


def add(
    all_rows: Sequence[Row],
    place: dict[tuple[str, str], dict[str, float]],
    pace: dict[bool, dict[Row, float]],
) -> None:
    """Puts the constants into the rows of kinds, families and devices; prints held-out errors.

    `pace`: log errors of the samples a second, by whether the device was left out.
    """
    metered = [r for r in all_rows if r.joules and r.sheet.tdp_w]
    hosted = (HOST_W, PER_DEVICE_W)
    cards = [r for r in metered if r.sheet.family == "nvidia-gpu"]
    scopes = (
        ("kind", "gpu", cards, hosted),
        ("kind", "npu", [r for r in metered if r.sheet.kind == "npu"], hosted),
        (
            "family",
            "nvidia-jetson",
            [r for r in metered if r.sheet.family == "nvidia-jetson"],
            BARE,
        ),
        ("family", "arm-cpu", [r for r in metered if r.sheet.family == "arm-cpu"], BARE),
    )
    for rung, scope in place:
        if rung == "kind":
            place[rung, scope] |= tails([r for r in metered if not r.is_rate])
    joules: list[tuple[bool, float]] = []
    for rung, scope, found, hosts in scopes:
        constants = constants_for(found, hosts)
        place[rung, scope] |= constants
        if len({r.sheet.id for r in found}) > 1:
            for (device, name), value in device_effects(found, constants).items():
                place["device", device][name] = value
        for words, whole in (("device left out", True), ("benchmark left out", False)):
            errors = held_out(found, hosts, whole_device=whole)
            say(f"power {scope}, {words}", errors)
            joules += [
                (whole, e - pace[whole][r])
                for r, e in zip(found, errors, strict=True)
                if r in pace[whole]
            ]
    for whole, words in ((True, "device left out"), (False, "row or benchmark left out")):
        say(f"joules a sample, {words}", [e for w, e in joules if w == whole])
    share_with_others(place)


def share_with_others(place: dict[tuple[str, str], dict[str, float]]) -> None:
    """Kinds that nobody metered take what cards draw; edge boards answer one by one only."""
    named = ("host_w", "host_per_device_w", "loaded_share", "stream_share")
    for kind in ("asic", "tpu"):
        place["kind", kind] |= {n: place["kind", "gpu"][n] for n in named}
    place["kind", "cpu"] |= dict(zip(named, (120.0, 60.0, 1.0, 0.9), strict=True))
    arm = place["family", "arm-cpu"]
    arm.setdefault("loaded_share", arm["stream_share"])

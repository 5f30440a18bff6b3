"""This machine for the performance model: its sheet, its evidence, and what runs add to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from fitwright.records.device import Device
from fitwright.records.evidence import Evidence
from fitwright.records.profile import Confronted, Profile
from fitwright.records.sheet import Fact, Sheet

DOUBT = 2.0  # measured models that weigh as much as the assumption that nothing is to correct
COVERED = 0.8
FEW_SPREAD = 1.25  # band of a model as long as few were confronted
LEAST_SPREAD = 1.05
ENOUGH = 4
MOST_CONFRONTED = 300
_FAMILIES = (("intel", "intel-cpu"), ("amd", "amd-cpu"), ("epyc", "amd-cpu"), ("apple", "apple"))


def local_sheet(device: Device, profile: Profile | None = None) -> Sheet:
    """The local device as a sheet: measured peaks, those of the calibration where there is one."""
    peaks = {d: f.value for d, f in device.peaks.items() if f.value is not None}
    bandwidth = device.bandwidth.value
    source = "measured here (GEMM probes)"
    if profile is not None:
        peaks, bandwidth = dict(profile.peaks), profile.bandwidth_bytes_per_s
        source = "measured here (fitwright calibrate)"
    cached = max((c.bytes for c in device.caches), default=0)

    def fact(value: float | None, where: str = source) -> Fact | None:
        return None if not value else Fact(value=value, source=where, confidence="A")

    power = (profile or device).idle_power, (profile or device).loaded_power
    found = {d: f for d, v in peaks.items() if (f := fact(v)) is not None}
    return Sheet(
        id=device.id,
        name=device.name,
        kind=device.kind,
        vendor=device.name.partition(" ")[0],
        architecture=device.architecture,
        family=_family(device.name),
        num_units=fact(float(device.num_cores), "operating system"),
        peaks=found,
        memory_bytes=fact(float(device.memory_bytes), "operating system"),
        bandwidth_bytes_per_s=fact(bandwidth),
        onchip_bytes=fact(float(cached), "operating system"),
        idle_w=fact(power[0].value, power[0].source),
        tdp_w=fact(power[1].value, power[1].source),
        runs=device.backends,
    )


def _family(name: str) -> str:
    lower = name.lower()
    return next((family for word, family in _FAMILIES if word in lower), "arm-cpu")


def local_table(profile: Profile) -> tuple[Evidence, ...]:
    """The rows of a profile, and a scale per backend and dtype from the models measured since."""
    groups: dict[tuple[str, str], list[Confronted]] = {}
    for row in profile.confronted:
        groups.setdefault((row.runtime, row.dtype), []).append(row)
    scope = next((r.scope for r in profile.rows), "local")
    scales = (_scale(rows, scope=scope) for rows in groups.values())
    return (*profile.rows, *scales)


def _scale(rows: Sequence[Confronted], *, scope: str) -> Evidence:
    """Median of measured over predicted, drawn towards 1; the band is what is left."""
    logs = [math.log(r.measured_s / r.predicted_s) for r in rows]
    shrunk = len(logs) / (len(logs) + DOUBT) * median(logs)
    left = sorted(abs(log - shrunk) for log in logs)
    spread = math.exp(left[min(len(left) - 1, math.ceil(COVERED * len(left)))])
    return Evidence(
        what=f"model@{rows[0].runtime}",
        dtype=rows[0].dtype,
        rung="measured",
        scope=scope,
        constants={"scale": math.exp(shrunk)},
        spread=max(spread, LEAST_SPREAD if len(logs) >= ENOUGH else FEW_SPREAD),
        num_points=len(logs),
        source="models that runs have measured on this machine",
    )


def refitted(profile: Profile, confronted: Iterable[Confronted]) -> Profile:
    """The profile with what a run has measured; a model measured again replaces its old row."""
    rows = {(c.model, c.runtime, c.dtype): c for c in profile.confronted}
    for new in confronted:
        if new.predicted_s > 0 and new.measured_s > 0:
            rows.pop((new.model, new.runtime, new.dtype), None)
            rows[new.model, new.runtime, new.dtype] = new
    kept = tuple(rows.values())[-MOST_CONFRONTED:]
    return profile.model_copy(update={"confronted": kept})

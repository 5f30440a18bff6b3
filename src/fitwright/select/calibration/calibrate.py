"""The whole calibration: probes in children, constants fitted, the profile kept.

A profile belongs to one machine and the versions of its backends; when either changes it no
longer answers and is made anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fitwright.errors import StorageError, TrialFailed, one_line
from fitwright.ports import Executor, Runtime
from fitwright.records.device import Device
from fitwright.records.profile import BySize, Profile
from fitwright.records.run import write_atomically
from fitwright.select.calibration.passes import (
    LIMITS,
    Found,
    combinations_of,
    put_together,
    timed_pass,
    turns_of,
)
from fitwright.select.calibration.probes import Probe
from fitwright.select.calibration.rows import peaks_of, rows_of
from fitwright.select.calibration.sizes import by_size, cache_bytes
from fitwright.select.calibration.timing import Times
from fitwright.select.calibration.watts import Watts

SCHEMA = 3  # a new number makes every stored profile out of date
BUDGET_S = 100.0  # of all probes together, loading and compiling included
QUIET_SHARE = 0.5  # models compile and small ones run on one core, so all of it is never used

Say = Callable[[str], None]


def fingerprint(device: Device) -> str:
    """Names the machine and the versions of its backends."""
    facts = {
        "schema": SCHEMA,
        "name": device.name,
        "instruction_sets": device.instruction_sets,
        "cores": [device.num_cores, device.num_threads, device.cpu_quota],
        "memory": device.memory_bytes,
        "software": device.software,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def stored_profile(device: Device, *, cache: Path) -> Profile | None:
    """The profile of this machine with these versions; None: there is none to go by."""
    try:
        profile = Profile.from_file(_file(device, cache))
    except (OSError, ValueError):
        return None
    return profile if profile.fingerprint == fingerprint(device) else None


def keep_profile(profile: Profile, *, cache: Path) -> str:
    """Store it; why not, if it failed."""
    try:
        write_atomically(cache / f"profile-{profile.fingerprint}.json", profile.to_json().encode())
    except (StorageError, OSError) as error:
        return f"the profile is not kept: {error}"
    return ""


def _file(device: Device, cache: Path) -> Path:
    return cache / f"profile-{fingerprint(device)}.json"


def calibrate(
    device: Device,
    *,
    executor: Executor,
    runtimes: Sequence[Runtime],
    say: Say,
    budget_s: float = BUDGET_S,
    energy_j: Callable[[], float] | None = None,
    only: Callable[[Probe], bool] = lambda _: True,
    between: Callable[[], None] = lambda: None,
    earlier: Profile | None = None,
) -> Profile:
    """Measure and fit; nothing is stored yet.

    Args:
        device: this machine, with its peaks.
        executor: where the children run.
        runtimes: the backends to measure, those installed.
        say: one line of progress.
        budget_s: for the timed runs of all probes.
        energy_j: joules since some moment, where a counter can be read.
        only: which probes; all of them by default.
        between: what else is to be measured in the same minutes, after each round of passes.
        earlier: a profile of this machine: how fast its gauges ran at best is known from it.
    """
    clock = _Clock()
    watts = Watts(energy_j, idle=device.idle_power, loaded=device.loaded_power)
    watts.rest()
    say("bandwidth by size")
    rates, notes = _rates(executor, device)
    combinations = tuple(combinations_of(device, runtimes))
    timed: dict[str, list[Times | str]] = {c.name: [] for c in combinations}
    turns = list(turns_of(combinations, only))
    for number, turn in enumerate(turns, start=1):
        say(f"kernels on {turn.combination.name}, {number} of {len(turns)}")
        share_s = budget_s / len(turns)
        with watts.working():
            done = timed_pass(turn, executor, threads=device.num_cores, budget_s=share_s)
        timed[turn.combination.name].append(done)
        if number % len(combinations) == 0:
            clock.leave_out(between)
    known_s = earlier.gauges if earlier else {}
    found, more = put_together(combinations, timed, only=only, known_s=known_s)
    return _profile(device, found, watts, rates, notes=(*notes, *more), clock=clock)


def _profile(
    device: Device,
    found: Sequence[Found],
    watts: Watts,
    rates: tuple[BySize, ...],
    *,
    notes: tuple[str, ...],
    clock: _Clock,
) -> Profile:
    """What was measured, fitted; the clock goes on while it is."""
    cpu_share = min((f.cpu_share for f in found), default=1.0)
    bandwidth = _memory_bandwidth(device, rates)
    peaks = peaks_of(device, found)
    return Profile(
        fingerprint=fingerprint(device),
        machine=device.name,
        software=device.software,
        peaks=peaks,
        bandwidth_bytes_per_s=bandwidth,
        by_size=rates,
        cache_bytes=cache_bytes(rates),
        rows=tuple(row for f in found for row in rows_of(f, device, peaks, bandwidth)),
        idle_power=watts.idle,
        loaded_power=watts.loaded,
        gauges={f.combination.name: f.gauge_s for f in found if f.gauge_s},
        cpu_share=cpu_share,
        seconds=clock.seconds(),
        notes=(*notes, *_busy(cpu_share)),
    )


class _Clock:
    """Seconds since it was made, less what is left out."""

    def __init__(self) -> None:
        self._begin_s = time.monotonic()

    def leave_out(self, work: Callable[[], None]) -> None:
        begin_s = time.monotonic()
        work()
        self._begin_s += time.monotonic() - begin_s

    def seconds(self) -> float:
        return time.monotonic() - self._begin_s


def _busy(cpu_share: float) -> tuple[str, ...]:
    """A note where others took the processor."""
    if cpu_share >= QUIET_SHARE:
        return ()
    return (
        f"the machine was busy: a backend's probes got {cpu_share:.0%} of the CPU time, so "
        "times are too long and bands wide; calibrate again when it is at rest",
    )


def _rates(executor: Executor, device: Device) -> tuple[tuple[BySize, ...], tuple[str, ...]]:
    most = device.memory_bytes // 8
    try:
        return executor.call(by_size, LIMITS, device.num_cores, most_bytes=most), ()
    except TrialFailed as failure:
        return (), (f"bandwidth by size: {one_line(failure.rule)}",)


def _memory_bandwidth(device: Device, rates: Sequence[BySize]) -> float:
    """Of the memory: the device's own probe, or the largest copy."""
    if device.bandwidth.value:
        return device.bandwidth.value
    return rates[-1].copy_bytes_per_s if rates else 1e10

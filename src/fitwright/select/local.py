"""The machine we are on, with its measured peaks; measured once and kept.

A probe made while other processes were at work is kept too, but made again some minutes
later, and of both the higher figures stay.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fitwright.catalog.power import estimate_power
from fitwright.errors import StorageError
from fitwright.ports import Executor, Runtime
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.record import Record
from fitwright.records.run import write_atomically
from fitwright.select.host import Host, read_host
from fitwright.select.peaks import Peaks, all_measured, copy_bandwidth, gemm_peaks

SCHEMA = 2  # a new number makes every stored probe out of date
LOCAL = "local"
QUIET_CPU_SHARE = 0.9  # a probe that got less of the CPU was disturbed
REPEAT_AFTER_S = 600.0


class StoredProbe(Record):
    """One file of the cache.

    Attributes:
        cpu_share: share of the CPU time asked for that the probes got.
    """

    device: Device
    cpu_share: float


def local_device(
    *,
    executor: Executor,
    runtimes: Sequence[Runtime],
    cache: Path,
    force: bool = False,
    host: Host | None = None,
) -> Device:
    """This machine as a device; its peaks are measured in children, once per machine.

    Args:
        executor: where the probes run.
        runtimes: the backends to measure with; those not installed are left out.
        cache: folder of stored probes.
        force: measure again even when a stored probe fits.
        host: the machine as the operating system describes it; asked when absent.
    """
    host = host or read_host()
    versions = {
        r.name: v for r in runtimes if not (a := r.availability()).missing and (v := a.version)
    }
    file = cache / f"device-{_fingerprint(host, versions)}.json"
    stored = None if force else _stored(file)
    if stored is not None and not _worth_repeating(stored, file):
        return _told(stored)
    present = [r for r in runtimes if r.name in versions]
    peaks, bandwidth = _measured(executor, present, host)
    probe = StoredProbe(
        device=_device(host, versions, peaks.figures, bandwidth), cpu_share=peaks.cpu_share
    )
    if stored is not None:
        probe = _better_of(stored, probe)
    complete = all_measured(peaks.figures, host.instruction_sets) and bandwidth.value is not None
    return _kept(probe, file) if complete else _told(probe)


def _fingerprint(host: Host, versions: Mapping[str, str]) -> str:
    """Names a machine and its backends; any change of them asks for a new probe."""
    facts = {
        "schema": SCHEMA,
        "cpu": [host.cpu, host.vendor, host.family, host.model],
        "instruction_sets": host.instruction_sets,
        "cores": [host.num_cores, host.num_threads, host.cpu_quota],
        "memory": host.memory_bytes,
        "backends": versions,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _stored(file: Path) -> StoredProbe | None:
    """A stored probe; None when there is none or it cannot be read, so it is made anew."""
    try:
        return StoredProbe.from_file(file)
    except (OSError, ValueError):
        return None


def _worth_repeating(stored: StoredProbe, file: Path) -> bool:
    """A disturbed probe is made again, but not at every call on a machine always busy."""
    age_s = time.time() - file.stat().st_mtime
    return stored.cpu_share < QUIET_CPU_SHARE and age_s > REPEAT_AFTER_S


def _better_of(old: StoredProbe, new: StoredProbe) -> StoredProbe:
    """The new probe, with the old one's figures where those are higher and it was disturbed."""
    if new.cpu_share >= QUIET_CPU_SHARE:
        return new
    before, after = old.device, new.device
    peaks = {
        dtype: _higher(before.peaks.get(dtype, figure), figure)
        for dtype, figure in after.peaks.items()
    }
    bandwidth = _higher(before.bandwidth, after.bandwidth)
    return StoredProbe(
        device=after.model_copy(update={"peaks": peaks, "bandwidth": bandwidth}),
        cpu_share=max(old.cpu_share, new.cpu_share),
    )


def _higher(one: Figure, other: Figure) -> Figure:
    """The higher of two measured peaks; an unavailable one never wins."""
    return max(one, other, key=lambda f: -1.0 if f.value is None else f.value)


def _kept(probe: StoredProbe, file: Path) -> Device:
    """Store the probe; a cache that cannot be written costs time later, and is said."""
    try:
        write_atomically(file, probe.to_json().encode())
    except (StorageError, OSError) as error:
        return _told(probe, f"probe not stored: {error}")
    return _told(probe)


def _told(probe: StoredProbe, *more: str) -> Device:
    """The device, with what its figures lack in its notes."""
    if probe.cpu_share < QUIET_CPU_SHARE:
        more = (
            f"the machine was busy: the probes got {probe.cpu_share:.0%} of the CPU time they "
            "asked for, so its true peaks are higher; measured again later",
            *more,
        )
    return probe.device.model_copy(update={"notes": (*probe.device.notes, *more)})


def _measured(executor: Executor, runtimes: Sequence[Runtime], host: Host) -> tuple[Peaks, Figure]:
    """GEMM peaks and copy bandwidth, each in children."""
    with tempfile.TemporaryDirectory(prefix="fitwright-probe-") as folder:
        peaks = gemm_peaks(
            executor,
            runtimes,
            instruction_sets=host.instruction_sets,
            num_threads=host.num_cores,
            folder=Path(folder),
        )
    bandwidth = copy_bandwidth(
        executor,
        last_cache_bytes=max((c.bytes for c in host.caches), default=0),
        memory_bytes=host.memory_bytes,
        num_threads=host.num_cores,
    )
    return peaks, bandwidth


def _device(
    host: Host, versions: Mapping[str, str], peaks: Mapping[str, Figure], bandwidth: Figure
) -> Device:
    """The record: what the system says, what was measured, what is published."""
    power = estimate_power(
        host.cpu,
        vendor=host.vendor,
        family=host.family,
        model=host.model,
        num_cores=host.num_cores,
    )
    return Device(
        id=LOCAL,
        kind="cpu",
        name=host.cpu,
        architecture=host.architecture,
        instruction_sets=host.instruction_sets,
        num_cores=host.num_cores,
        num_threads=host.num_threads,
        caches=host.caches,
        memory_bytes=host.memory_bytes,
        peaks=dict(peaks),
        bandwidth=bandwidth,
        idle_power=power.idle,
        loaded_power=power.loaded,
        software=dict(versions),
        backends=tuple(versions),
        cpu_quota=host.cpu_quota,
        notes=tuple(_notes(host)),
    )


def _notes(host: Host) -> list[str]:
    """What a reader of the figures should know."""
    notes = []
    if host.is_virtual:
        notes.append("a virtual machine: a core may be one hardware thread of a shared core")
    if host.cpu_quota is not None:
        notes.append(f"the container allows {host.cpu_quota:g} cores of CPU time")
    if not host.energy_counters:
        notes.append("no RAPL energy counters: energy can only be estimated")
    elif not host.energy_readable:
        notes.append("RAPL energy counters are present but not readable by this user")
    else:
        notes.append(f"RAPL energy counters: {', '.join(host.energy_counters)}")
    return notes

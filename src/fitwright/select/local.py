"""The machine we are on, with its measured peaks; measured once and kept."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fitwright.catalog.power import estimate_power
from fitwright.errors import StorageError
from fitwright.ports import Executor, Runtime
from fitwright.records.device import Device
from fitwright.records.run import write_atomically
from fitwright.select.host import Host, read_host
from fitwright.select.peaks import all_measured, copy_bandwidth, gemm_peaks

SCHEMA = 1  # a new number makes every stored probe out of date
LOCAL = "local"


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
    if not force and (stored := _stored(file)) is not None:
        return stored
    present = [r for r in runtimes if r.name in versions]
    device, complete = _probed(executor, present, host, versions)
    return _kept(device, file) if complete else device


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


def _stored(file: Path) -> Device | None:
    """A stored probe; None when there is none or it cannot be read, so it is made anew."""
    try:
        return Device.from_file(file)
    except (OSError, ValueError):
        return None


def _kept(device: Device, file: Path) -> Device:
    """Store the probe; a cache that cannot be written costs time later, and is said."""
    try:
        write_atomically(file, device.to_json().encode())
    except (StorageError, OSError) as error:
        return device.model_copy(
            update={"notes": (*device.notes, f"probe not stored: {error.args[0]}")}
        )
    return device


def _probed(
    executor: Executor, runtimes: Sequence[Runtime], host: Host, versions: Mapping[str, str]
) -> tuple[Device, bool]:
    """The device, and whether every probe that could work did."""
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
    power = estimate_power(
        host.cpu,
        vendor=host.vendor,
        family=host.family,
        model=host.model,
        num_cores=host.num_cores,
    )
    device = Device(
        id=LOCAL,
        kind="cpu",
        name=host.cpu,
        architecture=host.architecture,
        instruction_sets=host.instruction_sets,
        num_cores=host.num_cores,
        num_threads=host.num_threads,
        caches=host.caches,
        memory_bytes=host.memory_bytes,
        peaks=peaks,
        bandwidth=bandwidth,
        idle_power=power.idle,
        loaded_power=power.loaded,
        software=dict(versions),
        backends=tuple(r.name for r in runtimes),
        cpu_quota=host.cpu_quota,
        notes=tuple(_notes(host)),
    )
    complete = all_measured(peaks, host.instruction_sets) and bandwidth.value is not None
    return device, complete


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

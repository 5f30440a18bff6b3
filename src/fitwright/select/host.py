"""The machine as the operating system describes it; reads files, measures nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from fitwright.records.device import Cache
from fitwright.select.cgroup import cpu_quota, memory_limit_bytes
from fitwright.select.instructions import instruction_sets

ROOT = Path("/")
_IMPLEMENTERS: Mapping[str, str] = {"0x41": "Arm", "0x61": "Apple", "0xc0": "Ampere"}
# Part numbers as `lscpu` names them (util-linux, sys-utils/lscpu-arm.c).
_PARTS: Mapping[tuple[str, str], str] = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd84"): "Neoverse-V3",
    ("0xc0", "0xac3"): "Ampere-1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """What the operating system says.

    Attributes:
        cpu: model name as people know it; may be vague in a virtual machine.
        vendor, family, model: of x86 CPUIDs, to tell what a vague name means.
        num_cores, num_threads: physical cores and hardware threads this process may use,
            after affinity and container quota.
        machine_cores: physical cores of the whole machine, as visible from here.
        is_virtual: a hypervisor is under us, so a core may be half a core.
        energy_counters: RAPL domains of the kernel's powercap files, readable or not.
    """

    cpu: str
    vendor: str
    family: int | None
    model: int | None
    architecture: str
    instruction_sets: tuple[str, ...]
    num_cores: int
    num_threads: int
    machine_cores: int
    cpu_quota: float | None
    is_virtual: bool
    caches: tuple[Cache, ...]
    memory_bytes: int
    energy_counters: tuple[str, ...]
    energy_readable: bool


def read_host(
    *,
    root: Path = ROOT,
    usable: Iterable[int] | None = None,
    physical_memory_bytes: int | None = None,
) -> Host:
    """The machine this process runs on.

    Args:
        root: of the file system; another one for tests.
        usable: CPU numbers this process may run on; asked from the system when absent.
        physical_memory_bytes: asked from the system when absent.
    """
    memory = physical_memory_bytes or int(psutil.virtual_memory().total)
    if sys.platform == "darwin" and root == ROOT:
        return host_from_sysctl(_sysctl_values(), memory_bytes=memory)
    return _linux_host(root, tuple(sorted(usable or _affinity())), memory)


def host_from_sysctl(values: Mapping[str, str], *, memory_bytes: int) -> Host:
    """The machine from what macOS's ``sysctl -a`` prints, one ``name: value`` each."""
    features = " ".join(
        values.get(f"machdep.cpu.{key}", "") for key in ("features", "leaf7_features")
    ).split()
    prefix = "hw.optional.arm."
    features += [
        n.removeprefix(prefix) for n, v in values.items() if n.startswith(prefix) and v == "1"
    ]
    cores = int(values.get("hw.physicalcpu", "1"))
    return Host(
        cpu=values.get("machdep.cpu.brand_string", platform.processor() or "unknown CPU"),
        vendor=values.get("machdep.cpu.vendor", "Apple"),
        family=None,
        model=None,
        architecture=platform.machine(),
        instruction_sets=instruction_sets(features),
        num_cores=cores,
        num_threads=int(values.get("hw.logicalcpu", str(cores))),
        machine_cores=cores,
        cpu_quota=None,
        is_virtual=values.get("kern.hv_vmm_present") == "1",
        caches=tuple(_sysctl_caches(values, cores)),
        memory_bytes=memory_bytes,
        energy_counters=(),
        energy_readable=False,
    )


def _sysctl_caches(values: Mapping[str, str], cores: int) -> Iterator[Cache]:
    """Sizes are per instance; first level private, the others shared by all."""
    for level, key in ((1, "hw.l1dcachesize"), (2, "hw.l2cachesize"), (3, "hw.l3cachesize")):
        size = int(values.get(key, "0"))
        if size:
            private = level == 1
            yield Cache(
                level=level,
                bytes=size * cores if private else size,
                shared_by_cores=1 if private else cores,
            )


def _sysctl_values() -> dict[str, str]:
    done = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, check=False, timeout=10)
    pairs = (line.partition(":") for line in done.stdout.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _linux_host(root: Path, usable: tuple[int, ...], physical_bytes: int) -> Host:
    entries = _cpuinfo(root)
    first = entries[0] if entries else {}
    flags = (first.get("flags") or first.get("Features") or "").split()
    quota = cpu_quota(root)
    allowed = len(usable) if quota is None else max(1, min(len(usable), int(quota)))
    limit = memory_limit_bytes(root)
    counters = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
    return Host(
        cpu=_cpu_name(root, first),
        vendor=first.get("vendor_id", first.get("CPU implementer", "")),
        family=_int(first.get("cpu family")),
        model=_int(first.get("model")),
        architecture=platform.machine(),
        instruction_sets=instruction_sets(flags),
        num_cores=min(allowed, len(_physical(root, usable))),
        num_threads=allowed,
        machine_cores=len(_physical(root, _all_cpus(root, usable))),
        cpu_quota=quota if quota is not None and quota < len(usable) else None,
        is_virtual="hypervisor" in flags,
        caches=_caches(root, usable),
        memory_bytes=min(physical_bytes, limit or physical_bytes),
        energy_counters=tuple(c.name for c in counters),
        energy_readable=any(os.access(c / "energy_uj", os.R_OK) for c in counters),
    )


def _affinity() -> Iterable[int]:
    """CPUs this process may run on; all of them where the system has no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """One mapping per processor."""
    blocks = _text(root / "proc/cpuinfo").strip().split("\n\n")
    return [
        {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in block.splitlines())}
        for block in blocks
        if block.strip()
    ]


def _cpu_name(root: Path, first: Mapping[str, str]) -> str:
    """The model name; on Arm boards the board, on Arm servers the core."""
    if "model name" in first:
        return first["model name"]
    board = _text(root / "proc/device-tree/model").strip("\0 \n")
    implementer, part = first.get("CPU implementer", ""), first.get("CPU part", "")
    core = _PARTS.get((implementer, part)) or _IMPLEMENTERS.get(implementer, "")
    return board or core or platform.processor() or "unknown CPU"


def _physical(root: Path, cpus: Iterable[int]) -> set[tuple[str, str]]:
    """The distinct physical cores behind these hardware threads."""
    return {_core_of(root, cpu) for cpu in cpus}


def _core_of(root: Path, cpu: int) -> tuple[str, str]:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    package = _text(topology / "physical_package_id").strip()
    core = _text(topology / "thread_siblings_list").strip()
    return package, core or f"cpu{cpu}"


def _all_cpus(root: Path, usable: tuple[int, ...]) -> tuple[int, ...]:
    listed = _cpu_list(_text(root / "sys/devices/system/cpu/present"))
    return listed or usable


def _cpu_list(text: str) -> tuple[int, ...]:
    """``0-3,8`` -> 0, 1, 2, 3, 8."""
    ranges = (part.partition("-") for part in text.strip().split(",") if part)
    return tuple(
        cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)
    )


def _caches(root: Path, usable: tuple[int, ...]) -> tuple[Cache, ...]:
    """Data and unified caches the usable CPUs reach; empty where the kernel hides them."""
    instances: dict[tuple[int, str], int] = {}
    for cpu in usable:
        for index in (root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*"):
            level = _int(_text(index / "level").strip())
            size = _cache_bytes(_text(index / "size").strip())
            if level and size and _text(index / "type").strip() != "Instruction":
                instances[level, _text(index / "shared_cpu_list").strip()] = size
    levels = sorted({level for level, _ in instances})
    return tuple(
        Cache(
            level=level,
            bytes=sum(size for (of, _), size in instances.items() if of == level),
            shared_by_cores=max(
                len(_cpu_list(shared)) or 1 for of, shared in instances if of == level
            ),
        )
        for level in levels
    )


def _cache_bytes(text: str) -> int:
    """``1024K`` -> 1048576; sysfs writes binary prefixes without the i."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    digits = text.rstrip("KMG")
    return int(digits) * factor if digits.isdigit() else 0


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _text(path: Path) -> str:
    """The file, or nothing where this system has no such file or hides it."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

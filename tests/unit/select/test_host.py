"""The machine as the operating system describes it, from a fake file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from fitwright.records.device import Cache
from fitwright.select.host import Host, host_from_sysctl, read_host
from fitwright.select.instructions import has_bfloat16, instruction_sets

GIB = 1 << 30


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two cores with two threads each, 32 KiB + 1 MiB private, 16 MiB shared."""
    flags = "fpu sse4_2 avx avx2 fma f16c avx512f avx512_vnni amx_tile"
    block = (
        "processor\t: {}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
        f"model name\t: Intel(R) Xeon(R)\nflags\t\t: {flags}\n"
    )
    put(tmp_path, "proc/cpuinfo", "\n".join(block.format(i) for i in range(4)))
    put(tmp_path, "sys/devices/system/cpu/present", "0-3\n")
    for cpu in range(4):
        siblings = "0,2" if cpu % 2 == 0 else "1,3"
        base = f"sys/devices/system/cpu/cpu{cpu}"
        put(tmp_path, f"{base}/topology/thread_siblings_list", siblings + "\n")
        put(tmp_path, f"{base}/topology/physical_package_id", "0\n")
        levels = [("1", "Data", "32K", siblings), ("1", "Instruction", "32K", siblings)]
        levels += [("2", "Unified", "1024K", siblings), ("3", "Unified", "16M", "0-3")]
        for index, (level, kind, size, shared) in enumerate(levels):
            for name, value in (("level", level), ("type", kind), ("size", size)):
                put(tmp_path, f"{base}/cache/index{index}/{name}", value + "\n")
            put(tmp_path, f"{base}/cache/index{index}/shared_cpu_list", shared + "\n")
    return tmp_path


def read(root: Path, *, usable: tuple[int, ...] = (0, 1, 2, 3)) -> Host:
    return read_host(root=root, usable=usable, physical_memory_bytes=8 * GIB)


def test_cores_threads_caches_and_names_are_read(root: Path) -> None:
    host = read(root)
    assert (host.num_cores, host.num_threads, host.machine_cores) == (2, 4, 2)
    assert (host.cpu, host.vendor, host.family, host.model) == (
        "Intel(R) Xeon(R)",
        "GenuineIntel",
        6,
        143,
    )
    assert host.caches == (
        Cache(level=1, bytes=64 << 10, shared_by_cores=2),
        Cache(level=2, bytes=2 << 20, shared_by_cores=2),
        Cache(level=3, bytes=16 << 20, shared_by_cores=4),
    )
    assert "avx512_vnni" in host.instruction_sets and "fpu" not in host.instruction_sets
    assert (host.cpu_quota, host.memory_bytes, host.is_virtual) == (None, 8 * GIB, False)


def test_affinity_leaves_only_the_cores_this_process_may_use(root: Path) -> None:
    host = read(root, usable=(0, 2))
    assert (host.num_cores, host.num_threads, host.machine_cores) == (1, 2, 2)
    assert host.caches[1].bytes == 1 << 20


def test_a_v2_container_limits_cores_and_memory(root: Path) -> None:
    put(root, "proc/self/cgroup", "0::/pods/a\n")
    put(root, "sys/fs/cgroup/pods/a/cpu.max", "max 100000\n")
    put(root, "sys/fs/cgroup/pods/cpu.max", "150000 100000\n")
    put(root, "sys/fs/cgroup/pods/a/memory.max", f"{2 * GIB}\n")
    put(root, "sys/fs/cgroup/pods/memory.max", "max\n")
    host = read(root)
    assert host.cpu_quota == 1.5
    assert (host.num_cores, host.num_threads) == (1, 1)
    assert host.memory_bytes == 2 * GIB


def test_a_v1_container_limits_cores_and_memory(root: Path) -> None:
    put(root, "proc/self/cgroup", "4:memory:/box\n2:cpu,cpuacct:/box\n")
    put(root, "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "200000\n")
    put(root, "sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    put(root, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", f"{GIB}\n")
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    host = read(root)
    assert (host.cpu_quota, host.num_threads, host.memory_bytes) == (2.0, 2, GIB)


def test_a_group_hidden_by_a_namespace_falls_back_to_the_mount(root: Path) -> None:
    put(root, "proc/self/cgroup", "0::/hidden/elsewhere\n")
    put(root, "sys/fs/cgroup/cpu.max", "300000 100000\n")
    assert read(root).cpu_quota == 3.0


def test_a_quota_above_what_is_usable_is_no_limit(root: Path) -> None:
    put(root, "proc/self/cgroup", "0::/\n")
    put(root, "sys/fs/cgroup/cpu.max", "800000 100000\n")
    host = read(root)
    assert (host.cpu_quota, host.num_threads) == (None, 4)


def test_energy_counters_are_noted_whether_or_not_they_are_readable(root: Path) -> None:
    assert read(root).energy_counters == ()
    put(root, "sys/class/powercap/intel-rapl:0/name", "package-0\n")
    assert read(root).energy_counters == ("intel-rapl:0",)
    assert not read(root).energy_readable
    put(root, "sys/class/powercap/intel-rapl:0/energy_uj", "1\n")
    assert read(root).energy_readable


def test_an_arm_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    cpuinfo = "processor: 0\nFeatures: fp asimd asimddp asimdhp i8mm bf16\n"
    cpuinfo += "CPU implementer: 0x41\nCPU part: 0xd40\n"
    put(tmp_path, "proc/cpuinfo", cpuinfo)
    host = read(tmp_path, usable=(0,))
    assert host.cpu == "Neoverse-V1"
    assert host.instruction_sets == ("neon", "asimddp", "asimdhp", "i8mm", "bf16")
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B\0")
    assert read(tmp_path, usable=(0,)).cpu == "Raspberry Pi 5 Model B"


def test_a_system_that_hides_everything_still_gives_a_host(tmp_path: Path) -> None:
    host = read(tmp_path, usable=(0,))
    assert (host.num_cores, host.num_threads, host.caches) == (1, 1, ())
    assert host.instruction_sets == ()
    assert host.cpu


def test_macos_is_read_from_sysctl() -> None:
    values = {
        "machdep.cpu.brand_string": "Apple M1",
        "hw.physicalcpu": "8",
        "hw.logicalcpu": "8",
        "hw.l1dcachesize": "65536",
        "hw.l2cachesize": "4194304",
        "hw.optional.arm.AdvSIMD": "1",
        "hw.optional.arm.FEAT_DotProd": "1",
        "hw.optional.arm.FEAT_BF16": "0",
    }
    host = host_from_sysctl(values, memory_bytes=GIB)
    assert (host.cpu, host.num_cores) == ("Apple M1", 8)
    assert host.instruction_sets == ("neon", "asimddp")
    assert [c.bytes for c in host.caches] == [8 * 65536, 4194304]


def test_instruction_sets_have_one_name_on_every_system() -> None:
    assert instruction_sets(["AVX1.0", "SSE4.2", "AVX512F"]) == ("sse4_2", "avx", "avx512f")
    assert instruction_sets(["asimd"]) == instruction_sets(["AdvSIMD"]) == ("neon",)
    assert has_bfloat16(["avx512_bf16"]) and not has_bfloat16(["avx512f"])


def test_this_machine_can_be_read() -> None:
    host = read_host()
    assert 1 <= host.num_cores <= host.num_threads
    assert host.memory_bytes > 1 << 20

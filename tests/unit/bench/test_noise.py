"""Steal, clock and temperature from a tree of files like the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fitwright.bench.noise import NoiseWatch
from fitwright.records.noise import Noise


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def stat(*, user: int, idle: int, steal: int) -> str:
    times = f"{user} 0 0 {idle} 0 0 0 {steal} 7 0"
    first = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu{first} {times}\ncpu4096 1 1 1 1 1 1 1 1 1 1\nintr 5\n"


def test_stolen_time_is_a_share_of_the_time_since_the_start(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", stat(user=1000, idle=5000, steal=900))
    watch = NoiseWatch(tmp_path)
    put(tmp_path, "proc/stat", stat(user=1060, idle=5030, steal=910))
    assert watch.noise().steal_share == pytest.approx(0.1)


def test_what_neither_we_nor_nobody_took_is_of_others(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", stat(user=1000, idle=5000, steal=900))
    us, other = psutil.Process(), psutil.Process(os.getppid())
    own = iter([{us: 7.0}, {us: 7.0, other: 0.15}, {us: 7.05}])  # 20 ticks of 100 a second
    watch = NoiseWatch(tmp_path, own=lambda: next(own))
    put(tmp_path, "proc/stat", stat(user=1060, idle=5030, steal=910))
    assert watch.noise().others_share == pytest.approx((60 - 20) / 100)


def test_time_that_nobody_accounts_for_is_unknown(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", stat(user=1000, idle=5000, steal=900))
    watch = NoiseWatch(tmp_path, own=lambda: None)
    put(tmp_path, "proc/stat", stat(user=1060, idle=5030, steal=910))
    assert watch.noise().others_share is None


def test_what_a_child_took_until_a_look_is_our_own_after_its_end() -> None:
    watch = NoiseWatch()
    work = (
        "import time\ne = time.time() + 1\nwhile time.time() < e: pass\nprint(flush=True)\ninput()"
    )
    child = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=-1)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        before = watch._own_s
        watch.look()
        child.communicate(b"\n")
    watch.look()
    assert watch._own_s > before + 0.3  # it was busy for a second


def test_a_counter_that_steps_back_steals_nothing(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", stat(user=1000, idle=5000, steal=900))
    watch = NoiseWatch(tmp_path)
    put(tmp_path, "proc/stat", stat(user=1010, idle=5010, steal=899))
    assert watch.noise().steal_share == 0.0


def test_the_clock_is_the_mean_over_cores_and_looks(tmp_path: Path) -> None:
    for cpu, kilohertz in ((0, 2_000_000), (1, 3_000_000)):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{kilohertz}\n")
    watch = NoiseWatch(tmp_path)
    for cpu in (0, 1):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", "1500000\n")
    watch.look()
    assert watch.noise().frequency_hz == pytest.approx(2e9)


def test_without_cpufreq_the_clock_comes_from_cpuinfo(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2600.5\n\ncpu MHz\t: 2599.5\n")
    assert NoiseWatch(tmp_path).noise().frequency_hz == pytest.approx(2.6e9)


def test_the_temperature_is_the_hottest_that_was_seen(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "41000\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "65500\n")
    put(tmp_path, "sys/class/thermal/thermal_zone2/temp", "-274000\n")  # not connected
    watch = NoiseWatch(tmp_path)
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "50000\n")
    watch.look()
    assert watch.noise().temperature_c == 65.5


def test_without_thermal_zones_the_sensors_tell(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/hwmon/hwmon1/temp1_input", "58125\n")
    assert NoiseWatch(tmp_path).noise().temperature_c == 58.125


def test_what_the_machine_does_not_tell_is_unknown_and_never_zero(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", "cpu  1 2 3\n")
    put(tmp_path, "proc/cpuinfo", "cpu MHz\t: unknown\n")
    assert NoiseWatch(tmp_path).noise(floor=0.02) == Noise(floor=0.02)

"""What the machine tells about its own noise: time of others, clock, temperature.

Sources: proc(5) for ``/proc/stat``; the kernel's documentation of cpufreq, of the thermal
zones under ``/sys/class/thermal`` and of hwmon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import psutil

from fitwright.records.noise import Noise

IDLE, WAITING, STEAL = 3, 4, 7  # user nice system idle iowait irq softirq steal
NUM_TIMES = 8  # guest time, after these, is counted in user time already
HOTTEST_C = 150.0  # sensors that are not connected read nonsense

OwnTimes = dict[psutil.Process, float]


class NoiseWatch:
    """Looks at the machine from time to time, from when it is made.

    Args:
        root: where ``proc`` and ``sys`` are; another folder in tests.
        own: processor time of each of our processes so far, see `own_times`.
    """

    def __init__(
        self, root: Path = Path("/"), *, own: Callable[[], OwnTimes | None] | None = None
    ) -> None:
        self._root = root
        self._own = own or own_times
        self._start, self._last = _ticks(root), self._own()
        self._own_s = 0.0
        self._frequencies_hz: list[float] = []
        self._hottest_c: float | None = None
        self.look()

    def look(self) -> None:
        """Once more: clock and temperature change while a measurement goes on, and what a
        process took is not told after its end."""
        self._account()
        self._frequencies_hz += [f] if (f := _frequency_hz(self._root)) else []
        self._hottest_c = max(
            (c for c in (self._hottest_c, _temperature_c(self._root)) if c is not None),
            default=None,
        )

    def noise(self, *, floor: float | None = None) -> Noise:
        """What was seen since the start.

        Args:
            floor: relative spread between processes; the race knows it.
        """
        frequencies_hz = self._frequencies_hz
        self._account()
        spent = _spent(self._start, _ticks(self._root))
        return Noise(
            floor=floor,
            steal_share=spent[STEAL] / sum(spent) if spent else None,
            others_share=_of_others(spent, self._own_s) if spent and self._last else None,
            frequency_hz=fmean(frequencies_hz) if frequencies_hz else None,
            temperature_c=self._hottest_c,
        )

    def _account(self) -> None:
        """What our processes took since the look before; those that ended since do not count."""
        now = self._own() if self._last is not None else None
        for process, seconds in (now or {}).items():
            self._own_s += seconds - (self._last or {}).get(process, 0.0)
        self._last = now


def own_times() -> OwnTimes | None:
    """Processor time of each process of this program so far, in seconds.

    Of its first process and everything beneath it. The first is the last of our ancestors that
    runs the same interpreter. None where the system does not tell.
    """
    try:
        first = psutil.Process()
        for above in first.parents():
            if above.exe() != first.exe():
                break
            first = above
        found = [first, *first.children(recursive=True)]
    except psutil.Error:
        return None
    times: OwnTimes = {}
    for process in found:
        with suppress(psutil.Error):  # it ended in this moment
            times[process] = float(sum(process.cpu_times()[:2]))
    return times


def _ticks(root: Path) -> tuple[int, ...]:
    """Clock ticks since boot, by kind, of the processors we may use; empty where not readable."""
    lines = [line.split() for line in _text(root / "proc/stat").splitlines() if line[:3] == "cpu"]
    usable = _usable()
    ours = [line for line in lines if line[0] in usable] or lines[:1]
    rows = [line[1 : 1 + NUM_TIMES] for line in ours]
    if not rows or any(len(r) < NUM_TIMES or not all(t.isdigit() for t in r) for r in rows):
        return ()
    return tuple(sum(int(t) for t in kind) for kind in zip(*rows, strict=True))


def _usable() -> frozenset[str]:
    """Names in ``/proc/stat`` of the processors that this process may use; empty: any."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    return frozenset(f"cpu{number}" for number in os.sched_getaffinity(0))


def _spent(start: tuple[int, ...], end: tuple[int, ...]) -> list[int]:
    """Ticks between two looks, by kind; empty when less than one has passed."""
    if not start or not end:
        return []
    # counters of idle and of stolen time may step back a little: proc(5)
    spent = [max(0, b - a) for a, b in zip(start, end, strict=True)]
    return spent if sum(spent) else []


def _of_others(spent: list[int], own_s: float) -> float:
    """Share of the time that neither we nor nobody took."""
    busy = sum(spent) - spent[IDLE] - spent[WAITING] - spent[STEAL]
    return min(1.0, max(0.0, busy - own_s * os.sysconf("SC_CLK_TCK")) / sum(spent))


def _frequency_hz(root: Path) -> float | None:
    """Mean over the cores: as cpufreq gives it, else as ``/proc/cpuinfo`` does."""
    cpus = root / "sys/devices/system/cpu"
    kilohertz = list(_numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if kilohertz:
        return fmean(kilohertz) * 1e3
    lines = _text(root / "proc/cpuinfo").splitlines()
    megahertz = [x for line in lines if line.startswith("cpu MHz") if (x := _number(line))]
    return fmean(megahertz) * 1e6 if megahertz else None


def _temperature_c(root: Path) -> float | None:
    """The hottest thermal zone; where there is none, the hottest hwmon sensor."""
    for folder, pattern in (("thermal", "thermal_zone*/temp"), ("hwmon", "hwmon*/temp*_input")):
        read = (x / 1e3 for x in _numbers(root / "sys/class" / folder, pattern))
        if degrees := [c for c in read if 0 < c < HOTTEST_C]:
            return max(degrees)
    return None


def _numbers(folder: Path, pattern: str) -> Iterator[float]:
    for file in sorted(folder.glob(pattern)):
        if number := _number(_text(file)):
            yield number


def _number(text: str) -> float | None:
    """The last word as a number; None when it is none."""
    try:
        return float(text.split()[-1])
    except (IndexError, ValueError):
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""  # not readable here; the value stays unknown

"""What the machine tells about its own noise: stolen time, clock, temperature.

Sources: proc(5) for ``/proc/stat``; the kernel's documentation of cpufreq, of the thermal
zones under ``/sys/class/thermal`` and of hwmon.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from fitwright.records.noise import Noise

STEAL = 7  # user nice system idle iowait irq softirq steal
NUM_TIMES = 8  # guest time, after these, is counted in user time already
HOTTEST_C = 150.0  # sensors that are not connected read nonsense


class NoiseWatch:
    """Looks at the machine from time to time, from when it is made.

    Args:
        root: where ``proc`` and ``sys`` are; another folder in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._start = _ticks(root)
        self._frequencies_hz: list[float] = []
        self._hottest_c: float | None = None
        self.look()

    def look(self) -> None:
        """Once more: clock and temperature change while a measurement goes on."""
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
        return Noise(
            floor=floor,
            steal_share=_stolen(self._start, _ticks(self._root)),
            frequency_hz=fmean(frequencies_hz) if frequencies_hz else None,
            temperature_c=self._hottest_c,
        )


def _ticks(root: Path) -> tuple[int, ...]:
    """Clock ticks of all processors by kind since boot; empty where not readable."""
    first = _text(root / "proc/stat").partition("\n")[0].split()
    ticks = first[1 : 1 + NUM_TIMES]
    if len(ticks) < NUM_TIMES or not all(t.isdigit() for t in ticks):
        return ()
    return tuple(int(t) for t in ticks)


def _stolen(start: tuple[int, ...], end: tuple[int, ...]) -> float | None:
    """None as well when less than a tick has passed."""
    if not start or not end:
        return None
    # counters of idle and of stolen time may step back a little: proc(5)
    spent = [max(0, b - a) for a, b in zip(start, end, strict=True)]
    return spent[STEAL] / sum(spent) if sum(spent) else None


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

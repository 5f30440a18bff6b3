"""The memory that this process has resident, as the kernel counts it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most since the mark was last set back, without what it shares with other processes."""
    status = _status_bytes()
    if "VmHWM" not in status:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return status["VmHWM"] - status.get("RssShmem", 0)


def forget_peak() -> None:
    """Start the kernel's high-water mark anew (clear_refs, value 5: proc(5))."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the mark then counts queries that are no longer there: too high, never too low


def _status_bytes() -> dict[str, int]:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    rows = (line.split() for line in lines if line.endswith(" kB"))
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}

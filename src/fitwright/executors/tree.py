"""The processes beneath one process, and what they hold in memory."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_LIBC = ctypes.CDLL(None)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, argument, 0, 0, 0)


def adopt_orphans() -> None:
    """From now on orphans of this process's tree become its children (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """From now on the kernel kills this process when its parent ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for t in tasks for word in (t / "children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Every process beneath `pid`, which is not itself included."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        try:
            return [p.pid for p in psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return []
    found: list[int] = []
    waiting = _children(pid)
    while waiting:
        found.append(waiting.pop())
        waiting += _children(found[-1])
    return found


def num_threads(pid: int) -> int:
    """Threads of one process; 0 when it has ended."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


def resident_bytes(pid: int) -> int:
    """Resident memory of one process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return _resident_bytes_elsewhere(pid)


def _resident_bytes_elsewhere(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def runs(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill(pid: int) -> None:
    """SIGKILL, if it still runs."""
    signal_to(pid, signal.SIGKILL)


def signal_to(pid: int, number: int) -> None:
    """Send a signal, if that process still runs."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def stop_beneath(pid: int, *, within_s: float) -> tuple[int, ...]:
    """Stop every process beneath `pid`, and wait until they stand still; their ids.

    Those forked while others are being stopped are found by looking again. One that the
    kernel holds in a disk access stops later, and is not waited for longer than `within_s`.
    """
    found: list[int] = []
    end = time.monotonic() + within_s
    while new := [one for one in descendants(pid) if one not in found]:
        for one in new:
            signal_to(one, signal.SIGSTOP)
        found += new
        while any(_still_runs(one) for one in new) and time.monotonic() < end:
            time.sleep(0)
    return tuple(found)


def _still_runs(pid: int) -> bool:
    """Not stopped, not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "TtZX"

"""A candidate that one worker has taken on, and how others tell that the worker is gone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from fitwright.errors import RunStopped

MOST_ATTEMPTS = 2  # a dead worker's candidate is retried once
ANY_NUMBER = 1 << 30  # of attempts: for what no worker's death is blamed on
LEASE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One worker's claim of one candidate.

    Attributes:
        key: of the candidate, unique within a run.
        worker: its name, for people.
        process: which process that is, see `this_process`; empty when it is not known.
        attempt: 1 for the first worker that tries the candidate.
        lease_s: silence after which others may think the worker dead, seconds.
    """

    key: str
    worker: str
    process: str
    attempt: int
    lease_s: float

    @property
    def is_last(self) -> bool:
        """Whether nobody may try the candidate again after this."""
        return self.attempt >= MOST_ATTEMPTS


def taken_over(driver: Lease) -> RunStopped:
    """What a driver is told that was silent for too long."""
    return RunStopped(
        f"{driver.worker} gave no sign of life for {driver.lease_s:g} s, and another process "
        "has gone on with the run",
        code="FW500",
        remedy="Leave it to the other one; every trial that was recorded here is kept.",
    )


def this_worker() -> str:
    """``host/1234``: the name under which this process works."""
    return f"{socket.gethostname()}/{os.getpid()}"


def this_process() -> str:
    """Identifies this process for good: ``boot/namespace:id@start``.

    Empty where the system does not tell (no ``/proc``); then only silence shows a death.
    """
    pid = os.getpid()
    here, started = _machine(), _started(pid)
    return f"{here}:{pid}@{started}" if here and started else ""


def is_gone(process: str) -> bool:
    """Whether that process has certainly ended; False for one of another machine."""
    machine, _, which = process.rpartition(":")
    if not machine or machine != _machine():
        return False
    pid, _, started = which.partition("@")
    return _started(int(pid)) != started


def is_alive_here(process: str) -> bool:
    """Whether that process certainly runs on this machine."""
    machine = process.rpartition(":")[0]
    return bool(machine) and machine == _machine() and not is_gone(process)


def _machine() -> str:
    """This boot of this machine and the namespace of its process ids; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Clock ticks from boot to the start of a living process; empty for none or a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in (b"Z", b"X") else after_name[19].decode()

"""One process at a time goes on with a run; the kernel lets go when that process ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from fitwright.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where nothing is held
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a run's folder, which exists, for this process; nothing of it is left behind.

    Yields:
        Whether the kernel keeps others away; not where the file system has no locks.

    Raises:
        UsageError: another process is at work on the run.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield fcntl is not None and _locked(handle, folder)
    finally:
        os.close(handle)


def _locked(handle: int, folder: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _at_work(handle, folder) from error
    except OSError:
        return False  # a file system without locks: nobody can be told from nobody
    return True


def _at_work(handle: int, folder: Path) -> UsageError:
    pid = _holder(handle)
    who = f"process {pid} on {socket.gethostname()}" if pid else "another process"
    wait = f" (`tail --pid={pid} -f /dev/null`)" if pid else ""
    return UsageError(
        f"{who} is at work on {folder}",
        code="FW121",
        remedy=f"Wait until it has ended{wait} and go on with `fitwright tune {folder}`, or start "
        "a new run with `fitwright fit`.",
    )


def _holder(handle: int) -> int | None:
    """The process that holds the lock, by proc(5); None where the kernel does not tell."""
    inode = str(os.fstat(handle).st_ino)
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return None
    # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF
    found = {int(w[4]) for w in locks if w[1] == "FLOCK" and w[5].rpartition(":")[2] == inode}
    return found.pop() if len(found) == 1 and min(found) > 0 else None

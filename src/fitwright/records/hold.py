"""One process at a time goes on with a run; the kernel lets go when that process ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fitwright.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where nothing is held
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, which exists, for this process; nothing of it is left behind.

    Raises:
        UsageError: another process is at work on the run.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"another process is at work on {folder}",
            code="FW121",
            remedy="Wait until it has ended, or start a new run with `fitwright fit`.",
        ) from error
    except OSError:
        return  # a file system without locks: nobody can be told from nobody

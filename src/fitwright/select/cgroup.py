"""What the container allows: CPU quota and memory, from control groups v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cpu_quota(root: Path) -> float | None:
    """CPU time this process may use, in cores; the tightest of all levels, None if free.

    Args:
        root: of the file system, ``/`` outside tests.
    """
    found = [
        *(_quota_v2(folder) for folder in _folders(root, controller="")),
        *(_quota_v1(folder) for folder in _folders(root, controller="cpu")),
    ]
    return min((q for q in found if q is not None), default=None)


def memory_limit_bytes(root: Path) -> int | None:
    """Memory this process may use, bytes; the tightest of all levels, None if free."""
    found = [
        *(_number(folder / "memory.max") for folder in _folders(root, controller="")),
        *(
            _number(folder / "memory.limit_in_bytes")
            for folder in _folders(root, controller="memory")
        ),
    ]
    return min((n for n in found if n is not None), default=None)


def _folders(root: Path, *, controller: str) -> Iterator[Path]:
    """This process's group and its parents; the mounts' roots when it cannot be found.

    Args:
        controller: the name of a v1 controller, or empty for the v2 hierarchy.
    """
    mounts = [root / "sys/fs/cgroup" / controller]
    if controller == "":
        mounts.append(root / "sys/fs/cgroup/unified")
    group = _own_group(root, controller)
    for mount in mounts:
        folder = mount / group.lstrip("/")
        while folder != mount:
            yield folder
            folder = folder.parent
        yield mount


def _own_group(root: Path, controller: str) -> str:
    """The path from ``/proc/self/cgroup``; lines read ``id:controllers:path``."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(",") and ".." not in path:
            return path
    return "/"


def _quota_v2(folder: Path) -> float | None:
    """``cpu.max`` holds ``quota period`` in microseconds, or ``max period``."""
    words = _text(folder / "cpu.max").split()
    if len(words) != 2 or not all(w.isdigit() for w in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> float | None:
    """A quota of -1 means none."""
    quota = _number(folder / "cpu.cfs_quota_us")
    period = _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    """The file, or nothing where this system has no such file or hides it."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

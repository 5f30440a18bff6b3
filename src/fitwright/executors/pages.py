"""Pages of libraries in memory: a fork leaves them behind, and a memory figure must not.

The kernel does not copy the page tables of mapped files on a fork: it fills them in again on
use. So a copy of a process that has imported a framework seems smaller than a process that
imported it itself. What the template had in use therefore counts for its copies too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fitwright.ports import Array

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PRESENT = np.uint64(1 << 63)  # bit 63 of an entry: Documentation/admin-guide/mm/pagemap.rst
NEAR_PAGES = 16  # the kernel maps neighbours of a page in use by the 64 KiB

Run = tuple[int, int]


def in_use() -> tuple[Run, ...]:
    """Runs of pages of mapped files that this process has in use: first page and how many."""
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            lines = Path("/proc/self/maps").read_text().splitlines()
            return tuple(run for line in lines for run in _runs(line, pagemap.fileno()))
    except OSError:
        return ()  # elsewhere than on Linux


def left_behind_bytes(runs: tuple[Run, ...]) -> int:
    """Of those pages, the size of what this process has not in use itself."""
    if not runs:
        return 0
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        absent = (num - np.count_nonzero(_present(pagemap.fileno(), first, num))
                  for first, num in runs)  # fmt: skip
        return int(sum(absent)) * PAGE_BYTES


def _runs(line: str, pagemap: int) -> list[Run]:
    """The runs within one line of ``/proc/self/maps``."""
    addresses, permissions, _, _, inode, *_ = line.split()
    if inode == "0" or not permissions.startswith("r"):
        return []
    first, end = (int(address, 16) // PAGE_BYTES for address in addresses.split("-"))
    used = np.flatnonzero(_present(pagemap, first, end - first))
    if not len(used):
        return []
    parts = np.split(used, np.flatnonzero(np.diff(used) > NEAR_PAGES) + 1)
    return [(int(first + p[0]), int(p[-1] - p[0] + 1)) for p in parts]


def _present(pagemap: int, first: int, num: int) -> Array:
    entries: Array = np.frombuffer(os.pread(pagemap, 8 * num, 8 * first), np.uint64)
    present: Array = (entries & PRESENT) != 0
    return present

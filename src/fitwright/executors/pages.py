"""Pages of libraries in memory: a fork leaves them behind, and a memory figure must not.

The kernel does not copy the page tables of mapped files on a fork: it fills them in again on
use. So a copy of a process that has imported a framework seems smaller than a process that
imported it itself. What the template had in use therefore counts for its copies too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitwright.ports import Array

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PRESENT = np.uint64(1 << 63)  # bit 63 of an entry: Documentation/admin-guide/mm/pagemap.rst
NEAR_PAGES = 16  # the kernel maps neighbours of a page in use by the 64 KiB
APART_PAGES = 1024  # reading so many entries in between costs less than another call

Run = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class InUse:
    """Pages of mapped files that a process has in use.

    Attributes:
        spans: what to read of the page map, each its first page and how many.
        wanted: which of the entries read so are those pages.
    """

    spans: tuple[Run, ...]
    wanted: Array

    @property
    def num_pages(self) -> int:
        """How many there are."""
        return len(self.wanted)


def in_use() -> InUse | None:
    """Those of this process; None elsewhere than on Linux."""
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            lines = Path("/proc/self/maps").read_text().splitlines()
            runs = [run for line in lines for run in _runs(line, pagemap.fileno())]
    except OSError:
        return None
    return _joined(runs)


def left_behind_bytes(pages: InUse | None) -> int:
    """Of those pages, the size of what this process has not in use itself."""
    if pages is None or not pages.num_pages:
        return 0
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        found = [_present(pagemap.fileno(), first, num) for first, num in pages.spans]
    present = np.count_nonzero(np.concatenate(found)[pages.wanted])
    return (pages.num_pages - int(present)) * PAGE_BYTES


def _joined(runs: list[Run]) -> InUse:
    """The runs, those that are near each other read at once."""
    spans: list[Run] = []
    wanted, num_read = [], 0
    for first, num in sorted(runs):
        begin, size = spans[-1] if spans else (0, 0)
        if spans and first - (begin + size) < APART_PAGES:
            spans[-1] = (begin, first + num - begin)
            num_read += first + num - (begin + size)
        else:
            spans.append((first, num))
            num_read += num
        wanted.append(np.arange(num_read - num, num_read))
    return InUse(spans=tuple(spans), wanted=np.concatenate(wanted) if wanted else np.arange(0))


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

"""Pages of libraries that a fork leaves behind are counted, however they lie in memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from fitwright.executors import pages

NUM_PAGES = 3000  # more than are read at once where nothing lies between


@pytest.fixture
def library(tmp_path: Path) -> Path:
    file = tmp_path / "library.so"
    file.write_bytes(b"\1" * NUM_PAGES * pages.PAGE_BYTES)
    return file


def told_by_a_copy(touched: mmap.mmap, in_use: pages.InUse) -> int:
    """What a fresh fork says that was left behind, less what it says after touching it."""
    ours, theirs = os.pipe()
    if os.fork() == 0:
        before = pages.left_behind_bytes(in_use)
        for page in range(NUM_PAGES):
            touched[page * pages.PAGE_BYTES]
        os.write(theirs, (before - pages.left_behind_bytes(in_use)).to_bytes(8, "little"))
        os._exit(0)
    os.close(theirs)
    said = int.from_bytes(os.read(ours, 8), "little")
    os.close(ours)
    os.wait()
    return said


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="Linux only")
def test_pages_far_apart_and_near_each_other_are_counted_alike(library: Path) -> None:
    with library.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    before = pages.in_use()
    for page in (*range(64), *range(1500, 1564)):  # the kernel maps their neighbours with them
        mapped[page * pages.PAGE_BYTES]
    after = pages.in_use()
    assert before is not None and after is not None
    touched = after.num_pages - before.num_pages
    assert touched >= 128
    # what else the copy has touched in between is a few pages of this interpreter
    assert told_by_a_copy(mapped, after) >= touched * pages.PAGE_BYTES

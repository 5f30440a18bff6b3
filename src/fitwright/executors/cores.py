"""Which cores an instance keeps to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")


def usable_cores() -> tuple[int, ...]:
    """Those this process may run on, hardware threads of one core side by side."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return by_place(sorted(os.sched_getaffinity(0)))


def by_place(cores: Sequence[int], *, root: Path = CPUS) -> tuple[int, ...]:
    """Ordered by package and physical core, so that a contiguous part shares what it can."""
    return tuple(sorted(cores, key=lambda core: (*physical_core(core, root=root), core)))


def physical_core(core: int, *, root: Path = CPUS) -> tuple[int, int]:
    """Package and physical core of a hardware thread; itself where the system does not say."""
    try:
        topology = root / f"cpu{core}" / "topology"
        package = int((topology / "physical_package_id").read_text())
        return package, int((topology / "core_id").read_text())
    except (OSError, ValueError):
        return 0, core


def num_physical(cores: Sequence[int], *, root: Path = CPUS) -> int:
    """Physical cores among these hardware threads."""
    return len({physical_core(core, root=root) for core in cores})


def dealt(cores: Sequence[int], num: int) -> tuple[tuple[int, ...], ...]:
    """`num` disjoint contiguous parts that differ by at most one core and leave none out."""
    ends = [len(cores) * i // num for i in range(num + 1)]
    return tuple(tuple(cores[a:b]) for a, b in pairwise(ends))


def shares(total: int, num: int) -> tuple[int, ...]:
    """`total` divided among `num` as evenly as whole numbers allow, the larger ones first."""
    return tuple(total // num + (i < total % num) for i in range(num))

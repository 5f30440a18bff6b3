"""Cores and callers are divided without loss or overlap."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fitwright.executors.cores import by_place, dealt, num_physical, shares

core_lists = st.lists(st.integers(0, 500), unique=True, max_size=80)


@given(core_lists, st.integers(1, 100))
def test_parts_are_disjoint_leave_no_core_out_and_differ_by_one(cores: list[int], num: int) -> None:
    parts = dealt(cores, num)
    assert len(parts) == num
    assert [core for part in parts for core in part] == cores
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 1000), st.integers(1, 100))
def test_shares_add_up_and_differ_by_one(total: int, num: int) -> None:
    found = shares(total, num)
    assert len(found) == num
    assert sum(found) == total
    assert max(found) - min(found) <= 1
    assert list(found) == sorted(found, reverse=True)


def topology(root: Path, places: dict[int, tuple[int, int]]) -> Path:
    """As the kernel shows it: hardware thread to package and core."""
    for cpu, (package, core) in places.items():
        folder = root / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "core_id").write_text(f"{core}\n")
    return root


def test_hardware_threads_of_a_core_lie_side_by_side(tmp_path: Path) -> None:
    # four cores in two packages; the second threads are numbered after all first ones
    root = topology(tmp_path, {cpu: (cpu % 4 // 2, cpu % 2) for cpu in range(8)})
    assert by_place(range(8), root=root) == (0, 4, 1, 5, 2, 6, 3, 7)
    assert num_physical((0, 4, 1), root=root) == 2
    # so two instances get a package each
    assert dealt(by_place(range(8), root=root), 2) == ((0, 4, 1, 5), (2, 6, 3, 7))


def test_without_a_topology_every_hardware_thread_counts_as_a_core(tmp_path: Path) -> None:
    assert by_place((3, 1, 2), root=tmp_path) == (1, 2, 3)
    assert num_physical((3, 1, 2), root=tmp_path) == 3

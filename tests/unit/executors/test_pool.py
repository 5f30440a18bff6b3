"""Children that are used again, and when they are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fitwright.errors import ModelRefused, TrialFailed
from fitwright.executors.pool import PoolExecutor
from fitwright.ports import ChildLimits
from fitwright.testing import faults
from processes import gone, trial_processes

MIB = 1 << 20
LIMITS = ChildLimits(wall_s=20.0, memory_bytes=400 * MIB)


@pytest.fixture
def pool() -> Iterator[PoolExecutor]:
    before = trial_processes()
    pool = PoolExecutor()
    yield pool
    pool.close()
    assert gone(lambda: trial_processes() - before)


def test_the_next_call_finds_the_same_child(pool: PoolExecutor) -> None:
    assert pool.call(os.getpid, LIMITS) == pool.call(os.getpid, LIMITS)


def test_an_error_does_not_cost_a_child(pool: PoolExecutor) -> None:
    first = pool.call(os.getpid, LIMITS)
    with pytest.raises(TrialFailed):
        pool.call(faults.raise_value_error, LIMITS)
    assert pool.call(os.getpid, LIMITS) == first


def test_an_error_for_the_user_passes_through(pool: PoolExecutor) -> None:
    with pytest.raises(ModelRefused):
        pool.call(faults.raise_refusal, LIMITS)


def test_other_limits_or_surroundings_need_another_child(
    pool: PoolExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = pool.call(os.getpid, LIMITS)
    assert pool.call(os.getpid, ChildLimits(wall_s=21.0)) != first
    monkeypatch.setenv("FITWRIGHT_TEST", "later")
    assert pool.call(faults.environment, LIMITS, "FITWRIGHT_TEST") == "later"
    monkeypatch.chdir(tmp_path)
    assert pool.call(os.getcwd, LIMITS) == str(tmp_path)


def test_a_child_that_grew_is_not_used_again(pool: PoolExecutor) -> None:
    first = pool.call(os.getpid, LIMITS)
    pool.call(faults.remember, LIMITS, bytes(1))
    pool.call(faults.keep_memory, LIMITS, 250 * MIB)
    assert pool.call(os.getpid, LIMITS) != first


def test_processes_left_behind_end_with_the_call(pool: PoolExecutor, tmp_path: Path) -> None:
    pool.call(faults.leave_grandchildren, LIMITS, tmp_path, then_die=False)
    pids = [int(f.name) for f in tmp_path.iterdir()]
    assert len(pids) == 2
    assert gone(lambda: [p for p in pids if psutil.pid_exists(p)])

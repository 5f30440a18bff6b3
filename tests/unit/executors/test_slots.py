"""Nothing else runs on the cores of a timing, and nobody's clock runs while it is stopped."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import TrialFailed, UsageError
from fitwright.executors import slots
from fitwright.executors.local import LocalExecutor
from fitwright.executors.slots import Gate, divided, one_slot
from fitwright.ports import ChildLimits, Worker
from fitwright.records.plan import Settings
from fitwright.testing import faults
from fitwright.testing.models import write_two_layers

LIMITS = ChildLimits(wall_s=300.0)
WORK_S = 120.0
"""CPU time of work that is told to end, by removing its file, long before it comes to that."""
ATTEMPTS = 4
"""A machine that stands still can spoil what takes seconds, though not time after time."""
num_cores = len(os.sched_getaffinity(0))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[tuple[LocalExecutor, Worker]]:
    executor = LocalExecutor(workers=2)
    model = write_two_layers(tmp_path / "model.onnx")
    worker = executor.open(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
    worker.feed({"x": np.ones((1, 1, 16), np.float32)})
    yield executor, worker
    worker.close()


@given(st.integers(1, 64), st.integers(1, 8), st.integers(0, 16))
def test_cores_are_divided_without_rest_or_refused(
    num: int, num_measuring: int, num_background: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "usable_cores", lambda: tuple(range(num)))
        if num_measuring + num_background > num:
            with pytest.raises(UsageError):
                divided(num_measuring=num_measuring, num_background=num_background)
            return
        found = divided(num_measuring=num_measuring, num_background=num_background)
        parts = list(chain.from_iterable(found.measuring))
        parts += found.background if num_background else ()
        assert sorted(parts) == list(range(num))
        assert all(found.measuring)
        assert found.background
        assert found.whole == (num_measuring == 1 and num_background == 0)


def test_by_default_a_candidate_has_every_core() -> None:
    assert one_slot().whole
    assert set(one_slot().measuring[0]) == os.sched_getaffinity(0)


def cpu_s(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def test_other_work_stands_still_during_a_timing(
    worker: tuple[LocalExecutor, Worker], tmp_path: Path
) -> None:
    executor, measuring = worker
    file = tmp_path / "pid"
    future = executor.submit(faults.spin, LIMITS, WORK_S, file)
    pid = begun(file)
    latencies_s = measuring.time_block(seconds=0.0)
    assert len(latencies_s) >= 1
    used_s = []
    # a core that is taken away may stop the work a little late, though not every time
    while not (used_s and used_s[-1] == 0) and len(used_s) < ATTEMPTS:
        with executor._gate.measuring(executor._slots.measuring[0]):
            before_s = cpu_s(pid)
            time.sleep(0.4)
            used_s.append(cpu_s(pid) - before_s)
    assert used_s[-1] == 0, used_s  # not a tick of CPU time within 0.4 s
    goes_on_from = cpu_s(pid)
    while cpu_s(pid) == goes_on_from:
        time.sleep(0.01)
    file.unlink()
    assert future.result() > 0  # it went on, and to its end


def begun(file: Path) -> int:
    """The process that does the work, once it does."""
    while not (file.exists() and file.read_text()):
        time.sleep(0.01)
    return int(file.read_text())


def test_the_clock_of_a_stopped_child_stands_still(
    worker: tuple[LocalExecutor, Worker], tmp_path: Path
) -> None:
    executor, measuring = worker
    for attempt in range(ATTEMPTS):
        limits, file = ChildLimits(wall_s=2.0 * (1 + attempt)), tmp_path / f"{attempt}"
        future = executor.submit(faults.spin, limits, WORK_S, file)
        begun(file)
        measuring.time_block(seconds=limits.wall_s + 0.5)
        file.unlink()
        if future.exception() is None:
            break
    assert future.result() > 0


def test_a_child_that_hangs_while_nothing_is_measured_still_times_out(
    worker: tuple[LocalExecutor, Worker],
) -> None:
    executor, measuring = worker
    future = executor.submit(faults.loop_forever, ChildLimits(wall_s=0.5))
    measuring.time_block(seconds=0.2)
    with pytest.raises(TrialFailed) as caught:
        future.result()
    assert caught.value.cause == "timeout"


def test_what_is_submitted_runs_at_once_up_to_the_number_of_workers(tmp_path: Path) -> None:
    executor = LocalExecutor(workers=2)
    futures = [executor.submit(faults.meet, LIMITS, tmp_path, n) for n in range(2)]
    # each waits for the other's file: one after the other they would never end
    assert sorted(f.result() for f in futures) == [0, 1]


def test_what_has_not_begun_can_be_cancelled(tmp_path: Path) -> None:
    executor, file = LocalExecutor(workers=1), tmp_path / "pid"
    first = executor.submit(faults.spin, LIMITS, WORK_S, file)
    second = executor.submit(faults.echo, LIMITS, 1)
    begun(file)
    assert second.cancel()
    file.unlink()
    assert first.result() > 0


def test_a_submitted_function_that_cannot_be_sent_raises_in_its_future() -> None:
    future = LocalExecutor().submit(lambda: 1, LIMITS)
    with pytest.raises((AttributeError, TypeError)) as caught:
        future.result()
    assert "pickle" in str(caught.value).lower()


def test_threads_may_share_an_executor() -> None:
    executor, found = LocalExecutor(), list[object]()
    threads = [
        threading.Thread(target=lambda n=n: found.append(executor.call(faults.echo, LIMITS, n)))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, found)) == list(range(6))  # type: ignore[call-overload]


@pytest.mark.skipif(num_cores < 2, reason="needs a core for each of two slots")
def test_slots_measure_on_their_own_cores(tmp_path: Path) -> None:
    executor = LocalExecutor(slots=divided(num_measuring=2))
    model = write_two_layers(tmp_path / "model.onnx")
    seen = []
    for number in range(2):
        here = executor.on_slot(number)
        seen.append(here.call(os.sched_getaffinity, LIMITS, 0))
        worker = here.open(OnnxRuntime(), model, Settings(), limits=LIMITS)
        assert {int(c) for c in worker.facts["cores"].split(",")} == seen[-1]
        worker.close()
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == os.sched_getaffinity(0)


def test_a_gate_lets_one_measure_per_core_set() -> None:
    gate, now, most = Gate(), dict.fromkeys("ab", 0), dict.fromkeys("ab", 0)

    def measure(slot: str, cores: tuple[int, ...]) -> None:
        for _ in range(20):
            with gate.measuring(cores):
                now[slot] += 1
                most[slot] = max(most[slot], now[slot])
                time.sleep(0.001)
                now[slot] -= 1

    threads = [
        threading.Thread(target=measure, args=args)
        for args in (("a", (0,)), ("a", (0, 1)), ("b", (2,)), ("b", (2, 3)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == {"a": 1, "b": 1}


def test_slots_on_cores_of_their_own_measure_at_once() -> None:
    gate, both = Gate(), threading.Barrier(2, timeout=120)

    def measure(core: int) -> None:
        with gate.measuring((core,)):
            both.wait()  # passes only when the other is inside too

    threads = [threading.Thread(target=measure, args=(core,)) for core in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken

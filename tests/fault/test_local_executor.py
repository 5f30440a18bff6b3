"""Children that go wrong in every way: the cause is known, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fitwright.errors import ModelRefused, StorageError, TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits
from fitwright.records.trial import Failure
from fitwright.testing import faults
from processes import PATIENCE_S, gone, trial_processes

MIB = 1 << 20
LIMITS = ChildLimits(wall_s=20.0, memory_bytes=400 * MIB, output_bytes=4 * MIB)
SHORT = ChildLimits(wall_s=1.0, memory_bytes=400 * MIB)


def segments() -> set[str]:
    shared = Path("/dev/shm")
    return {f.name for f in shared.iterdir()} if shared.is_dir() else set()


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    """An executor that must work after the fault and leave no process and no segment."""
    before, segments_before = trial_processes(), segments()
    executor = LocalExecutor()
    yield executor
    assert executor.call(faults.echo, LIMITS, "still works") == "still works"
    assert gone(lambda: trial_processes() - before)
    # other programs may come and go in /dev/shm; ours would carry one of these names, and stay
    ours = ("psm_", "fitwright")
    assert gone(lambda: [n for n in segments() - segments_before if n.startswith(ours)])


CASES = [
    ("raised", faults.raise_value_error, (), LIMITS, "ValueError: seven is not a shape"),
    ("raised", faults.exit_from_python, (), LIMITS, "SystemExit: 3"),
    ("memory", faults.raise_memory_error, (), LIMITS, "MemoryError"),
    ("memory", faults.touch_memory, (800 * MIB,), LIMITS, "resident, allowed 400 MiB"),
    ("memory", faults.allocate_at_once, (3000 * MIB,), LIMITS, "MemoryError"),
    ("crashed", faults.segfault, (), LIMITS, "SIGSEGV"),
    ("crashed", faults.abort, (), LIMITS, "SIGABRT"),
    ("crashed", faults.exit_at_once, (), LIMITS, "status 3"),
    ("crashed", faults.print_words, ("the last word",), LIMITS, "the last word"),
    ("killed", faults.kill_self, (), LIMITS, "SIGKILL"),
    ("killed", faults.kill_parent, (), LIMITS, "SIGKILL"),
    ("timeout", faults.loop_forever, (), SHORT, "no answer within 1 s"),
    ("timeout", faults.wait_natively, (), SHORT, "no answer within 1 s"),
    ("timeout", faults.ignore_signals_forever, (), SHORT, "no answer within 1 s"),
    ("output", faults.print_forever, (), LIMITS, "printed over 4 MiB"),
]


@pytest.mark.parametrize(
    ("cause", "fault", "args", "limits", "detail"), CASES, ids=[c[1].__name__ for c in CASES]
)
def test_a_fault_becomes_a_cause_and_the_executor_works_on(
    executor: LocalExecutor,
    cause: str,
    fault: Callable[..., None],
    args: tuple[object, ...],
    limits: ChildLimits,
    detail: str,
) -> None:
    begin = time.monotonic()
    with pytest.raises(TrialFailed) as caught:
        executor.call(fault, limits, *args)
    failure = Failure.of(caught.value)
    assert failure.cause == cause
    assert detail in failure.detail
    assert "\n" not in failure.detail
    assert len(failure.detail) <= 300
    # the limit, and what the warden may take to kill, reap and report on a busy machine
    assert time.monotonic() - begin < limits.wall_s + PATIENCE_S


@pytest.mark.parametrize("then_die", [False, True])
def test_grandchildren_end_with_their_parent(
    executor: LocalExecutor, tmp_path: Path, then_die: bool
) -> None:
    try:
        executor.call(faults.leave_grandchildren, LIMITS, tmp_path, then_die=then_die)
    except TrialFailed as failed:
        assert then_die
        assert failed.cause == "killed"
    pids = [int(f.name) for f in tmp_path.iterdir()]
    assert len(pids) == 2
    assert gone(lambda: [p for p in pids if psutil.pid_exists(p)])


def test_a_daemon_that_forked_away_ends_too(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.call(faults.fork_away, LIMITS, tmp_path)
    (pid,) = (int(f.name) for f in tmp_path.iterdir())
    assert gone(lambda: psutil.pid_exists(pid))


def test_an_error_for_the_user_passes_through_unchanged(executor: LocalExecutor) -> None:
    with pytest.raises(ModelRefused) as caught:
        executor.call(faults.raise_refusal, LIMITS)
    assert (caught.value.code, caught.value.remedy) == ("FW200", "Give another.")


def test_a_full_disk_in_the_child_is_a_storage_error(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="No space left") as caught:
        executor.call(faults.raise_no_space, LIMITS, tmp_path / "model.onnx")
    assert caught.value.code == "FW520"


PARENT = """
import sys, threading
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits
from fitwright.testing import faults
for fault in (faults.loop_forever, faults.wait_natively):
    threading.Thread(target=LocalExecutor().call, args=(fault, ChildLimits())).start()
print("started", flush=True)
"""


@pytest.mark.slow
def test_children_end_when_the_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    this = psutil.Process(parent.pid)
    end = time.monotonic() + PATIENCE_S
    # a template, and for each of the two calls a warden and a worker
    while len(below := this.children(recursive=True)) < 5 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(below) >= 5
    time.sleep(0.5)
    below = this.children(recursive=True)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(lambda: [p for p in below if p.is_running()])


FORKING_PARENT = """
import os, sys, threading, time
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits
from fitwright.testing import faults
threading.Thread(target=LocalExecutor().call, args=(faults.loop_forever, ChildLimits())).start()
sys.stdin.readline()
sleeper = os.fork()
if sleeper == 0:
    time.sleep(3600)
    os._exit(0)
print(sleeper, flush=True)
"""


def busy_below(parent: int) -> list[psutil.Process]:
    """Those that an endless loop keeps busy; the template, a child of the parent itself, has
    imported for a while too."""
    below = psutil.Process(parent).children(recursive=True)
    return [p for p in below if p.ppid() != parent and p.cpu_times().user > 0.3]


@pytest.mark.slow
def test_a_fork_of_the_killed_parent_does_not_keep_its_children_alive() -> None:
    """It holds the parent's ends of the pipes, so their closing cannot be waited for."""
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING_PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None and parent.stdout is not None
    end, workers = time.monotonic() + PATIENCE_S, busy_below(parent.pid)
    while not workers and time.monotonic() < end:
        time.sleep(0.05)
        workers = busy_below(parent.pid)
    assert len(workers) == 1
    print(file=parent.stdin, flush=True)
    sleeper = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    try:
        assert gone(lambda: [p for p in workers if p.is_running()])
        assert psutil.pid_exists(sleeper)
    finally:
        os.kill(sleeper, signal.SIGKILL)

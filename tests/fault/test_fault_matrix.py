"""Every fault on every executor: the search goes on, the cause is known, nothing is left."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import psutil
import pytest

from fitwright.errors import TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.executors.pool import PoolExecutor
from fitwright.ports import ChildLimits, Executor
from fitwright.records.plan import Settings
from fitwright.records.trial import Failure
from fitwright.testing import faults
from processes import children_of_templates, gone

MIB = 1 << 20
LIMITS = ChildLimits(wall_s=30.0, memory_bytes=400 * MIB, output_bytes=4 * MIB)
SHORT = ChildLimits(wall_s=2.0, memory_bytes=400 * MIB, output_bytes=4 * MIB)
SEARCHES = 3
"""Under `SHORT` a trial without a fault may time out where the machine stands still for that long,
though not in search after search."""
NUM_TRIALS = 4
FAULTY = 1  # number of the trial that goes wrong


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and the cause that must be recorded."""

    function: Callable[..., object]
    cause: str
    detail: str
    args: tuple[object, ...] = ()
    limits: ChildLimits = LIMITS

    def bound(self) -> Callable[[], object]:
        return functools.partial(self.function, *self.args) if self.args else self.function


FAULTS = {
    "raise": Fault(faults.raise_value_error, "raised", "ValueError: seven is not a shape"),
    "segfault": Fault(faults.segfault, "crashed", "SIGSEGV"),
    "abort": Fault(faults.abort, "crashed", "SIGABRT"),
    "_exit": Fault(faults.exit_at_once, "crashed", "status 3"),
    "SIGKILL": Fault(faults.kill_self, "killed", "SIGKILL"),
    # twice what is allowed, and less than what makes the child itself run out of memory
    "memory": Fault(faults.touch_memory, "memory", "resident", (800 * MIB,)),
    "python loop": Fault(faults.loop_forever, "timeout", "no answer within", limits=SHORT),
    "native loop": Fault(faults.wait_natively, "timeout", "no answer within", limits=SHORT),
    "1 GB of stdout": Fault(faults.print_gigabyte, "output", "printed over 4 MiB"),
    "grandchildren": Fault(faults.leave_grandchildren, "killed", "SIGKILL"),
}


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[Executor]:
    if find_spec("ray") is None:
        pytest.skip("the extra `ray` is not installed")
    from fitwright.executors.ray import RayExecutor
    from fitwright.testing.clusters import local_cluster

    with local_cluster(["matrix"]) as cluster:
        executor = RayExecutor(cluster.address, device="matrix")
        yield executor
        executor.close()
        processes = cluster.processes()
    assert gone(lambda: [p for p in processes if p.is_running()])


@pytest.fixture(params=["pool", "local", "ray"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Whatever happens, no child is left after the last trial."""
    if request.param == "ray":
        yield request.getfixturevalue("ray_executor")
    elif request.param == "local":
        yield LocalExecutor()
    else:
        pool = PoolExecutor()
        yield pool
        pool.close()
    assert gone(lambda: children_of_templates(psutil.Process()))


def searched(trial: Callable[[int], object]) -> list[object | Failure]:
    """A search in miniature: trial after trial, a failed one becomes a value."""
    found: list[object | Failure] = []
    for number in range(NUM_TRIALS):
        try:
            found.append(trial(number))
        except TrialFailed as error:
            found.append(Failure.of(error))
    return found


def check(trial: Callable[[int], object], fault: Fault) -> None:
    """One trial fails for the right cause and the others succeed."""
    found = searched(trial)
    for _ in range(SEARCHES - 1 if fault.limits is SHORT else 0):
        if sum(isinstance(one, Failure) for one in found) > 1:
            found = searched(trial)
    failure = found.pop(FAULTY)
    assert isinstance(failure, Failure)
    assert (failure.cause, fault.detail in failure.detail) == (fault.cause, True), failure
    assert found == [number for number in range(NUM_TRIALS) if number != FAULTY]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_call_costs_one_trial(executor: Executor, name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    args, kwargs = fault.args, {}
    if name == "grandchildren":
        (tmp_path / "here").touch()  # a folder in use is not sent away: same machine, same path
        args, kwargs = (tmp_path,), {"then_die": True}

    def trial(number: int) -> object:
        if number == FAULTY:
            return executor.call(fault.function, fault.limits, *args, **kwargs)
        return executor.call(faults.echo, fault.limits, number)

    check(trial, fault)
    assert gone(lambda: [pid for pid in faults.pids_in(tmp_path) if psutil.pid_exists(pid)])
    assert len(faults.pids_in(tmp_path)) == (2 if name == "grandchildren" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray"], indirect=True)  # a pool opens like local
@pytest.mark.parametrize("name", [n for n in FAULTS if n != "grandchildren"])
def test_a_faulty_model_costs_one_trial(executor: Executor, name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    model = tmp_path / "model.onnx"
    model.write_bytes(b"the runtime does not read it")

    def trial(number: int) -> object:
        runtime = faults.Faulty(fault.bound() if number == FAULTY else None)
        worker = executor.open(runtime, model, Settings(), limits=fault.limits)
        try:
            worker.feed({"x": np.full((1, 2), number)})
            return int(worker.outputs()["x"][0, 0])
        finally:
            worker.close()

    check(trial, fault)


def test_every_cause_that_a_trial_can_fail_of_is_in_the_matrix() -> None:
    foreseen = set(get_args(Failure.model_fields["cause"].annotation))
    assert {fault.cause for fault in FAULTS.values()} == foreseen - {"disagrees", "not_finite"}


def test_what_is_left_by_a_fault_would_be_seen(tmp_path: Path) -> None:
    """The check that ends every test above is no empty one: a busy child is in what it looks at."""
    busy = LocalExecutor().submit(faults.spin, LIMITS, LIMITS.wall_s, tmp_path / "pid")
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert not busy.done(), busy.result()
        time.sleep(0.02)
    pid = int((tmp_path / "pid").read_text())
    assert pid in children_of_templates(psutil.Process())
    (tmp_path / "pid").unlink()  # it ends then
    assert isinstance(busy.result(), int)
    assert gone(lambda: children_of_templates(psutil.Process()))

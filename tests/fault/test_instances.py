"""One instance of several dies: the cause is told and nobody is left."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Worker
from fitwright.records.plan import Settings
from fitwright.testing.models import write_two_layers
from processes import gone

LIMITS = ChildLimits(wall_s=120.0)
KILL_S = 0.3
LOADS_S = (1.0, 10.0, 60.0)
"""The kill must come within the load. Where the machine stood still until that was over, a longer
one follows."""
X = np.ones((4, 1, 16), np.float32)


def below() -> set[int]:
    """Every process beneath this one, at whatever depth, that is no zombie."""
    return {
        p.pid
        for p in psutil.Process().children(recursive=True)
        if p.is_running() and p.status() != psutil.STATUS_ZOMBIE
    }


def workers_among(pids: set[int]) -> list[int]:
    """Those that hold a session: the heaviest two."""
    by_memory = sorted(pids, key=lambda pid: -psutil.Process(pid).memory_info().rss)
    return by_memory[:2]


def load_with_a_kill(worker: Worker, victim: int, *, load_s: float, is_open: bool) -> None:
    """Raises what comes of it, or nothing where the kill came after the load."""
    arrivals_s = [0.002 * i for i in range(round(load_s / 0.002))] if is_open else ()
    killing = threading.Timer(KILL_S, os.kill, (victim, signal.SIGKILL))
    killing.start()
    try:
        worker.load_block(seconds=load_s, concurrency=2, arrivals_s=arrivals_s)
    finally:
        killing.join()


@pytest.mark.parametrize("is_open", [False, True], ids=["closed loop", "open loop"])
def test_a_killed_instance_is_the_trials_failure_and_ends_the_others(
    tmp_path: Path, is_open: bool
) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    LocalExecutor().call(os.getpid, LIMITS)  # what is copied for each child runs from here on
    one = LocalExecutor().open(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
    one.close()
    before, failed = below(), None
    for load_s in LOADS_S:
        settings = Settings(instances=2, threads=1)
        worker = LocalExecutor().open(OnnxRuntime(), model, settings, limits=LIMITS)
        worker.feed({"x": X})
        opened = below() - before
        assert len(opened) >= 2
        try:
            load_with_a_kill(worker, workers_among(opened)[0], load_s=load_s, is_open=is_open)
        except TrialFailed as error:
            failed = error
            break
        worker.close()
    assert failed is not None, "the kill was never noticed"
    assert re.search(r"instance \d of 2", str(failed))
    assert failed.cause == "killed"
    with pytest.raises(TrialFailed, match=r"instance \d of 2"):
        worker.busy_s()
    assert gone(lambda: opened & below())
    worker.close()  # closing again is fine

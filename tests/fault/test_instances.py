"""One instance of several dies: the cause is told and nobody is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.testing.models import write_two_layers

LIMITS = ChildLimits(wall_s=30.0)
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


@pytest.mark.parametrize("arrivals_s", [(), tuple(0.002 * i for i in range(500))])
def test_a_killed_instance_is_the_trials_failure_and_ends_the_others(
    tmp_path: Path, arrivals_s: tuple[float, ...]
) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    LocalExecutor().call(os.getpid, LIMITS)  # what is copied for each child runs from here on
    one = LocalExecutor().open(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
    one.close()
    before = below()
    settings = Settings(instances=2, threads=1)
    worker = LocalExecutor().open(OnnxRuntime(), model, settings, limits=LIMITS)
    worker.feed({"x": X})
    opened = below() - before
    assert len(opened) >= 2
    victim = workers_among(opened)[0]
    killing = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    killing.start()
    with pytest.raises(TrialFailed, match=r"instance \d of 2") as caught:
        worker.load_block(seconds=1.0, concurrency=2, arrivals_s=arrivals_s)
    killing.join()
    assert caught.value.cause == "killed"
    with pytest.raises(TrialFailed, match=r"instance \d of 2"):
        worker.busy_s()
    end = time.monotonic() + 5
    while opened & below() and time.monotonic() < end:
        time.sleep(0.05)
    assert opened & below() == set()
    worker.close()  # closing again is fine

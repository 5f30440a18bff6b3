"""What a child is told, what it gives back, what it counts."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import DataError, PlanError, TrialFailed
from fitwright.executors.local import LocalExecutor, LocalWorker
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.records.trial import Failure
from fitwright.testing import faults
from fitwright.testing.models import write_two_layers

MIB = 1 << 20
LIMITS = ChildLimits(wall_s=30.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_two_layers(tmp_path / "model.onnx")


@pytest.fixture
def worker(model: Path) -> Iterator[LocalWorker]:
    worker = LocalWorker(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
    yield worker
    worker.close()


def test_large_arguments_and_results_pass() -> None:
    value = np.arange(2 * MIB, dtype=np.uint8)
    found = LocalExecutor().call(faults.echo, LIMITS, value)
    np.testing.assert_array_equal(found, value)


def test_a_child_sees_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    LocalExecutor().call(faults.echo, LIMITS, 1)  # the fork server runs from here on
    monkeypatch.setenv("FITWRIGHT_TEST", "later")
    assert LocalExecutor().call(faults.environment, LIMITS, "FITWRIGHT_TEST") == "later"


def test_a_child_prints_nothing_on_our_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrialFailed):
        LocalExecutor().call(faults.print_words, LIMITS, "quiet please")
    assert capfd.readouterr() == ("", "")


def test_peak_memory_leaves_queries_and_outputs_in_transit_out(worker: LocalWorker) -> None:
    worker.feed({"x": np.ones((4, 1, 16), np.float32)})
    worker.outputs()
    before = worker.peak_memory_bytes()
    worker.feed({"x": np.ones((50, 1 << 14, 16), np.float32)})  # 50 MiB in, 116 MiB out
    found = worker.outputs()
    assert sum(array.nbytes for array in found.values()) > 110 * MIB
    # one query of 1 MiB and its outputs of 2.3 MiB live in the child's own memory
    assert worker.peak_memory_bytes() - before < 40 * MIB


def test_peak_memory_counts_what_a_run_needs(worker: LocalWorker) -> None:
    worker.feed({"x": np.ones((1, 1, 16), np.float32)})
    worker.outputs()
    before = worker.peak_memory_bytes()
    worker.feed({"x": np.ones((1, 1 << 18, 16), np.float32)})
    worker.time_block(seconds=0.0)
    # the outputs of 2**18 rows alone are 37 MiB
    assert worker.peak_memory_bytes() - before > 36 * MIB
    # and a peak is never forgotten
    high = worker.peak_memory_bytes()
    worker.feed({"x": np.ones((1, 1, 16), np.float32)})
    worker.outputs()
    assert worker.peak_memory_bytes() >= high


def test_an_error_of_the_model_leaves_the_worker_usable(worker: LocalWorker) -> None:
    worker.feed({"x": np.ones((2, 1, 17), np.float32)})
    for request in (
        worker.outputs,
        lambda: worker.time_block(seconds=0.0),
        lambda: worker.load_block(seconds=0.0, concurrency=2),
    ):
        with pytest.raises(DataError, match="17"):
            request()
    worker.feed({"x": np.ones((2, 1, 16), np.float32)})
    assert worker.outputs()["y"].shape == (2, 1, 5)


def test_settings_that_cannot_be_honoured_pass_through_opening(model: Path) -> None:
    with pytest.raises(PlanError, match="precision=float16"):
        LocalExecutor().open(OnnxRuntime(), model, Settings(precision="float16"), limits=LIMITS)


def test_a_model_that_cannot_be_loaded_fails_as_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(TrialFailed, match=r"bad\.onnx") as caught:
        LocalExecutor().open(OnnxRuntime(), tmp_path / "bad.onnx", Settings(), limits=LIMITS)
    assert Failure.of(caught.value).cause == "raised"


def test_after_a_death_every_request_repeats_its_cause(worker: LocalWorker) -> None:
    child = worker._child
    with pytest.raises(TrialFailed):
        child.ask("testing", "call", faults.kill_self, (), {})
    for request in (worker.outputs, worker.busy_s, lambda: worker.time_block(seconds=0.0)):
        with pytest.raises(TrialFailed) as caught:
            request()
        assert caught.value.cause == "killed"


def test_a_failure_survives_pickling() -> None:
    error = TrialFailed("it took too long", cause="timeout", detail="no answer", remedy="Wait.")
    found = pickle.loads(pickle.dumps(error))
    assert (found.cause, found.code, found.detail) == ("timeout", "FW403", "no answer")
    assert str(found) == str(error)


def test_no_descriptor_stays_open(model: Path) -> None:
    executor = LocalExecutor()
    executor.call(faults.echo, LIMITS, 1)
    executor.open(OnnxRuntime(), model, Settings(), limits=LIMITS).close()
    # a pipe to each of the two templates stays, from here on and for good
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        executor.call(faults.echo, LIMITS, bytes(MIB))
        with pytest.raises(TrialFailed):
            executor.call(faults.kill_self, LIMITS)
        worker = executor.open(OnnxRuntime(), model, Settings(), limits=LIMITS)
        worker.feed({"x": np.ones((2, 1, 16), np.float32)})
        worker.outputs()
        worker.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before

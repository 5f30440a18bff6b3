"""Several queries in one run: nothing is mixed up, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import PlanError, TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.executors.stacking import answered, split, stacked
from fitwright.ports import ChildLimits, LoadGenLoad, Worker
from fitwright.records.plan import Settings
from fitwright.testing.models import two_layers, write_two_layers

BATCH = 4
X = np.random.default_rng(0).standard_normal((6, 2, 16)).astype(np.float32)


@given(num=st.integers(1, 9), size=st.integers(1, 3), batch=st.integers(2, 5))
def test_what_is_stacked_comes_apart_in_order(num: int, size: int, batch: int) -> None:
    x = np.arange(num * size * 2, dtype=np.float32).reshape(num, size, 2)
    runs = stacked({"x": x}, batch=batch)["x"]
    assert runs.shape == (-(-num // batch), batch * size, 2)
    apart = np.concatenate([split("y", run, batch=batch) for run in runs])
    np.testing.assert_array_equal(apart[:num], x)
    np.testing.assert_array_equal(apart[num:], x[np.arange(num, len(apart)) % num])


def test_an_output_without_an_axis_of_all_queries_cannot_be_split() -> None:
    with pytest.raises(TrialFailed, match=r"'y' of shape \(3, 2\) cannot be split among 2"):
        split("y", np.zeros((3, 2)), batch=2)
    with pytest.raises(TrialFailed):
        split("y", np.float32(1.0), batch=2)


def test_every_query_of_a_run_is_answered_with_it() -> None:
    assert answered([0.1, 0.3], batch=2) == [0.1, 0.1, 0.3, 0.3]


@pytest.fixture(params=[1, 2], ids=["alone", "instances"])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Worker]:
    settings = Settings(threads=1, batch=BATCH, instances=request.param)
    model = write_two_layers(tmp_path / "model.onnx")
    worker = LocalExecutor().open(OnnxRuntime(), model, settings, limits=ChildLimits(wall_s=60.0))
    worker.feed({"x": X})
    yield worker
    worker.close()


def test_a_child_answers_each_query_by_itself(worker: Worker) -> None:
    for name, array in worker.outputs().items():
        # float32 against float64
        np.testing.assert_allclose(array, [two_layers(x)[name] for x in X], atol=1e-5)


def test_a_run_counts_as_many_queries_as_it_takes(worker: Worker) -> None:
    latencies_s, _ = worker.load_block(seconds=0.02, concurrency=2)
    assert len(latencies_s) % BATCH == 0
    assert len(set(latencies_s)) <= len(latencies_s) / BATCH


def test_queries_that_come_one_by_one_are_refused(worker: Worker) -> None:
    with pytest.raises(PlanError) as caught:
        worker.load_block(seconds=0.1, concurrency=1, arrivals_s=[0.0])
    assert caught.value.code == "FW335"
    with pytest.raises(PlanError):
        worker.burst_block(seconds=0.1, size=2)
    with pytest.raises(PlanError):
        worker.loadgen_block(LoadGenLoad(scenario="offline", seconds=0.1))

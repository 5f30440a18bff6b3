"""The fake worker keeps the promises of a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import TrialFailed
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Executor, LoadGenLoad, Meter, Tensors, Worker
from fitwright.records.plan import Settings
from fitwright.testing.fakes import FakeExecutor, FakeWorker, ReplayMeter
from fitwright.testing.models import two_layers, write_two_layers

X = np.random.default_rng(0).standard_normal((6, 2, 16)).astype(np.float32)


def answer(inputs: Tensors) -> Tensors:
    return two_layers(inputs["x"])


def fake() -> Executor:
    return FakeExecutor(worker=lambda runtime, model, settings: FakeWorker(answer=answer))


@pytest.fixture(params=[LocalExecutor, fake], ids=["local", "fake"])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Worker:
    make: Callable[[], Executor] = request.param
    path = write_two_layers(tmp_path / "model.onnx")
    worker = make().open(OnnxRuntime(), path, Settings(threads=1), limits=ChildLimits())
    worker.feed({"x": X})
    request.addfinalizer(worker.close)
    return worker


def test_outputs_keep_the_order_of_the_queries(worker: Worker) -> None:
    found = worker.outputs()
    for name, array in found.items():
        expected = np.stack([two_layers(x)[name] for x in X])
        assert array.shape == expected.shape
        # float32 against float64
        np.testing.assert_allclose(array, expected, atol=1e-5)


def test_a_block_gives_one_latency_for_each_run(worker: Worker) -> None:
    assert len(worker.time_block(seconds=0.0, min_runs=17)) == 17
    latencies_s = worker.time_block(seconds=0.05)
    assert min(latencies_s) > 0
    assert sum(latencies_s) < 0.05 + max(latencies_s)


def test_a_closed_loop_keeps_every_caller_busy(worker: Worker) -> None:
    latencies_s, elapsed_s = worker.load_block(seconds=0.05, concurrency=2)
    assert elapsed_s >= 0.05
    assert len(latencies_s) >= 2
    # two callers cannot be busy for longer than twice the time
    assert sum(latencies_s) <= 2 * elapsed_s * (1 + 1e-9)  # sums of rounded numbers


def test_an_open_loop_answers_every_arrival_and_counts_the_wait(worker: Worker) -> None:
    arrivals_s = [0.0] * 50
    latencies_s, elapsed_s = worker.load_block(seconds=1.0, concurrency=1, arrivals_s=arrivals_s)
    assert len(latencies_s) == 50
    # the last of fifty waits for the others, so for all of the time; its own run is a fiftieth
    assert max(latencies_s) > elapsed_s / 2
    _, elapsed_s = worker.load_block(seconds=1.0, concurrency=1, arrivals_s=[0.0, 0.2])
    assert elapsed_s >= 0.2


def test_a_burst_is_as_long_as_the_time_between_two(worker: Worker) -> None:
    latencies_s, elapsed_s = worker.burst_block(seconds=0.02, size=3)
    assert min(latencies_s) > 0
    assert sum(latencies_s) == pytest.approx(elapsed_s)  # rounding of a sum
    assert elapsed_s >= 0.02


@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "server", "offline"])
def test_loadgen_gives_latencies_and_their_time(worker: Worker, scenario: str) -> None:
    pytest.importorskip("mlperf_loadgen")
    load = LoadGenLoad(
        scenario=scenario,  # type: ignore[arg-type]
        seconds=0.05,
        concurrency=2,
        streams=2,
        rate_per_s=200.0,
    )
    latencies_s, elapsed_s = worker.loadgen_block(load)
    assert min(latencies_s) > 0
    assert max(latencies_s) <= elapsed_s * (1 + 1e-9)  # sums of rounded numbers


def test_memory_and_time_are_used(worker: Worker) -> None:
    worker.time_block(seconds=0.02)
    assert worker.peak_memory_bytes() > 1 << 20
    assert worker.busy_s() > 0
    assert worker.load_s > 0


def test_after_closing_every_request_fails_and_closing_again_is_fine(worker: Worker) -> None:
    worker.close()
    worker.close()
    with pytest.raises(TrialFailed):
        worker.outputs()


def test_a_replay_meter_reads_out_what_was_recorded() -> None:
    meter: Meter = ReplayMeter([1.0, 4.5])
    assert [meter.energy_j(), meter.energy_j()] == [1.0, 4.5]

"""Several instances keep the contract of one worker, with both backends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.support import num_cores
from fitwright.bench.block import Pace
from fitwright.bench.load import throughput_figure, throughput_run
from fitwright.errors import PlanError
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Worker
from fitwright.records.contract import Traffic
from fitwright.records.plan import Settings
from fitwright.testing.models import two_layers, write_two_layers

LIMITS = ChildLimits(wall_s=60.0)
X = np.random.default_rng(0).standard_normal((6, 2, 16)).astype(np.float32)
TWO = Settings(instances=2, threads=1, precision="float32")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_two_layers(tmp_path / "model.onnx")


@pytest.fixture(params=RUNTIMES.values(), ids=RUNTIMES)
def worker(request: pytest.FixtureRequest, model: Path) -> Iterator[Worker]:
    if request.param.availability().missing:
        pytest.skip(f"{request.param.name} is not here")
    worker = LocalExecutor().open(request.param, model, TWO, limits=LIMITS)
    worker.feed({"x": X})
    yield worker
    worker.close()


def test_answers_are_those_of_the_model(worker: Worker) -> None:
    found = worker.outputs()
    for name, array in found.items():
        expected = np.stack([two_layers(x)[name] for x in X])
        # float32 against float64
        np.testing.assert_allclose(array, expected, atol=1e-5)


def test_their_throughput_is_a_figure(worker: Worker) -> None:
    traffic = Traffic(scenario="offline")
    pace = Pace(latency_s=1e-3, budget_s=0.5, clock=time.monotonic)
    times_s = throughput_run({"two": worker}, traffic=traffic, pace=pace)["two"]
    figure = throughput_figure(times_s, traffic=traffic)
    assert figure.label == "measured"
    assert figure.value is not None
    assert figure.value > 0


def test_every_arrival_is_answered_once(worker: Worker) -> None:
    arrivals_s = [1e-4 * i for i in range(500)]
    latencies_s, elapsed_s = worker.load_block(seconds=1.0, concurrency=2, arrivals_s=arrivals_s)
    assert len(latencies_s) == 500
    assert min(latencies_s) > 0
    assert elapsed_s >= arrivals_s[-1]


def test_facts_say_how_many_and_where(worker: Worker) -> None:
    facts = worker.facts
    assert (facts["instances"], facts["threads"], facts["concurrency"]) == ("2", "1", "2")
    assert facts["weights"] == "a copy in each instance"
    if num_cores() > 1:
        first, second = (set(part.split(",")) for part in facts["cores"].split(" | "))
        assert first.isdisjoint(second)
    else:
        assert facts["cores"] == "any"


def test_memory_and_time_count_both(worker: Worker, model: Path) -> None:
    worker.load_block(seconds=0.1, concurrency=2)
    name = "onnxruntime" if "provider" in worker.facts else "openvino"
    alone = LocalExecutor().open(
        RUNTIMES[name], model, TWO.model_copy(update={"instances": 1}), limits=LIMITS
    )
    alone.feed({"x": X})
    try:
        # both hold Python and the backend; what differs is a few pages
        assert worker.peak_memory_bytes() > 1.5 * alone.peak_memory_bytes()
    finally:
        alone.close()
    assert worker.busy_s() > 0


def test_no_process_is_left_after_closing(worker: Worker) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    worker.close()
    after = {p.pid for p in psutil.Process().children(recursive=True)}
    assert len(before - after) >= 2  # each instance is a process, watched by another one


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_more_pinned_instances_than_cores_are_refused(runtime: object, model: Path) -> None:
    settings = Settings(instances=num_cores() + 1, threads=1, pinned=True)
    with pytest.raises(PlanError, match="core of its own"):
        LocalExecutor().open(runtime, model, settings, limits=LIMITS)  # type: ignore[arg-type]

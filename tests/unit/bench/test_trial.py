"""One candidate through its whole trial, on a machine made of formulas."""

from __future__ import annotations

import numpy as np
import pytest

from bench_machine import (
    FakeClock,
    FakeExecutor,
    FakeWorker,
    limit,
    noisy,
    samples,
    setup,
    target,
)
from fitwright.bench.trial import Contender, open_contender, try_candidate
from fitwright.errors import (
    BackendMissing,
    FitwrightError,
    ModelRefused,
    PlanError,
    StorageError,
    TrialFailed,
)


def workers(clock: FakeClock, *, candidate_s: float, incumbent_s: float) -> FakeExecutor:
    return FakeExecutor(
        {
            "candidate.onnx": [lambda: FakeWorker(clock, latency=noisy(candidate_s, seed=1))],
            "incumbent.onnx": [lambda: FakeWorker(clock, latency=noisy(incumbent_s, seed=2))],
        }
    )


def test_the_first_candidate_gets_figures_without_a_race() -> None:
    clock = FakeClock()
    executor = workers(clock, candidate_s=0.002, incumbent_s=0.002)
    measured = try_candidate(setup(executor, clock), target(), incumbent=None, budget_s=10)
    assert measured.failure is None
    assert measured.comparison is None
    assert measured.contender is not None
    assert not executor.opened[0].closed
    # the fake's latencies are log-normal around 2 ms with 2 % spread
    assert measured.figures["latency_p50"].value == pytest.approx(0.002, rel=0.02)
    assert measured.figures["accuracy"].value == 0.9
    assert measured.figures["accuracy_drop"].value == 0.0
    assert measured.figures["relative_l2"].value == 0.0
    assert measured.figures["size"].value == 1000
    assert measured.figures["load_time"].value == 0.5
    assert measured.seconds > 0


@pytest.mark.parametrize(
    ("candidate_s", "outcome"), [(0.001, "faster"), (0.004, "slower"), (0.002, "same")]
)
def test_the_race_tells_faster_slower_and_same(candidate_s: float, outcome: str) -> None:
    clock = FakeClock()
    executor = workers(clock, candidate_s=candidate_s, incumbent_s=0.002)
    ready = setup(executor, clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=60)
    assert measured.comparison is not None
    assert measured.comparison.outcome == outcome
    assert measured.comparison.incumbent == incumbent.target.candidate.key
    assert measured.comparison.low <= 0.002 / candidate_s <= measured.comparison.high


def test_nothing_is_timed_before_the_outputs_are_verified() -> None:
    clock = FakeClock()
    wrong = FakeWorker(clock, model=lambda x: -x)
    executor = FakeExecutor({"candidate.onnx": [lambda: wrong]})
    measured = try_candidate(setup(executor, clock), target(), incumbent=None, budget_s=10)
    assert measured.failure is not None
    assert measured.failure.cause == "disagrees"
    assert measured.contender is None
    assert wrong.closed
    assert "latency_p50" not in measured.figures
    assert wrong.log[-1] == "outputs"


def test_infinite_outputs_are_their_own_cause() -> None:
    clock = FakeClock()
    executor = FakeExecutor(
        {"candidate.onnx": [lambda: FakeWorker(clock, model=lambda x: np.log(x * 0))]}
    )
    with np.errstate(all="ignore"):
        measured = try_candidate(setup(executor, clock), target(), incumbent=None, budget_s=10)
    assert measured.failure is not None
    assert measured.failure.cause == "not_finite"
    assert "120 of 120" in measured.failure.detail


@pytest.mark.parametrize("request_number", range(1, 12))
def test_a_candidate_that_dies_anywhere_is_a_value_and_leaves_no_child(
    request_number: int,
) -> None:
    clock = FakeClock()
    executor = FakeExecutor(
        {
            "candidate.onnx": [lambda: FakeWorker(clock, dies_at=request_number, cause="memory")],
            "incumbent.onnx": [lambda: FakeWorker(clock)],
        }
    )
    ready = setup(executor, clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=10)
    assert measured.failure is not None
    assert measured.failure.cause == "memory"
    assert executor.opened[1].closed
    assert not executor.opened[0].closed


def dying_incumbent(clock: FakeClock, *, times: int) -> tuple[FakeExecutor, Contender]:
    dead = [lambda: FakeWorker(clock, latency=noisy(0.002), dies_at=9)] * times
    executor = FakeExecutor(
        {
            "candidate.onnx": [lambda: FakeWorker(clock, latency=noisy(0.001))],
            "incumbent.onnx": [*dead, lambda: FakeWorker(clock, latency=noisy(0.002))],
        }
    )
    return executor, open_contender(setup(executor, clock), target("incumbent.onnx"))


def test_an_incumbent_that_dies_is_reopened_and_not_blamed_on_the_candidate() -> None:
    clock = FakeClock()
    executor, incumbent = dying_incumbent(clock, times=1)
    first = incumbent.worker
    measured = try_candidate(setup(executor, clock), target(), incumbent=incumbent, budget_s=10)
    assert measured.failure is None
    assert measured.comparison is not None
    assert measured.comparison.outcome == "faster"
    assert incumbent.worker is not first
    assert isinstance(first, FakeWorker)
    assert first.closed


def test_an_incumbent_that_dies_twice_stops_with_its_name() -> None:
    clock = FakeClock()
    executor, incumbent = dying_incumbent(clock, times=2)
    with pytest.raises(TrialFailed, match=r"best candidate so far, original on fake") as caught:
        try_candidate(setup(executor, clock), target(), incumbent=incumbent, budget_s=10)
    assert caught.value.code == "FW440"
    candidate = next(w for w in executor.opened if w.latency(0) == noisy(0.001)(0))
    assert candidate.closed


def test_memory_is_read_before_the_evaluation_samples_are_handed_over() -> None:
    clock = FakeClock()
    executor = workers(clock, candidate_s=0.002, incumbent_s=0.002)
    data = samples(1000)
    measured = try_candidate(
        setup(executor, clock, data=data), target(), incumbent=None, budget_s=10
    )
    one_query = data.inputs["x"][:1].nbytes
    assert measured.figures["peak_memory"].value == (50 << 20) + one_query


def test_throughput_is_raced_when_it_is_the_objective() -> None:
    clock = FakeClock()
    executor = workers(clock, candidate_s=0.001, incumbent_s=0.002)
    ready = setup(executor, clock, objective="throughput")
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=10)
    assert measured.comparison is not None
    assert measured.comparison.outcome == "faster"
    # one inference a millisecond, 2 % spread of the single runs
    assert measured.figures["throughput"].value == pytest.approx(1000, rel=0.02)
    assert "load_block" in executor.opened[1].log


def test_slow_models_are_verified_on_part_of_the_samples() -> None:
    clock = FakeClock()
    executor = workers(clock, candidate_s=1.0, incumbent_s=1.0)
    ready = setup(executor, clock, data=samples(500))
    measured = try_candidate(ready, target(), incumbent=None, budget_s=10)
    assert measured.failure is None
    assert measured.figures["accuracy"].num_samples == 64


def test_a_candidate_beyond_the_accuracy_limit_is_rejected_with_both_values() -> None:
    clock = FakeClock()

    def worse(x: np.ndarray) -> np.ndarray:
        return np.roll(x, 1) if x[0, 0] > 4 else x

    executor = FakeExecutor({"candidate.onnx": [lambda: FakeWorker(clock, model=worse)]})
    drop = limit("accuracy", 0.01, figure="accuracy_drop")
    measured = try_candidate(
        setup(executor, clock, limits=(drop,)), target(), incumbent=None, budget_s=10
    )
    assert measured.failure is not None
    assert "above 0.01" in measured.failure.detail


def test_the_accuracy_limit_decides_over_distance_to_the_original() -> None:
    clock = FakeClock()
    far_but_right = [lambda: FakeWorker(clock, model=lambda x: 3 * x, latency=noisy(0.001))]
    executor = FakeExecutor({"candidate.onnx": far_but_right})
    drop = limit("accuracy", 0.01, figure="accuracy_drop")
    kept = try_candidate(
        setup(executor, clock, limits=(drop,)), target(), incumbent=None, budget_s=10
    )
    assert kept.failure is None
    assert kept.figures["relative_l2"].value == pytest.approx(2.0)
    refused = try_candidate(setup(executor, clock), target(), incumbent=None, budget_s=10)
    assert refused.failure is not None
    assert "relative L2" in refused.failure.detail


def test_a_floor_beyond_the_original_itself_leaves_agreement_to_decide() -> None:
    clock = FakeClock()
    floor = limit("accuracy", 0.95, sense="at_least")  # the original reaches 0.9
    executor = FakeExecutor(
        {
            "same.onnx": [lambda: FakeWorker(clock)],
            "far.onnx": [lambda: FakeWorker(clock, model=lambda x: 3 * x)],
        }
    )
    asked = setup(executor, clock, limits=(floor,))
    same = try_candidate(asked, target("same.onnx"), incumbent=None, budget_s=10)
    assert same.failure is None
    assert same.figures["accuracy"].value == 0.9
    far = try_candidate(asked, target("far.onnx"), incumbent=None, budget_s=10)
    assert far.failure is not None
    assert "relative L2" in far.failure.detail


@pytest.mark.parametrize("refusal", [PlanError, ModelRefused, BackendMissing])
def test_a_backend_that_refuses_ends_the_candidate_and_not_the_run(
    refusal: type[FitwrightError],
) -> None:
    def refusing() -> FakeWorker:
        raise refusal("bfloat16 needs a CPU that has it", code="FW320")

    executor = FakeExecutor({"candidate.onnx": [refusing]})
    measured = try_candidate(setup(executor, FakeClock()), target(), incumbent=None, budget_s=10)
    assert measured.failure is not None
    assert measured.failure.cause == "raised"
    assert "bfloat16" in measured.failure.detail


def test_a_full_disk_is_no_candidates_fault() -> None:
    def full() -> FakeWorker:
        raise StorageError("no space left", code="FW520")

    executor = FakeExecutor({"candidate.onnx": [full]})
    with pytest.raises(StorageError):
        try_candidate(setup(executor, FakeClock()), target(), incumbent=None, budget_s=10)

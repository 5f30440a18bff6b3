"""What disagrees by little is timed all the same; whatever happens then, the cause stays."""

from __future__ import annotations

import pytest

from bench_machine import FakeClock, FakeExecutor, FakeWorker, noisy, setup, target
from fitwright.bench.glance import REACH
from fitwright.bench.statistics import FEWEST_PAIRS
from fitwright.bench.trial import open_contender, try_candidate
from fitwright.records.trial import Failure

ALLOWED = 0.05


def failed(
    away: float, *, dies_at: int | None = None, incumbent: FakeWorker | None = None,
    clock: FakeClock | None = None, objective: str = "latency_p50",
) -> tuple[Failure, FakeWorker]:  # fmt: skip
    """What becomes of a candidate twice as fast whose outputs are so far from the original."""
    clock = clock or FakeClock()
    wrong = FakeWorker(clock, model=lambda x: (1 + away) * x, latency=noisy(0.001), dies_at=dies_at)
    theirs = incumbent or FakeWorker(clock, latency=noisy(0.002, seed=2))
    executor = FakeExecutor({"candidate.onnx": [lambda: wrong], "incumbent.onnx": [lambda: theirs]})
    ready = setup(executor, clock, objective=objective)
    ahead = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=ahead, budget_s=10)
    assert measured.failure is not None and measured.failure.cause == "disagrees"
    assert measured.comparison is None and not measured.figures, "it was never in the race"
    assert wrong.closed and measured.contender is None
    return measured.failure, wrong


@pytest.mark.parametrize("objective", ["latency_p50", "throughput"])
def test_what_is_a_little_too_far_off_is_timed_against_the_best(objective: str) -> None:
    failure, _ = failed(1.5 * ALLOWED, objective=objective)
    assert failure.glance is not None
    assert failure.glance.num_rounds == FEWEST_PAIRS
    assert failure.glance.incumbent
    assert failure.glance.ratio == pytest.approx(2.0, rel=0.05)  # 2 % spread of single runs


def test_of_what_lies_far_off_nothing_is_timed() -> None:
    failure, wrong = failed(1.1 * REACH * ALLOWED)
    assert failure.glance is None
    assert wrong.log[-1] == "outputs"


def test_dying_while_it_is_timed_leaves_the_cause_as_it_was() -> None:
    _, whole = failed(1.5 * ALLOWED)
    num_before = whole.log.index("outputs") + 1
    for number in range(num_before + 1, len(whole.log) + 1):
        failure, _ = failed(1.5 * ALLOWED, dies_at=number)
        assert failure.glance is None
        assert "relative L2" in failure.detail


def test_an_incumbent_that_dies_meanwhile_is_left_to_the_next_race() -> None:
    clock = FakeClock()
    dying = FakeWorker(clock, latency=noisy(0.002), dies_at=8)
    failure, _ = failed(1.5 * ALLOWED, incumbent=dying, clock=clock)
    assert failure.glance is None
    assert dying.requests == 8
    assert not dying.closed

"""A race ends soon when it can, and is wrong less often than it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from bench_machine import FakeClock, FakeWorker, noisy
from fitwright.bench.block import Pace, WorkerLost
from fitwright.bench.race import RaceResult, classify, race
from fitwright.bench.statistics import Interval
from fitwright.bench.warmup import warm_up
from fitwright.ports import Worker
from fitwright.records.trial import Comparison


def run(
    candidate: Callable[[int], float],
    incumbent: Callable[[int], float],
    *,
    budget_s: float = 30.0,
    seed: int = 0,
) -> RaceResult:
    clock = FakeClock()
    return race(
        FakeWorker(clock, latency=candidate),
        FakeWorker(clock, latency=incumbent),
        incumbent_name="incumbent",
        pace=Pace(latency_s=0.001, budget_s=budget_s, clock=clock, seed=seed),
    )


def run_with_fresh(
    *ratios: float, latency_s: float = 0.001, budget_s: float = 30.0
) -> tuple[Comparison, int]:
    """A race whose candidate is so many times as fast in its first pair of processes, its
    second, …, the last figure for ever; and how many further pairs were opened."""
    clock, opened = FakeClock(), 0

    def pair(ratio: float) -> tuple[Worker, Worker]:
        sides = [
            FakeWorker(clock, latency=noisy(mean_s, seed=2 * opened + i))
            for i, mean_s in enumerate((latency_s / ratio, latency_s))
        ]
        return cast("tuple[Worker, Worker]", tuple(sides))

    def fresh(*, candidate_first: bool) -> tuple[Worker, Worker]:
        nonlocal opened
        opened += 1
        return pair(ratios[min(opened, len(ratios) - 1)])

    comparison = race(
        *pair(ratios[0]),
        incumbent_name="incumbent",
        pace=Pace(latency_s=latency_s, budget_s=budget_s, clock=clock),
        fresh=fresh,
    ).comparison
    return comparison, opened


@pytest.mark.parametrize(("ratio", "outcome"), [(1.6, "faster"), (0.6, "slower")])
def test_what_one_brief_heat_says_has_to_be_confirmed(ratio: float, outcome: str) -> None:
    comparison, opened = run_with_fresh(ratio)
    assert comparison.outcome == outcome
    assert comparison.num_heats == 1 + opened == 2


@pytest.mark.parametrize("ratio", [1.6, 0.6])
def test_what_no_other_heat_confirms_is_not_said(ratio: float) -> None:
    comparison, _ = run_with_fresh(ratio, 1.0)
    assert comparison.outcome in ("undecided", "same")
    assert comparison.num_heats > 2


@pytest.mark.parametrize("ratio", [1.6, 0.6])
def test_a_heat_is_confirmed_whatever_the_budget(ratio: float) -> None:
    # rounds of 0.1 s: the first heat takes a second
    comparison, opened = run_with_fresh(ratio, 1.0, budget_s=1.0)
    assert (comparison.outcome, opened) == ("undecided", 1)


@pytest.mark.parametrize(
    ("ratio", "latency_s", "outcome"),
    [(3.0, 0.001, "faster"), (0.4, 0.001, "slower"), (1.6, 0.05, "faster"), (0.6, 0.1, "slower")],
)
def test_a_large_difference_or_a_long_heat_needs_no_other(
    ratio: float, latency_s: float, outcome: str
) -> None:
    comparison, opened = run_with_fresh(ratio, latency_s=latency_s)
    assert (comparison.outcome, opened) == (outcome, 0)


def test_a_clear_loser_is_dropped_after_six_rounds() -> None:
    comparison = run(noisy(0.004, seed=1), noisy(0.001, seed=2)).comparison
    assert comparison.outcome == "slower"
    assert comparison.num_rounds == 6
    assert comparison.high < 1


def test_a_clear_winner_is_known_after_nine_rounds() -> None:
    comparison = run(noisy(0.001, seed=1), noisy(0.002, seed=2)).comparison
    assert comparison.outcome == "faster"
    # 2 * 2**-9 is below what the first look may spend, 0.01 / 2
    assert comparison.num_rounds == 9
    assert comparison.num_heats == 1
    # medians of blocks of 2 % spread
    assert comparison.ratio == pytest.approx(2.0, rel=0.02)


def test_equal_workers_are_the_same_or_undecided_but_hardly_ever_a_winner() -> None:
    outcomes = [
        run(
            noisy(0.001, spread=0.1, seed=3 * i),
            noisy(0.001, spread=0.1, seed=3 * i + 1),
            budget_s=2.0,
            seed=i,
        ).comparison.outcome
        for i in range(60)
    ]
    # at most 5 % false winners; 60 races: 7 or more has a chance below 4 in 1000
    assert outcomes.count("faster") < 7


def test_a_drift_of_the_machine_falls_on_both() -> None:
    clock = FakeClock()

    def drifting(_: int) -> float:
        return 0.001 * (1 + clock.now_s)  # doubles every second

    comparison = race(
        FakeWorker(clock, latency=drifting),
        FakeWorker(clock, latency=drifting),
        incumbent_name="incumbent",
        pace=Pace(latency_s=0.001, budget_s=4.0, clock=clock),
    ).comparison
    assert comparison.outcome in ("same", "undecided")
    # one round lasts 1 % to 2 % of the doubling time
    assert comparison.ratio == pytest.approx(1.0, abs=0.03)


def test_a_spent_budget_leaves_it_undecided_with_what_was_seen() -> None:
    comparison = run(noisy(0.001, seed=1), noisy(0.001, seed=2), budget_s=0.05).comparison
    assert comparison.outcome == "undecided"
    assert comparison.num_rounds >= 1
    assert comparison.low == 0.0
    assert comparison.high == float("inf")


def test_a_dead_child_is_named() -> None:
    clock = FakeClock()
    for dead in ("candidate", "incumbent"):
        workers = {
            name: FakeWorker(clock, dies_at=3 if name == dead else None)
            for name in ("candidate", "incumbent")
        }
        with pytest.raises(WorkerLost) as caught:
            race(
                workers["candidate"],
                workers["incumbent"],
                incumbent_name="x",
                pace=Pace(latency_s=0.001, budget_s=10, clock=clock),
            )
        assert caught.value.name == dead


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (1.001, 1.2, "faster"),
        (0.8, 0.999, "slower"),
        (0.995, 1.005, "same"),
        (1.001, 1.009, "same"),
        (0.9, 1.1, "undecided"),
        (1.0, 1.2, "undecided"),
    ],
)
def test_an_interval_says_one_of_four_things(low: float, high: float, outcome: str) -> None:
    assert classify(Interval(low, high)) == outcome


def test_warm_up_waits_until_the_time_has_settled() -> None:
    clock = FakeClock()
    worker = FakeWorker(clock, latency=lambda i: 0.001 + 0.01 * 0.97**i)
    warm = warm_up(worker, budget_s=60, clock=clock)
    assert warm.stable
    # settled within 5 % of the final millisecond, on the way down
    assert 0.001 <= warm.latency_s < 0.0012


def test_warm_up_gives_up_within_its_budget() -> None:
    clock = FakeClock()
    worker = FakeWorker(clock, latency=lambda i: 0.02 * 1.5**i)
    warm = warm_up(worker, budget_s=1.0, clock=clock)
    assert not warm.stable
    # one block more than the budget at most, and blocks grow by half
    assert clock.now_s < 2.5

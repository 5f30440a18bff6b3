"""Heats open both candidates again, and whoever wins keeps the newest of its workers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench_machine import FakeClock, FakeExecutor, FakeWorker, noisy, setup, target
from fitwright.bench.block import WorkerLost
from fitwright.bench.race import CANDIDATE, INCUMBENT
from fitwright.bench.reopening import fresh_pair, open_contender
from fitwright.bench.trial import final, try_candidate


def makers(
    clock: FakeClock, mean_s: float, *, spread: float, seed: int
) -> list[Callable[[], FakeWorker]]:
    """Children of one file, each of a speed of its own."""
    luck = spread * np.random.default_rng(seed).standard_normal(60)
    return [
        lambda i=i: FakeWorker(clock, latency=noisy(mean_s * float(np.exp(luck[i])), seed=i))
        for i in range(60)
    ]


def uneven(clock: FakeClock, *, ratio: float, seed: int = 0, spread: float = 0.02) -> FakeExecutor:
    return FakeExecutor(
        {
            "candidate.onnx": makers(clock, 0.002 / ratio, spread=spread, seed=2 * seed),
            "incumbent.onnx": makers(clock, 0.002, spread=spread, seed=2 * seed + 1),
        }
    )


def test_a_close_race_is_decided_in_fresh_processes_and_leaves_the_newest_two() -> None:
    clock = FakeClock()
    executor = uneven(clock, ratio=1.06)
    ready = setup(executor, clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=60)
    comparison, contender = measured.comparison, measured.contender
    assert comparison is not None
    assert contender is not None
    assert comparison.outcome == "faster"
    assert comparison.low <= 1.06 <= comparison.high
    assert comparison.num_heats > 1
    assert len(executor.opened) == 2 * comparison.num_heats
    still_open = [w for w in executor.opened if not w.closed]
    assert sorted(map(id, still_open)) == sorted([id(contender.worker), id(incumbent.worker)])
    assert executor.opened[-1] in still_open
    assert executor.opened[-2] in still_open


def test_the_latencies_of_all_heats_are_told() -> None:
    clock = FakeClock()
    ready = setup(uneven(clock, ratio=1.06), clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=60)
    assert measured.comparison is not None
    p50 = measured.figures["latency_p50"]
    # blocks of 50 ms of a query of 2 ms, at least 20 each
    assert p50.num_samples >= 20 * measured.comparison.num_rounds


def test_a_run_learns_its_floor_from_its_races() -> None:
    clock = FakeClock()
    ready = setup(uneven(clock, ratio=1.0, spread=0.04), clock)
    before = ready.floor.spread
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=60)
    assert ready.floor.spread > before
    assert measured.comparison is not None
    assert measured.comparison.noise is not None
    assert measured.comparison.noise.floor == ready.floor.spread


def test_an_open_race_says_how_much_more_time_would_decide_it() -> None:
    clock = FakeClock()
    ready = setup(uneven(clock, ratio=1.06), clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=3)
    assert measured.comparison is not None
    assert measured.comparison.outcome == "undecided"
    # some ten heats of 1.4 s: within an order of magnitude
    assert 3 < (measured.comparison.more_s or 0.0) < 100


@pytest.mark.parametrize("candidate_first", [True, False])
def test_the_order_of_opening_is_as_asked(candidate_first: bool) -> None:
    clock = FakeClock()
    executor = uneven(clock, ratio=2.0)
    ready = setup(executor, clock)
    ours = open_contender(ready, target())
    theirs = open_contender(ready, target("incumbent.onnx"))
    pair = fresh_pair(ready, ours, theirs)(candidate_first=candidate_first)
    assert pair == (ours.worker, theirs.worker)
    assert [w.closed for w in executor.opened] == [True, True, False, False]
    assert (executor.opened[2] is ours.worker) is candidate_first


@pytest.mark.parametrize(
    ("file", "lost"), [("candidate.onnx", CANDIDATE), ("incumbent.onnx", INCUMBENT)]
)
def test_a_child_that_does_not_open_again_is_named(file: str, lost: str) -> None:
    clock = FakeClock()
    executor = uneven(clock, ratio=1.0)
    good, dead = executor.makers[file][0], lambda: FakeWorker(clock, dies_at=1)
    ready = setup(FakeExecutor({**executor.makers, file: [good, dead]}), clock)
    ours = open_contender(ready, target())
    theirs = open_contender(ready, target("incumbent.onnx"))
    with pytest.raises(WorkerLost) as caught:
        fresh_pair(ready, ours, theirs)(candidate_first=True)
    assert caught.value.name == lost


def test_a_candidate_that_does_not_open_again_fails_and_leaves_the_incumbent_usable() -> None:
    clock = FakeClock()
    executor = uneven(clock, ratio=1.03)
    once = [executor.makers["candidate.onnx"][0], lambda: FakeWorker(clock, dies_at=1)]
    executor = FakeExecutor({**executor.makers, "candidate.onnx": once})
    ready = setup(executor, clock)
    incumbent = open_contender(ready, target("incumbent.onnx"))
    measured = try_candidate(ready, target(), incumbent=incumbent, budget_s=30)
    assert measured.failure is not None
    assert measured.contender is None
    assert [w for w in executor.opened if not w.closed] == [incumbent.worker]


def test_the_final_run_claims_no_more_than_its_heats_prove() -> None:
    clock = FakeClock()
    # one lucky artefact in the first pair; all others are as fast as the baseline
    lucky = FakeWorker(clock, latency=noisy(0.0019, seed=1))
    ours = [lambda: lucky, *makers(clock, 0.002, spread=0.005, seed=3)]
    executor = FakeExecutor(
        {"candidate.onnx": ours, "incumbent.onnx": makers(clock, 0.002, spread=0.005, seed=4)}
    )
    measured, _ = final(setup(executor, clock), target(), target("incumbent.onnx"), budget_s=60)
    assert measured.comparison is not None
    assert measured.comparison.num_heats > 1
    assert measured.comparison.outcome != "faster"
    assert all(w.closed for w in executor.opened)

"""A cohort is halved rung by rung; whoever leaves keeps the figures it left with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from bench_machine import device
from fitwright.bench.block import latency_block
from fitwright.bench.cohort import eliminate
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.statistics import FEWEST_PAIRS
from fitwright.errors import TrialFailed
from fitwright.ports import ChildLimits, Samples, Tensors
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate
from fitwright.testing.fakes import FakeClock, FakeExecutor, FakeWorker, same
from needs import need

SAMPLES = Samples(inputs={"x": np.ones((4, 2), np.float32)}, labels=None, origin="synthetic")
INCUMBENT_S = 0.010


def noisy(latency_s: float, seed: int) -> Callable[[int], float]:
    """Runs within ±2 % of it."""
    rng = np.random.default_rng(seed)
    return lambda _: latency_s * float(rng.uniform(0.98, 1.02))


def negated(query: Tensors) -> Tensors:
    """Nothing like the original."""
    return {name: -values for name, values in query.items()}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a cohort came to: the survivor's key, and who left with what."""

    survivor: str | None
    left: dict[str, Measurement]


class Machine:
    """Candidates by number of threads; each has its own latency, one may die."""

    def __init__(
        self,
        latencies_s: dict[int, float],
        *,
        dies: int | None = None,
        at: int = 9,
        disagrees: int | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.opened: dict[int, FakeWorker] = {}
        self.left: dict[str, Measurement] = {}
        self._latencies_s, self._dies, self._at = latencies_s, dies, at
        self._disagrees = disagrees
        self._seeds: Iterator[int] = itertools.count()

    def worker(self, _: object, __: object, settings: Settings) -> FakeWorker:
        threads = settings.threads or 0
        worker = FakeWorker(
            latency_s=noisy(self._latencies_s.get(threads, INCUMBENT_S), next(self._seeds)),
            clock=self.clock,
            fails_at=self._at if threads == self._dies else None,
            answer=negated if threads == self._disagrees else same,
        )
        self.opened[threads] = worker
        return worker

    def target(self, threads: int) -> Target:
        candidate = Candidate(
            variant_id="v", title="v", backend="fake", settings=Settings(threads=threads or None)
        )
        return Target(
            candidate=candidate, runtime=None, model=None, size_bytes=1, flops=1, bytes_moved=1
        )  # type: ignore[arg-type]

    def run(self, *, budget_s: float = 30.0) -> Done:
        setup = Setup(
            need=need(), device=device(), samples=SAMPLES, reference=SAMPLES.inputs, metric=None,
            executor=FakeExecutor(worker=self.worker), limits=ChildLimits(), clock=self.clock,
        )  # fmt: skip
        incumbent = self.worker(None, None, Settings())
        incumbent.feed(SAMPLES.inputs)
        contender = Contender(target=self.target(0), worker=incumbent, latency_s=INCUMBENT_S)
        survivor = eliminate(
            setup,
            [self.target(threads) for threads in self._latencies_s],
            incumbent=contender,
            budget_s=budget_s,
            block=latency_block,
            leave=self.left.__setitem__,
        )
        return Done(survivor=survivor, left=self.left)

    def key(self, threads: int) -> str:
        return self.target(threads).candidate.key


def test_the_fastest_is_left_and_the_others_keep_their_figures() -> None:
    machine = Machine({1: 0.020, 2: 0.009, 3: 0.011, 4: 0.008})
    done = machine.run()
    assert done.survivor == machine.key(4)
    assert set(done.left) == {machine.key(t) for t in (1, 2, 3)}
    slow = done.left[machine.key(1)]
    assert slow.comparison is not None and slow.comparison.outcome == "slower"
    assert slow.comparison.num_rounds == FEWEST_PAIRS
    assert slow.figures["latency_p50"].value == pytest.approx(0.020, rel=0.02)  # the noise
    runner_up = done.left[machine.key(2)].comparison
    assert runner_up is not None and runner_up.num_rounds == 3 * FEWEST_PAIRS


def test_nobody_is_left_when_all_are_slower_than_the_incumbent() -> None:
    machine = Machine({1: 0.020, 2: 0.013, 3: 0.012})
    done = machine.run()
    assert done.survivor is None
    assert len(done.left) == 3


def test_the_fastest_does_not_win_by_another_answer() -> None:
    machine = Machine({1: 0.009, 2: 0.005, 3: 0.012}, disagrees=2)
    done = machine.run()
    assert done.survivor == machine.key(1)
    failure = done.left[machine.key(2)].failure
    assert failure is not None and failure.cause == "disagrees"
    assert machine.opened[2].closed


def test_one_that_dies_leaves_with_its_cause_and_the_others_go_on() -> None:
    machine = Machine({1: 0.009, 2: 0.008, 3: 0.012}, dies=2)
    done = machine.run()
    assert done.survivor == machine.key(1)
    failure = done.left[machine.key(2)].failure
    assert failure is not None and failure.cause == "crashed"


def test_every_child_but_the_incumbents_is_ended() -> None:
    machine = Machine({1: 0.020, 2: 0.009})
    machine.run()
    assert {t: w.closed for t, w in machine.opened.items()} == {0: False, 1: True, 2: True}


def test_an_incumbent_that_dies_is_the_runs_misfortune_not_a_candidates() -> None:
    machine = Machine({1: 0.02, 2: 0.009}, dies=0, at=5)
    with pytest.raises(TrialFailed):
        machine.run()
    assert machine.opened[1].closed
    assert not machine.left


def test_who_left_is_told_before_the_others_go_on() -> None:
    machine = Machine({1: 0.020, 2: 0.009, 3: 0.011, 4: 0.008}, dies=0, at=FEWEST_PAIRS + 3)
    with pytest.raises(TrialFailed):
        machine.run()
    assert set(machine.left) == {machine.key(1), machine.key(3)}


def test_a_cohort_without_time_still_ends() -> None:
    machine = Machine({1: 0.020, 2: 0.009, 3: 0.012, 4: 0.015})
    done = machine.run(budget_s=0.0)
    assert len(done.left) + (done.survivor is not None) == 4

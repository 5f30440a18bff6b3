"""How often a race errs and how often it finds: simulated, with all that machines do.

A process keeps a speed of its own (2 % apart), one opened first may be slower; rounds are
noisy, some of them in bursts; the clock drifts; a load of 2 to 10 times comes and goes. Where
runs are very short, one side alone may be hampered for a second or two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import cast

import numpy as np
import pytest

from fitwright.bench.block import Pace
from fitwright.bench.heats import Floor
from fitwright.bench.race import race
from fitwright.ports import Worker
from fitwright.records.trial import Comparison

OPENING_S = 0.5  # of two children of ONNX Runtime, measured
RACES_PER_RUN = 10


@dataclass(kw_only=True)
class Machine:
    """Draws everything that happens to it; a clock as well."""

    rng: np.random.Generator
    spread: float
    order: float
    hampered: float = 0.0
    now_s: float = 0.0
    slow: float = 1.0
    until_s: float = 0.0
    drift: float = field(init=False)

    def __post_init__(self) -> None:
        self.drift = 0.002 * self.rng.standard_normal()

    def __call__(self) -> float:
        return self.now_s

    def load(self) -> float:
        """How many times slower it is right now."""
        while self.now_s >= self.until_s:
            self.slow = 1.0 if self.slow > 1 else float(self.rng.uniform(2, 10))
            self.until_s += float(self.rng.exponential(3.0))
        return self.slow


class Child:
    """A process of its own speed; a block is three runs of the same time.

    For that share of the time, in stretches of a second on average, it takes half as long
    again: two threads on one core, say.
    """

    load_s = 0.15

    def __init__(self, machine: Machine, *, gain: float, first: bool) -> None:
        self.machine = machine
        luck = machine.spread * float(machine.rng.standard_normal())
        self.log_time = luck - log(gain) + machine.order / 2 * (1 if first else -1)
        self.hampered = bool(machine.rng.random() < machine.hampered)
        self.until_s = machine.now_s + self.stretch_s()

    def stretch_s(self) -> float:
        """How long it stays as it is."""
        share = self.machine.hampered
        mean_s = 1.0 if self.hampered or not share else (1 - share) / share
        return float(self.machine.rng.exponential(mean_s))

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        machine = self.machine
        slow, rng = machine.load(), machine.rng
        while machine.now_s >= self.until_s and machine.hampered:
            self.hampered = not self.hampered
            self.until_s += self.stretch_s()
        slow *= 1.5 if self.hampered else 1.0
        noise = (0.04 if slow < 2 else 0.24) * rng.standard_normal()
        burst = rng.exponential(0.5) if rng.random() < 0.05 else 0.0
        machine.now_s += seconds + 0.005
        time_s = 0.002 * slow * exp(self.log_time + noise + burst + machine.drift * machine.now_s)
        return [float(time_s)] * min_runs


def simulated(
    seed: int, *, gain: float, budget_s: float, floor: Floor, **terms: float
) -> Comparison:
    machine = Machine(rng=np.random.default_rng(seed), **terms)

    def opened(*, candidate_first: bool) -> tuple[Worker, Worker]:
        machine.now_s += OPENING_S
        ours = Child(machine, gain=gain, first=candidate_first)
        theirs = Child(machine, gain=1.0, first=not candidate_first)
        return cast("tuple[Worker, Worker]", (ours, theirs))

    candidate, incumbent = opened(candidate_first=False)
    pace = Pace(latency_s=0.002, budget_s=budget_s, clock=machine, seed=seed)
    return race(
        candidate, incumbent, incumbent_name="x", pace=pace, fresh=opened, floor=floor
    ).comparison


def outcomes(
    num: int,
    *,
    gain: float,
    budget_s: float,
    seed: int = 0,
    spread: float = 0.02,
    order: float = 0.02,
    hampered: float = 0.0,
) -> Counter[str]:
    """Of so many races; every ten of them are one run and share its floor."""
    counts: Counter[str] = Counter()
    floor = Floor()
    for i in range(num):
        floor = Floor() if i % RACES_PER_RUN == 0 else floor
        comparison = simulated(
            seed + i,
            gain=gain,
            budget_s=budget_s,
            floor=floor,
            spread=spread,
            order=order,
            hampered=hampered,
        )
        counts[comparison.outcome] += 1
    return counts


def test_equals_are_hardly_ever_called_faster() -> None:
    # at 2 %, more than 3 of 24 have a chance of 1 in 700
    assert outcomes(24, gain=1.0, budget_s=10)["faster"] <= 3


def test_a_gain_of_five_percent_is_found_within_a_minute() -> None:
    # at 95 %, fewer than 4 of 6 have a chance of 1 in 400
    assert outcomes(6, gain=1.05, budget_s=60, seed=10**6)["faster"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spread", "order", "budget_s"), [(0.02, 0.02, 10.0), (0.02, 0.02, 60.0), (0.003, 0.0, 20.0)]
)
def test_at_most_two_percent_of_equals_are_called_faster(
    spread: float, order: float, budget_s: float
) -> None:
    num = 1000
    counts = outcomes(num, gain=1.0, budget_s=budget_s, spread=spread, order=order, seed=10**7)
    assert counts["faster"] <= 0.02 * num


@pytest.mark.slow
def test_twice_the_usual_spread_does_not_double_the_error() -> None:
    num = 1000
    counts = outcomes(num, gain=1.0, budget_s=20, spread=0.04, seed=2 * 10**7)
    # the prior is then too small by more than a third, and heats must say so
    assert counts["faster"] <= 0.03 * num


@pytest.mark.slow
def test_nineteen_of_twenty_gains_of_five_percent_are_found() -> None:
    num = 200
    assert outcomes(num, gain=1.05, budget_s=60, seed=3 * 10**7)["faster"] >= 0.95 * num


@pytest.mark.slow
@pytest.mark.parametrize("hampered", [0.1, 0.2])
def test_what_hampers_one_side_for_a_while_is_hardly_ever_called_a_gain(hampered: float) -> None:
    num = 1000
    counts = outcomes(num, gain=1.0, budget_s=10, hampered=hampered, seed=4 * 10**7)
    # without a second heat to confirm the first, about twice as many
    assert counts["faster"] <= 0.02 * num

"""How many samples a candidate is verified on."""

from __future__ import annotations

import numpy as np
import pytest

from bench_machine import device
from fitwright.bench.opening import affordable
from fitwright.bench.setup import Setup
from fitwright.ports import ChildLimits, Samples
from fitwright.testing.fakes import FakeClock, FakeExecutor, FakeWorker
from needs import need

NUM = 100


def num_verified(*, budget_s: float, labelled: bool = False, screen: bool = False) -> int:
    """Of a hundred samples that take a second each."""
    inputs = {"x": np.arange(2 * NUM, dtype=np.float32).reshape(NUM, 2)}
    labels = np.arange(NUM) if labelled else None
    setup = Setup(
        need=need(), device=device(), samples=Samples(inputs=inputs, labels=labels, origin="data"),
        reference=inputs, metric=None, executor=FakeExecutor(worker=lambda *_: FakeWorker()),
        limits=ChildLimits(), clock=FakeClock(),
    )  # fmt: skip
    samples, reference = affordable(setup, probe_s=1.0, budget_s=budget_s, screen=screen)
    np.testing.assert_array_equal(samples.inputs["x"], reference["x"])
    assert samples.inputs["x"][0, 0] == 0 and samples.inputs["x"][-1, 0] == 2 * (NUM - 1)
    return samples.num_queries


@pytest.mark.parametrize(
    ("budget_s", "labelled", "screen", "expected"),
    [
        (1000.0, False, False, NUM),
        (50.0, False, False, 50),
        (0.0, False, False, 16),
        (0.0, True, False, 64),
        (50.0, False, True, 50),
        (0.0, False, True, 4),
        (0.0, True, True, 64),
    ],
)
def test_as_many_as_there_is_time_for_and_never_too_few(
    budget_s: float, labelled: bool, screen: bool, expected: int
) -> None:
    found = num_verified(budget_s=budget_s, labelled=labelled, screen=screen)
    assert found == expected

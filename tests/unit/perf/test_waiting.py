"""Waiting in a queue of random arrivals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.waiting import BUSIEST, busiest, wait_services


@pytest.mark.parametrize(("rho", "percent"), [(0.5, 99), (0.7, 99), (0.8, 95), (0.9, 90)])
def test_the_tail_is_that_of_a_simulated_queue(rho: float, percent: int) -> None:
    draws = np.random.default_rng(0).exponential(1 / rho, 1_000_000)
    # Lindley: each waits as long as the one before it, plus its service, minus the gap
    steps = np.cumsum(1 - draws)
    waits = steps - np.minimum.accumulate(np.minimum(steps, 0.0))
    # 5 %: a million correlated waits settle to about 2 %, the asymptote to 2 %
    assert wait_services(rho, percent=percent) == pytest.approx(
        np.percentile(waits, percent), rel=0.05
    )


def test_whoever_finds_the_server_free_does_not_wait() -> None:
    assert wait_services(0.3, percent=50) == 0
    assert wait_services(0.0, percent=99) == 0


def test_no_server_is_planned_busier_than_stated() -> None:
    assert busiest(1e9, percent=99) == pytest.approx(BUSIEST)
    assert busiest(-0.1, percent=99) == 0


@pytest.mark.parametrize("rho", [-0.1, 1.0, 2.0])
def test_a_queue_that_grows_without_end_has_no_percentile(rho: float) -> None:
    with pytest.raises(ValueError, match="stable"):
        wait_services(rho, percent=99)


@given(allowed=st.floats(0, 50), percent=st.sampled_from([50, 90, 95, 99]))
def test_the_busiest_share_keeps_the_wait_allowed(allowed: float, percent: int) -> None:
    assert wait_services(busiest(allowed, percent=percent), percent=percent) <= allowed + 1e-9

"""Devices, load and waiting under a contract's traffic."""

from __future__ import annotations

from typing import Any

import pytest

from fitwright.perf.ladder import estimate
from fitwright.records.contract import Traffic
from fitwright.records.estimate import NoData
from fitwright.records.need import Limit
from fitwright.records.place import Site
from fitwright.records.prospect import Way
from fitwright.select.demand import Demand
from fitwright.select.serve import QUIET_TAIL, Service, serve

NOTHING = NoData(reason="not asked here")


def way(seconds: float = 1e-3, **changes: Any) -> Way:
    facts: dict[str, Any] = {
        "dtype": "float32",
        "runtime": "onnxruntime",
        "rounds": False,
        "latency_s": estimate(seconds, unit="s", rung="device", spread=1.25),
        "memory_bytes": NOTHING,
        "energy_j": NOTHING,
    }
    return Way(**(facts | changes))


def served(traffic: Traffic, *bounds: tuple[int, float], of: Way | None = None) -> Service:
    limits = tuple(
        Limit(name=f"latency_p{p}", figure=f"latency_p{p}", sense="at_most", bound=b, unit="s")
        for p, b in bounds
    )
    demand = Demand(limits=limits, traffic=traffic, site=Site())
    return serve(of or way(), demand, utilisation=1.0)


def test_one_query_after_another_takes_its_own_time_and_a_quiet_tail() -> None:
    found = served(Traffic())
    assert found.num_devices == 1
    assert found.latencies[50].value == pytest.approx(1e-3)
    assert found.latencies[99].high == pytest.approx(1.25e-3 * QUIET_TAIL[99])


def test_a_burst_is_split_over_as_many_devices_as_its_limit_asks_for() -> None:
    burst = Traffic(scenario="multi_stream", streams=8)
    assert served(burst).latencies[50].value == pytest.approx(8e-3)
    # two in a row at the slow end take 2.5 ms
    found = served(burst, (50, 3e-3))
    assert found.num_devices == 4
    assert found.latencies[50].high == pytest.approx(2.5e-3)


def test_copies_share_the_arrivals_of_one_device() -> None:
    busy = Traffic(scenario="server", rate_per_s=600)
    alone, copied = served(busy), served(busy, of=way(streams=4))
    assert copied.utilisation == pytest.approx(alone.utilisation / 4)
    assert copied.latencies[99].value < alone.latencies[99].value


def test_a_limit_that_only_the_predicted_value_keeps_is_said_to_be_so() -> None:
    busy = Traffic(scenario="server", rate_per_s=100)
    assert served(busy, (50, 2e-3)).is_sized_for_slow_end
    assert not served(busy, (50, 1.2e-3)).is_sized_for_slow_end


def test_a_limit_below_the_time_itself_still_gets_a_plan_to_state_the_gap_at() -> None:
    found = served(Traffic(scenario="server", rate_per_s=1000), (99, 1e-4))
    assert not found.is_sized_for_slow_end
    assert found.num_devices == 3  # half busy at the slow end: 400/s each
    assert found.latencies[99].value > 1e-4

"""Floors, refusals and margins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitwright.records.contract import Traffic
from fitwright.records.device import Cache, Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, Uncounted
from fitwright.records.need import Limit, Need
from fitwright.select.select import select

Make = Callable[..., Any]


def at_most(name: str, bound: float, unit: str = "s") -> Limit:
    return Limit(name=name, figure=name, sense="at_most", bound=bound, unit=unit)


def at_least(name: str, bound: float) -> Limit:
    return Limit(name=name, figure=name, sense="at_least", bound=bound, unit="/s")


def only_choice(need: Need, summary: ModelSummary, device: Device) -> Any:
    selection = select(need, summary, devices=[device])
    assert selection.refused == ()
    return selection.choices[0]


def test_without_limits_the_device_is_chosen_with_its_floors(
    need: Make, summary: Make, device: Make
) -> None:
    choice = only_choice(need(), summary(), device())
    # 4 GFLOP at the fastest dtype's 400 GFLOP/s
    assert choice.floors["latency_p99"].value == pytest.approx(0.01)
    assert choice.floors["latency_p99"].label == "predicted"
    assert choice.floors["throughput"].value == pytest.approx(100)
    assert choice.floors["peak_memory"].value == (8 << 20) + 8192
    # 10 ms at 10 W
    assert choice.floors["energy"].value == pytest.approx(0.1)
    assert choice.floors["cost"].label == "unavailable"
    assert choice.margins == {}


def test_reasons_tell_the_roofline_and_the_bottleneck_with_figures(
    need: Make, summary: Make, device: Make
) -> None:
    text = "\n".join(only_choice(need(), summary(), device()).reasons)
    assert "float32: 4 GFLOP at 100 GFLOP/s and 10 GB/s take 40 ms at best" in text
    assert "compute binds" in text
    assert "head (MatMul, 100%, compute)" in text


def test_a_bandwidth_bound_model_takes_as_long_as_its_smallest_weights(
    need: Make, summary: Make, device: Make
) -> None:
    slow = device(bandwidth=Figure.measured(1e6, unit="B/s"))
    choice = only_choice(need(), summary(flops=1000), slow)
    # int4: an eighth of 8 MiB, and 8 KiB in and out; 1 MiB of cache holds the rest
    assert choice.floors["latency_p50"].value == pytest.approx(8192 / 1e6)
    cold = slow.model_copy(update={"caches": ()})
    floor = only_choice(need(), summary(flops=1000), cold).floors["latency_p50"]
    assert floor.value == pytest.approx(((1 << 20) + 8192) / 1e6)


def test_a_latency_that_no_peak_allows_is_refused_with_the_gap(
    need: Make, summary: Make, device: Make
) -> None:
    selection = select(need(at_most("latency_p99", 1e-3)), summary(), devices=[device()])
    assert selection.choices == ()
    (refused,) = selection.refused
    assert (refused.device_id, refused.limit) == ("local", "latency_p99")
    assert refused.gap == pytest.approx(10)
    assert "at most 1 ms" in refused.reason and "at least 10 ms" in refused.reason


def test_a_bound_just_beyond_the_measured_peak_is_tight_but_not_refused(
    need: Make, summary: Make, device: Make
) -> None:
    choice = only_choice(need(at_most("latency_p99", 8e-3)), summary(), device())
    assert choice.margins["latency_p99"] == pytest.approx(0.8)
    assert any("latency_p99: tight" in r for r in choice.reasons)


def test_a_refusal_gives_the_device_the_upper_end_of_its_peaks(
    need: Make, summary: Make, device: Make
) -> None:
    noisy = Figure.measured(400e9, unit="FLOP/s", low=100e9, high=1600e9)
    limit = at_most("latency_p99", 2e-3)
    assert select(need(limit), summary(), devices=[device()]).refused
    assert select(need(limit), summary(), devices=[device(peaks={"int8": noisy})]).choices


def test_a_convolution_may_beat_the_direct_count_by_winograd(
    need: Make, summary: Make, device: Make
) -> None:
    plain = device(peaks={"float32": Figure.measured(100e9, unit="FLOP/s")})
    limit = at_most("latency_p99", 10e-3)
    assert select(need(limit), summary(kind="MatMul"), devices=[plain]).refused
    assert select(need(limit), summary(kind="Conv"), devices=[plain]).choices


def test_throughput_energy_and_cost_are_limits_of_physics_too(
    need: Make, summary: Make, device: Make
) -> None:
    def refused_limit(asked: Need) -> str:
        (refused,) = select(asked, summary(), devices=[device()]).refused
        return refused.limit

    assert refused_limit(need(at_least("throughput", 1000))) == "throughput"
    assert refused_limit(need(at_most("energy", 1e-3, "J"))) == "energy"
    priced = need(at_most("cost", 1e-9, "usd"), price_usd_per_s=1e-4)
    assert refused_limit(priced) == "cost"


def test_the_worst_limit_is_the_one_that_refuses(need: Make, summary: Make, device: Make) -> None:
    limits = (at_most("latency_p99", 1e-3), at_most("latency_p50", 1e-4))
    (refused,) = select(need(*limits), summary(), devices=[device()]).refused
    assert refused.limit == "latency_p50"


def test_batches_share_the_query(need: Make, summary: Make, device: Make) -> None:
    choice = only_choice(need(traffic=Traffic(batch=4)), summary(), device())
    assert choice.floors["throughput"].value == pytest.approx(400)
    assert choice.floors["energy"].value == pytest.approx(0.1 / 4)


def test_memory_is_refused_only_when_the_smallest_form_does_not_fit(
    need: Make, summary: Make, device: Make
) -> None:
    big = summary(weight_bytes=800 << 20)
    assert select(need(), big, devices=[device(memory_bytes=200 << 20)]).choices
    (refused,) = select(need(), big, devices=[device(memory_bytes=50 << 20)]).refused
    assert refused.limit == "device memory"
    # int4 weights: 100 MiB in 50 MiB; activations add 2 KiB
    assert refused.gap == pytest.approx(2, rel=1e-4)
    limited = need(at_most("peak_memory", 50 << 20, "bytes"))
    assert select(limited, big, devices=[device()]).refused[0].limit == "peak_memory"


def test_without_measured_peaks_nothing_is_refused_and_the_reason_is_said(
    need: Make, summary: Make, device: Make
) -> None:
    blind = device(
        peaks={"float32": Figure.unavailable("the probe crashed", unit="FLOP/s")},
        bandwidth=Figure.unavailable("the probe crashed", unit="B/s"),
        loaded_power=Figure.unavailable("unknown CPU", unit="W"),
    )
    choice = only_choice(need(at_most("latency_p99", 1e-9)), summary(), blind)
    assert choice.floors["latency_p99"].label == "unavailable"
    assert choice.floors["energy"].label == "unavailable"
    assert choice.margins == {}
    assert any("the probe crashed" in r for r in choice.reasons)


def test_a_model_without_counted_work_has_no_throughput_ceiling(
    need: Make, summary: Make, device: Make
) -> None:
    choice = only_choice(need(), summary(flops=0), device())
    assert choice.floors["throughput"].label == "unavailable"


def test_operators_without_a_rule_are_named(need: Make, summary: Make, device: Make) -> None:
    odd = Uncounted(kind="Mystery", domain="", num_operators=3, reason="no rule")
    reasons = only_choice(need(), summary(uncounted=(odd,)), device()).reasons
    assert any("3 operator(s) of kind Mystery" in r for r in reasons)


def test_the_device_with_the_widest_tightest_margin_ranks_first(
    need: Make, summary: Make, device: Make
) -> None:
    fast = device(id="fast", peaks={"float32": Figure.measured(1e12, unit="FLOP/s")})
    limit = at_most("latency_p99", 20e-3)
    selection = select(need(limit), summary(), devices=[device(), fast])
    assert [c.device.id for c in selection.choices] == ["fast", "local"]


@given(factor=st.floats(1, 1000), flops=st.integers(1, 10**13))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_better_machine_never_has_a_higher_floor(
    need: Make, summary: Make, device: Make, factor: float, flops: int
) -> None:
    faster = device(
        peaks={"float32": Figure.measured(100e9 * factor), "int8": Figure.measured(400e9)},
        bandwidth=Figure.measured(10e9 * factor),
        caches=(Cache(level=2, bytes=int((1 << 20) * factor)),),
    )
    before = only_choice(need(), summary(flops=flops), device()).floors["latency_p50"]
    after = only_choice(need(), summary(flops=flops), faster).floors["latency_p50"]
    assert after.value <= before.value

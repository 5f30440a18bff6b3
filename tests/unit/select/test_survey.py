"""Choosing over the catalogue, with a performance model that answers what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitwright.perf.ladder import estimate
from fitwright.records.contract import Traffic
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary, Uncounted
from fitwright.records.need import Limit
from fitwright.records.place import Site
from fitwright.records.prospect import Way
from fitwright.records.selection import Selection
from fitwright.records.sheet import Fact, Rent, Sheet
from fitwright.select.asked import Asked
from fitwright.select.demand import Demand
from fitwright.select.predict import ROUNDING
from fitwright.select.survey import survey

Make = Callable[..., Any]
GIB = 1 << 30


def fact(value: float) -> Fact:
    return Fact(value=value, source="a data sheet", confidence="A")


def sheet(name: str = "card", **changes: Any) -> Sheet:
    facts: dict[str, Any] = {
        "id": name,
        "name": name,
        "kind": "gpu",
        "vendor": "NVIDIA",
        "architecture": "Ada",
        "family": "nvidia-gpu",
        "peaks": {"float32": fact(30e12), "float16": fact(120e12), "int8": fact(240e12)},
        "memory_bytes": fact(24 * GIB),
        "bandwidth_bytes_per_s": fact(300e9),
        "tdp_w": fact(72),
        "rents": (Rent(usd_per_s=0.36 / 3600, provider="P", date="2026-11-09", source="s"),),
    }
    return Sheet(**(facts | changes))


@dataclass
class Told:
    """A forecast that is told the time of each device, and of what runs in int8."""

    times_s: Mapping[str, float] = field(default_factory=dict)
    int8_gain: float = 1.0
    spread: float = 1.2
    weights_bytes: float = 1e6
    overhead: float = 0.0

    def __call__(self, device: Sheet, asked: Asked) -> Way:
        seconds = self.times_s.get(device.id, 1e-3)
        if asked.dtype == "int8":
            seconds /= self.int8_gain
        joules = estimate(abs(seconds) * 50, unit="J", rung="kind", spread=self.spread)
        found: Estimate | NoData = NoData(reason="nobody measured it")
        if seconds > 0:
            found = estimate(
                seconds * asked.batch**0.5, unit="s", rung="device", spread=self.spread
            )
        return Way(
            dtype=asked.dtype,
            runtime=asked.runtime,
            rounds=asked.dtype in ROUNDING,
            batch=asked.batch,
            streams=asked.streams,
            latency_s=found,
            memory_bytes=estimate(self.weights_bytes, unit="bytes", rung="kind", spread=1.2),
            energy_j=joules,
            binds={"overhead": self.overhead, "compute": 1 - self.overhead},
        )


def at_most(name: str, bound: float, unit: str = "s") -> Limit:
    return Limit(name=name, figure=name, sense="at_most", bound=bound, unit=unit)


def at_least(name: str, bound: float) -> Limit:
    return Limit(name=name, figure=name, sense="at_least", bound=bound, unit="/s")


def demand(*limits: Limit, **changes: Any) -> Demand:
    facts: dict[str, Any] = {"limits": limits, "traffic": Traffic(), "site": Site()}
    return Demand(**(facts | changes))


def chosen(
    asked: Demand, summary: ModelSummary, *sheets: Sheet, told: Told | None = None
) -> Selection:
    return survey(asked, summary, sheets, forecast=told or Told())


@pytest.mark.parametrize(
    ("bound_s", "expected"),
    [(1.5e-3, "likely meets"), (1.1e-3, "unknown: measure first"), (0.5e-3, "cannot meet")],
)
def test_the_band_against_the_bound_decides_what_is_expected(
    summary: Make, bound_s: float, expected: str
) -> None:
    # 1 ms, within a factor of 1.2
    (found,) = chosen(
        demand(at_most("latency_p50", bound_s)), summary(flops=10**6), sheet()
    ).prospects
    assert found.expected == expected
    assert (found.measurement is not None) == (expected == "unknown: measure first")


def test_the_probability_is_that_of_a_log_normal_band(summary: Make) -> None:
    def probability(bound_s: float) -> float:
        limit = at_most("latency_p50", bound_s)
        (found,) = chosen(demand(limit), summary(flops=10**6), sheet()).prospects
        assert found.probability is not None
        return found.probability

    assert probability(1e-3) == pytest.approx(0.5)
    assert probability(1.2e-3) == pytest.approx(0.9, abs=1e-6)  # the upper end of an 80 % band
    assert probability(1e-3 / 1.2) == pytest.approx(0.1, abs=1e-6)


def test_an_open_limit_names_the_cheapest_measurement(summary: Make) -> None:
    limit = at_most("latency_p50", 1.1e-3)
    rented, bought, unpriced = (
        sheet("rented"),
        sheet("bought", rents=(), price_usd=fact(500)),
        sheet("unpriced", rents=()),
    )
    found = chosen(demand(limit), summary(flops=10**6), rented, bought, unpriced)
    told = {p.device_id: p.measurement for p in found.prospects if p.measurement}
    assert "rent rented for an hour at 0.36 USD (P, 2026-11-09)" in told["rented"].text
    assert told["rented"].usd == pytest.approx(0.36)
    assert "buy one bought at 500 USD" in told["bought"].text
    assert told["unpriced"].usd is None and "no offer" in told["unpriced"].text
    here = chosen(demand(limit), summary(flops=10**6), sheet("local", runs=("onnxruntime",)))
    (local,) = here.prospects
    assert local.measurement is not None and "fitwright calibrate" in local.measurement.text


def test_the_smallest_number_of_devices_that_meets_the_rate_is_chosen(summary: Make) -> None:
    (found,) = chosen(demand(at_least("throughput", 2501)), summary(flops=10**6), sheet()).prospects
    # 1000/s each; 833.3/s at the slow end of the band: three serve 2500
    assert found.num_devices == 4
    assert found.expected == "likely meets"
    (fewer,) = chosen(demand(at_least("throughput", 2500)), summary(flops=10**6), sheet()).prospects
    assert fewer.num_devices == 3


def test_arrivals_at_random_take_more_devices_than_their_mean(summary: Make) -> None:
    busy = Traffic(scenario="server", rate_per_s=2400)
    limits = (at_most("latency_p99", 5e-3),)
    (found,) = chosen(demand(*limits, traffic=busy), summary(flops=10**6), sheet()).prospects
    assert found.num_devices > 3  # three would be busy 96 % of the time at the slow end
    assert found.utilisation == pytest.approx(2.4 / found.num_devices)
    assert found.expected == "likely meets"
    tight = chosen(
        demand(at_most("latency_p99", 2e-3), traffic=busy), summary(flops=10**6), sheet()
    )
    assert tight.prospects[0].num_devices > found.num_devices


def test_what_runs_without_calibration_is_preferred_where_it_keeps_the_contract(
    summary: Make,
) -> None:
    fast = Told(int8_gain=4)
    easy = demand(at_most("latency_p50", 2e-3))
    (found,) = chosen(easy, summary(flops=10**6), sheet(), told=fast).prospects
    assert not found.way.rounds
    assert "int8" in {w.dtype for w in found.others}
    hard = demand(at_most("latency_p50", 0.5e-3))
    (narrow,) = chosen(hard, summary(flops=10**6), sheet(), told=fast).prospects
    assert narrow.way.dtype == "int8"
    assert any("whether agreement holds is not predicted" in r for r in narrow.reasons)


@pytest.mark.parametrize(
    ("bound_s", "has_floor", "dtype", "verdict"),
    [
        (2e-3, False, "float32", "likely meets"),
        (2e-3, True, "float32", "likely meets; accuracy unmeasured"),
        (0.5e-3, False, "int8", "likely meets; accuracy unmeasured"),
        (0.1e-3, True, "float32", "cannot meet"),
    ],
)
def test_the_verdict_says_where_accuracy_is_unmeasured(
    summary: Make, bound_s: float, has_floor: bool, dtype: str, verdict: str
) -> None:
    asked = demand(at_most("latency_p50", bound_s), quality="accuracy", has_floor=has_floor)
    card = sheet(peaks={"float32": fact(30e12), "int8": fact(240e12)})
    (found,) = chosen(asked, summary(flops=10**6), card, told=Told(int8_gain=4)).prospects
    assert (found.way.dtype, found.verdict) == (dtype, verdict)
    # a bound is cannot-meet whatever accuracy does, so the verdict alone leaves it out there
    assert found.unmeasured == (("accuracy",) if has_floor or dtype == "int8" else ())


def test_what_needs_no_accuracy_measured_comes_first_and_the_cheaper_one_is_noted(
    summary: Make,
) -> None:
    narrow = sheet("narrow", peaks={"int8": fact(240e12)})
    wide = sheet("wide", rents=(Rent(usd_per_s=1e-3, provider="P", date="d", source="s"),))
    asked = demand(at_most("latency_p50", 2e-3), quality="accuracy")
    found = chosen(asked, summary(flops=10**6), narrow, wide)
    assert [p.device_id for p in found.prospects] == ["wide", "narrow"]
    assert {p.expected for p in found.prospects} == {"likely meets"}
    (note,) = found.notes
    assert note.startswith("narrow would cost least, 0.1 USD/1M, if accuracy holds in int8")


def test_a_concession_says_where_accuracy_is_unmeasured(summary: Make) -> None:
    narrow = sheet("narrow", peaks={"int8": fact(240e12)})
    asked = demand(at_most("latency_p50", 0.5e-3), quality="accuracy")
    (found,) = chosen(asked, summary(flops=10**6), narrow).concessions
    assert found.text.endswith("; accuracy unmeasured)")


def test_the_limit_that_blocks_is_told_with_the_nearest_device(summary: Make) -> None:
    told = Told(times_s={"near": 10.0, "far": 100.0})
    limit = at_most("latency_p50", 5e-3)
    found = chosen(demand(limit), summary(flops=10**6), sheet("far"), sheet("near"), told=told)
    (note,) = found.notes
    assert "the nearest device, near, is predicted at 2,000x its bound" in note


def test_devices_rank_by_expectation_then_cost(summary: Make) -> None:
    dear = sheet("dear", rents=(Rent(usd_per_s=1e-2, provider="P", date="d", source="s"),))
    slow = sheet("slow")
    told = Told(times_s={"slow": 1.0})
    limit = at_most("latency_p50", 2e-3)
    found = chosen(demand(limit), summary(flops=10**6), slow, dear, sheet("cheap"), told=told)
    assert [p.device_id for p in found.prospects] == ["cheap", "dear", "slow"]


def test_memory_power_support_and_physics_refuse_with_ratio_and_amount(summary: Make) -> None:
    small = sheet("small", memory_bytes=fact(1 << 20))
    hot = sheet("hot", tdp_w=fact(300))
    odd = sheet("odd", family="abacus", architecture="Wood")
    weak = sheet("weak", peaks={"float32": fact(1e9)}, bandwidth_bytes_per_s=fact(1e9))
    asked = demand(at_most("latency_p50", 0.1), site=Site(power_w=75.0))
    found = chosen(asked, summary(weight_bytes=64 << 20), small, hot, odd, weak)
    by_id = {r.device_id: r for r in found.refused}
    assert found.prospects == ()
    assert (by_id["small"].limit, by_id["hot"].limit) == ("device memory", "power")
    assert (by_id["odd"].limit, by_id["weak"].limit) == ("support", "latency_p50")
    assert by_id["hot"].gap == 4 and by_id["hot"].short_by == 225
    # 4 GFLOP at 1 GFLOP/s take 4 s
    assert by_id["weak"].gap == pytest.approx(40)
    assert "4 s at least: 40x, 3.9 s too much" in by_id["weak"].reason


def test_a_model_that_fits_no_dtype_of_the_device_is_refused(summary: Make) -> None:
    told = Told(weights_bytes=100 * GIB)
    (refused,) = chosen(demand(), summary(flops=10**6), sheet(), told=told).refused
    assert refused.limit == "device memory"
    assert "in the dtypes that run there" in refused.reason


def test_an_fpga_is_refused_where_not_even_all_of_its_logic_is_fast_enough(summary: Make) -> None:
    small, large = (
        sheet(
            name, kind="fpga", family="amd-fpga", architecture="7-series", peaks={}, rents=(),
            fabric={"lut": fact(luts), "dsp": fact(100)}, clock_hz=fact(1e8),
        )
        for name, luts in (("small", 9800), ("large", 9.8e6))
    )  # fmt: skip
    # 2 G multiply-adds over 10,000 a cycle at 100 MHz take 2 ms
    found = chosen(demand(at_most("latency_p50", 1e-3)), summary(), small, large)
    (refused,) = found.refused
    assert (refused.device_id, refused.gap) == ("small", pytest.approx(2))
    assert [p.device_id for p in found.prospects] == ["large"]


def test_devices_asked_for_by_rent_are_paid_by_rent(summary: Make) -> None:
    card = sheet(price_usd=fact(1.0))
    rented = demand(pay="rent")
    (found,) = chosen(rented, summary(flops=10**6), card).prospects
    assert found.figures["cost"] == found.figures["cost_rented"]
    (free,) = chosen(demand(), summary(flops=10**6), card).prospects
    assert free.figures["cost"] == free.figures["cost_owned"]


def test_without_a_prediction_a_device_is_listed_as_unknown(summary: Make) -> None:
    (found,) = chosen(
        demand(at_most("latency_p50", 1)), summary(flops=10**6), sheet(),
        told=Told(times_s={"card": -1.0}),
    ).prospects  # fmt: skip
    assert found.expected == "unknown: measure first"
    assert found.probability is None
    assert "nobody measured it" in found.reasons[0]


def test_when_nothing_fits_the_smallest_changes_are_told_with_their_device(summary: Make) -> None:
    told = Told(times_s={"near": 10e-3, "far": 100e-3})
    limit = at_most("latency_p50", 5e-3)
    found = chosen(demand(limit), summary(flops=10**6), sheet("near"), sheet("far"), told=told)
    (first, *_) = found.concessions
    assert first.device_id == "near"
    assert first.bounds["latency_p50"] == pytest.approx(12e-3)
    assert "latency_p50: 5 ms -> 12 ms is met by near at" in first.text
    assert any("latency_p50 blocks" in note and "2x its bound" in note for note in found.notes)


def test_changes_of_one_limit_come_before_those_of_two(summary: Make) -> None:
    told = Told(times_s={"slow": 20e-3, "hungry": 1e-3})
    limits = (at_most("latency_p50", 5e-3), at_most("energy", 1e-3, "J"))
    found = chosen(demand(*limits), summary(flops=10**6), sheet("slow"), sheet("hungry"), told=told)
    assert [len(c.bounds) for c in found.concessions] == sorted(
        len(c.bounds) for c in found.concessions
    )
    assert found.concessions[0].device_id == "hungry"


def test_two_kinds_share_the_rate_where_that_costs_less(summary: Make) -> None:
    small = sheet("small", rents=(Rent(usd_per_s=1.5e-4, provider="P", date="d", source="s"),))
    large = sheet("large", rents=(Rent(usd_per_s=10e-4, provider="P", date="d", source="s"),))
    told = Told(times_s={"small": 10e-3, "large": 1e-3}, spread=1.08)
    # 93/s and 926/s at the slow end: 1000/s is one large and one small, not two large ones
    asked = demand(at_least("throughput", 1000))
    (mix, *_) = chosen(asked, summary(flops=10**6), small, large, told=told).mixes
    assert {p.device_id: p.num_devices for p in mix.parts} == {"large": 1, "small": 1}
    assert mix.usd_per_s == pytest.approx(11.5e-4, rel=1e-3)
    assert mix.rate_per_s >= 1000
    assert sum(p.share for p in mix.parts) == pytest.approx(1)
    assert "unmeasured" not in mix.text


def test_a_mix_names_the_devices_whose_accuracy_is_unmeasured(summary: Make) -> None:
    small = sheet(
        "small",
        rents=(Rent(usd_per_s=1.5e-4, provider="P", date="d", source="s"),),
        peaks={"int8": fact(240e12)},
    )
    large = sheet("large", rents=(Rent(usd_per_s=10e-4, provider="P", date="d", source="s"),))
    told = Told(times_s={"small": 10e-3, "large": 1e-3}, spread=1.08)
    asked = demand(at_least("throughput", 1000), quality="accuracy")
    (mix, *_) = chosen(asked, summary(flops=10**6), small, large, told=told).mixes
    assert mix.text.endswith("; accuracy unmeasured on small")


def test_one_kind_is_not_split_without_a_saving(summary: Make) -> None:
    asked = demand(at_least("throughput", 100))
    assert chosen(asked, summary(flops=10**6), sheet("a"), sheet("b")).mixes == ()


def test_offline_queries_are_stacked_where_that_serves_more(summary: Make) -> None:
    asked = demand(
        at_least("throughput", 1000), traffic=Traffic(scenario="offline"), is_batchable=True
    )
    (found,) = chosen(asked, summary(flops=10**6), sheet()).prospects
    # a run of 64 takes 8 times as long
    assert found.way.batch == 64
    assert found.num_devices == 1


def test_copies_run_at_once_where_starting_kernels_takes_the_time(summary: Make) -> None:
    asked = demand(traffic=Traffic(scenario="server", rate_per_s=3000))
    (found,) = chosen(asked, summary(flops=10**6), sheet(), told=Told(overhead=0.8)).prospects
    assert found.way.streams > 1


def test_an_operator_without_a_rule_is_named(summary: Make) -> None:
    odd = Uncounted(kind="Mystery", domain="acme", num_operators=3, reason="no rule")
    found = chosen(demand(), summary(flops=10**6, uncounted=(odd,)), sheet())
    assert found.notes == ("3 x acme.Mystery has no rule (no rule): every band is wider for it",)


def test_every_rule_of_thumb_is_checked_with_figures(summary: Make) -> None:
    cpu = sheet("cpu", kind="cpu", family="intel-cpu", architecture="Sapphire Rapids")
    npu = sheet("npu", kind="npu", family="hailo-npu", architecture="Hailo-8")
    tpu = sheet("tpu", kind="tpu", family="google-tpu", peaks={"bfloat16": fact(2e14)})
    told = Told(times_s={"cpu": 20e-3, "card": 1e-3, "npu": 0.1e-3})
    found = chosen(demand(), summary(flops=10**6), cpu, sheet(), npu, tpu, told=told)
    claims = {c.text.split()[1]: c for c in found.claims}
    assert claims["GPU"].holds == "supported" and "20x" in claims["GPU"].reasons[0]
    assert claims["TPU"].holds == "refuted"  # 32 MiB of training state fit into one
    assert claims["FPGA"].holds == "undecided"
    assert claims["ASIC"].holds == "supported"


def test_a_rule_of_thumb_stays_open_where_the_bands_of_both_kinds_overlap(summary: Make) -> None:
    cpu = sheet("cpu", kind="cpu", family="intel-cpu", architecture="Sapphire Rapids", rents=())
    told = Told(times_s={"cpu": 2e-3, "card": 1e-3}, spread=1.6)
    found = chosen(demand(), summary(flops=10**6), cpu, sheet(), told=told)
    (gpu,) = (c for c in found.claims if "GPU" in c.text)
    assert gpu.holds == "undecided"
    assert "overlap" in gpu.reasons[-1]


@given(
    time_s=st.floats(1e-5, 1.0),
    spread=st.floats(1.05, 4),
    rate=st.floats(1, 1e5),
    bound_s=st.floats(1e-5, 10),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_faster_device_never_takes_more_devices_nor_meets_less_likely(
    summary: Make, time_s: float, spread: float, rate: float, bound_s: float
) -> None:
    asked = demand(
        at_most("latency_p99", bound_s), traffic=Traffic(scenario="server", rate_per_s=rate)
    )
    told = Told(times_s={"slow": time_s, "fast": time_s / 2}, spread=spread)
    model = summary(flops=1, weight_bytes=4096)
    found = chosen(asked, model, sheet("slow"), sheet("fast"), told=told)
    by_id = {p.device_id: p for p in found.prospects}
    assert by_id.keys() == {"slow", "fast"}  # 4 KiB take far less than the tightest bound
    order = ("likely meets", "unknown: measure first", "cannot meet")
    fast, slow = by_id["fast"], by_id["slow"]
    assert order.index(fast.expected) <= order.index(slow.expected)
    if fast.expected == slow.expected == "likely meets":
        assert fast.num_devices <= slow.num_devices

"""Hard limits of published devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.records.contract import Traffic
from fitwright.records.need import Limit
from fitwright.records.place import Site
from fitwright.records.sheet import Fact
from fitwright.select.demand import Demand
from fitwright.select.physics import Bare, bare, capacity_bytes, latency_floor_s, refusals

Make = Callable[..., Any]
MODEL = Bare(
    memory_bytes=1e9,
    moved_bytes=1e9,
    weight_bytes=9e8,
    convolution_flops=1e12,
    other_flops=1e12,
)


@given(peak=st.floats(1, 100), bandwidth=st.floats(1, 100))
def test_a_better_sheet_never_has_a_higher_floor(peak: float, bandwidth: float) -> None:
    plain = find_sheet("l4")

    def times(fact: Fact | None, factor: float) -> Fact | None:
        return fact and fact.model_copy(update={"value": fact.value * factor})

    better = plain.model_copy(
        update={
            "peaks": {d: times(f, peak) for d, f in plain.peaks.items()},
            "bandwidth_bytes_per_s": times(plain.bandwidth_bytes_per_s, bandwidth),
        }
    )
    dtypes = tuple(plain.peaks)
    assert latency_floor_s(better, MODEL, dtypes=dtypes) <= latency_floor_s(
        plain, MODEL, dtypes=dtypes
    )


def test_a_refusal_without_limits_rests_on_memory_and_power_alone(summary: Make) -> None:
    demand = Demand(limits=(), traffic=Traffic(), site=Site())
    model = bare(summary())
    for sheet in load_sheets().values():
        found = refusals(sheet, model, demand, dtypes=tuple(sheet.peaks))
        held = capacity_bytes(sheet)
        too_small = held is not None and held < model.memory_bytes
        assert [r.limit for r in found] == (["device memory"] if too_small else [])


def test_every_broken_limit_is_kept_with_its_gap(summary: Make) -> None:
    limits = (
        Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=1e-9, unit="s"),
        Limit(name="peak_memory", figure="peak_memory", sense="at_most", bound=1024, unit="bytes"),
    )
    demand = Demand(limits=limits, traffic=Traffic(), site=Site(power_w=10.0))
    found = refusals(find_sheet("l4"), bare(summary()), demand, dtypes=("int8",))
    assert {r.limit for r in found} == {"latency_p99", "peak_memory", "power"}
    assert all(r.gap > 1 and r.short_by and r.short_by > 0 for r in found)


def test_a_microcontroller_holds_weights_in_flash_beside_its_memory() -> None:
    chip = find_sheet("stm32h743")
    assert chip.memory_bytes and chip.flash_bytes
    assert capacity_bytes(chip) == chip.memory_bytes.value + chip.flash_bytes.value
    assert capacity_bytes(find_sheet("hailo-8")) is None

"""Energy of one device: idle, arithmetic, bytes, and the cap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.perf.energy import energy_j
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Fact, Sheet


def fact(value: float) -> Fact:
    return Fact(value=value, source="test", confidence="C")


CARD = Sheet(
    id="card",
    name="Card",
    kind="gpu",
    vendor="x",
    architecture="New",
    family="x-gpu",
    peaks={"float16": fact(100e12)},
    bandwidth_bytes_per_s=fact(1e12),
    tdp_w=fact(300),
)


def joules(*, flops: float, bytes_moved: float, time_s: float = 1.0, sheet: Sheet = CARD) -> float:
    found = energy_j(
        time_s=time_s,
        flops=flops,
        bytes_moved=bytes_moved,
        sheet=sheet,
        dtype="float16",
        table=evidence("energy"),
    )
    assert isinstance(found, Estimate), found
    return found.value


@given(st.floats(0, 1e14), st.floats(0, 1e12), st.floats(1e-3, 10))
def test_energy_never_passes_the_tdp_nor_falls_below_idle(f: float, b: float, t: float) -> None:
    found = joules(flops=f, bytes_moved=b, time_s=t)
    # the cap is exact up to rounding
    assert joules(flops=0, bytes_moved=0, time_s=t) <= found <= 300 * t * (1 + 1e-9)


@given(st.floats(0, 5e13), st.floats(0, 5e11))
def test_more_work_in_the_same_time_never_costs_less(f: float, b: float) -> None:
    assert joules(flops=2 * f, bytes_moved=b) >= joules(flops=f, bytes_moved=b)
    assert joules(flops=f, bytes_moved=2 * b) >= joules(flops=f, bytes_moved=b)


def test_a_dtype_without_a_peak_has_no_energy() -> None:
    found = energy_j(
        time_s=1, flops=1, bytes_moved=1, sheet=CARD, dtype="float4", table=evidence("energy")
    )
    assert isinstance(found, NoData)
    assert "float4" in found.reason


def test_a_device_without_a_tdp_has_no_energy() -> None:
    bare = CARD.model_copy(update={"tdp_w": None})
    found = energy_j(
        time_s=1, flops=1, bytes_moved=1, sheet=bare, dtype="float16", table=evidence("energy")
    )
    assert isinstance(found, NoData)


def test_a_whole_b200_gemm_draws_what_was_metered() -> None:
    b200 = CARD.model_copy(
        update={
            "architecture": "Blackwell",
            "peaks": {"float16": fact(2250e12), "bfloat16": fact(2250e12)},
            "tdp_w": fact(1000),
            "bandwidth_bytes_per_s": fact(7.7e12),
        }
    )
    found = energy_j(
        time_s=1,
        flops=1378e12,
        bytes_moved=0,
        sheet=b200,
        dtype="bfloat16",
        table=evidence("energy"),
    )
    assert isinstance(found, Estimate)
    # 987 W metered at 1,378 TFLOP/s; two boards share the constants, hence 5 %
    assert abs(found.value / 987 - 1) < 0.05

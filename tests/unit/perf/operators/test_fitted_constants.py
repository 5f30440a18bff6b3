"""The constants of the catalogue under the operator formulas, on every device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.perf.operators import (
    OperatorTime,
    decode_work,
    gemm_work,
    operator_time,
    operator_times,
    prefill_work,
)
from fitwright.perf.work import Work
from fitwright.records.estimate import NoData
from fitwright.records.sheet import Fact, Sheet

TABLE = (*evidence("gemm"), *evidence("attention"))
DTYPES = ("float32", "bfloat16", "float16", "float8", "int8", "float4")
FED = [s for s in load_sheets().values() if s.bandwidth_bytes_per_s and s.peaks]
SWEPT = ("h100-sxm", "a100-80-sxm", "arc-pro-b60", "b200", "l40s", "xeon-8480", "tpu-v5e")

sizes = st.integers(1, 20_000)
devices = st.sampled_from(SWEPT).map(find_sheet)
dtypes = st.sampled_from(DTYPES)
gemms = st.builds(gemm_work, m=sizes, n=sizes, k=sizes, dtype=st.just("bfloat16"))
prefills = st.builds(
    prefill_work, batch=st.integers(1, 32), queries=st.integers(1, 8192),
    num_heads=st.just(32), num_kv_heads=st.sampled_from([1, 8, 32]), head_dim=st.just(128),
    dtype=st.just("bfloat16"), past=st.integers(0, 4096),
)  # fmt: skip
decodes = st.builds(
    decode_work, batch=st.integers(1, 256), context=st.integers(1, 65536),
    num_heads=st.just(32), num_kv_heads=st.sampled_from([1, 8, 32]), head_dim=st.just(128),
    dtype=st.just("bfloat16"),
)  # fmt: skip
works = st.one_of(gemms, prefills, decodes)


def answered(work: Work, device: Sheet) -> OperatorTime:
    time = operator_time(work, device, TABLE)
    assert isinstance(time, OperatorTime), time
    return time


def faster(fact: Fact | None, factor: float) -> Fact:
    assert fact is not None
    return fact.model_copy(update={"value": fact.value * factor})


@given(works, devices, st.floats(1.0, 8.0))
def test_more_bandwidth_is_never_slower(work: Work, device: Sheet, factor: float) -> None:
    more = faster(device.bandwidth_bytes_per_s, factor)
    quick = device.model_copy(update={"bandwidth_bytes_per_s": more})
    slow_s, quick_s = answered(work, device).time.value, answered(work, quick).time.value
    # a rounding of the power that blends both parts may go either way
    assert quick_s <= slow_s * (1 + 1e-12)


@given(works, devices, st.floats(1.0, 8.0))
def test_a_higher_peak_is_never_slower(work: Work, device: Sheet, factor: float) -> None:
    # every peak alike: equal peaks of twins stay equal, and the same evidence answers
    peaks = {k: faster(v, factor) for k, v in device.peaks.items()}
    quick = device.model_copy(update={"peaks": peaks})
    slow_s, quick_s = answered(work, device).time.value, answered(work, quick).time.value
    # a rounding of the power that blends both parts may go either way
    assert quick_s <= slow_s * (1 + 1e-12)


@given(works, devices)
def test_no_time_is_under_the_roofline(work: Work, device: Sheet) -> None:
    time = answered(work, device)
    assert time.roofline_s <= time.time.value


@pytest.mark.parametrize("device", FED, ids=lambda s: s.id)
def test_a_device_answers_for_its_own_dtypes_and_no_others(device: Sheet) -> None:
    for dtype in DTYPES:
        time = operator_time(gemm_work(m=64, n=512, k=512, dtype=dtype), device, TABLE)
        assert isinstance(time, OperatorTime) == (dtype in device.peaks), (dtype, time)


def test_a_device_without_a_published_bandwidth_says_so() -> None:
    work = gemm_work(m=64, n=512, k=512, dtype="int8")
    refused = operator_time(work, find_sheet("hailo-8"), TABLE)
    assert isinstance(refused, NoData)
    assert "bandwidth" in refused.reason


def test_narrow_weights_are_faster_where_reading_them_decides() -> None:
    wide = gemm_work(m=1, n=16384, k=16384, dtype="bfloat16")
    narrow = gemm_work(m=1, n=16384, k=16384, dtype="bfloat16", weight_dtype="int4")
    device = find_sheet("a100-80-sxm")
    assert answered(narrow, device).time.value < 0.5 * answered(wide, device).time.value


def test_many_operators_of_every_class_answer_as_one_by_one() -> None:
    asked = [
        *(gemm_work(m=m, n=4096, k=4096, dtype=d) for m in (1, 300) for d in DTYPES),
        prefill_work(batch=2, queries=900, num_heads=32, num_kv_heads=8, head_dim=128,
                     dtype="bfloat16"),
        decode_work(batch=9, context=900, num_heads=32, num_kv_heads=8, head_dim=128,
                    dtype="bfloat16"),
        Work(operator_class="memory", dtype="float16", flops=1e5, bytes_moved=1e7),
        Work(operator_class="depthwise", dtype="float16", flops=1e8, bytes_moved=1e7),
    ]  # fmt: skip
    device = find_sheet("h100-sxm")
    together = operator_times(asked, device, TABLE)
    alone = [operator_time(w, device, TABLE) for w in asked]
    expected = [t.time.value if isinstance(t, OperatorTime) else np.nan for t in alone]
    # the same formula in both; rounding of array steps may differ by a few units
    np.testing.assert_allclose(together.time_s, expected, rtol=1e-12)


def test_what_fits_on_chip_moves_faster_where_the_constants_say_how_much() -> None:
    far = Work(operator_class="memory", dtype="float32", flops=0, bytes_moved=8e6)
    near = Work(
        operator_class="memory", dtype="float32", flops=0, bytes_moved=8e6, working_set_bytes=8e6
    )
    device = find_sheet("a100-80-sxm")
    assert answered(near, device).time.value < answered(far, device).time.value
    assert answered(near, device).roofline_s < answered(far, device).roofline_s

"""How long an operator takes on a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.operators import (
    decode_work,
    gemm_work,
    operator_time,
    operator_times,
    prefill_work,
)
from fitwright.perf.operators.time import OperatorTime
from fitwright.perf.work import Work
from fitwright.records.estimate import NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Fact, Sheet

CLASSES = ("gemm", "attention_prefill", "attention_decode", "memory")


def sheet(*, peak: float = 300e12, bandwidth: float = 2e12, dtype: str = "bfloat16") -> Sheet:
    def fact(value: float) -> Fact:
        return Fact(value=value, source="test", confidence="A")

    return Sheet(
        id="card",
        name="Card",
        kind="gpu",
        vendor="V",
        architecture="Arch",
        family="v-gpu",
        num_units=fact(108),
        peaks={dtype: fact(peak)},
        bandwidth_bytes_per_s=fact(bandwidth),
        onchip_bytes=fact(40e6),
    )


def row(what: str, dtype: str = "bfloat16") -> Evidence:
    return Evidence(
        what=what,
        dtype="" if what == "memory" else dtype,
        rung="kind",
        scope="gpu",
        constants={"floor_s": 5e-6, "compute_share": 0.7, "bandwidth_share": 0.8},
        spread=1.5,
        num_points=10,
        source="test",
    )


TABLE = tuple(row(what) for what in CLASSES)


def answered(work: Work, device: Sheet) -> OperatorTime:
    time = operator_time(work, device, TABLE)
    assert isinstance(time, OperatorTime), time
    return time


sizes = st.integers(1, 20_000)
gemms = st.builds(gemm_work, m=sizes, n=sizes, k=sizes, dtype=st.just("bfloat16"))
heads = st.sampled_from([(8, 1), (32, 8), (32, 32), (64, 8)])
prefills = st.builds(
    lambda batch, queries, h, past: prefill_work(
        batch=batch, queries=queries, past=past, num_heads=h[0], num_kv_heads=h[1],
        head_dim=128, dtype="bfloat16",
    ),
    st.integers(1, 32), st.integers(1, 8192), heads, st.integers(0, 4096),
)  # fmt: skip
decodes = st.builds(
    lambda batch, context, h: decode_work(
        batch=batch, context=context, num_heads=h[0], num_kv_heads=h[1], head_dim=128,
        dtype="bfloat16",
    ),
    st.integers(1, 256), st.integers(1, 65536), heads,
)  # fmt: skip
works = st.one_of(gemms, prefills, decodes)
faster = st.floats(1.0, 10.0)


@given(works, faster)
def test_more_bandwidth_is_never_slower(work: Work, factor: float) -> None:
    slow, fast = sheet(), sheet(bandwidth=2e12 * factor)
    assert answered(work, fast).time.value <= answered(work, slow).time.value


@given(works, faster)
def test_a_higher_peak_is_never_slower(work: Work, factor: float) -> None:
    slow, fast = sheet(), sheet(peak=300e12 * factor)
    assert answered(work, fast).time.value <= answered(work, slow).time.value


@given(works)
def test_no_time_is_under_the_roofline(work: Work) -> None:
    time = answered(work, sheet())
    assert time.roofline_s <= time.time.value


@given(st.lists(works, min_size=1, max_size=8))
def test_many_at_once_answer_as_one_by_one(asked: list[Work]) -> None:
    together = operator_times(asked, sheet(), TABLE)
    alone = [answered(w, sheet()) for w in asked]
    # the same formula in both; rounding of array steps may differ by a few units
    np.testing.assert_allclose(together.time_s, [t.time.value for t in alone], rtol=1e-12)
    np.testing.assert_allclose(together.high_s, [t.time.high for t in alone], rtol=1e-12)
    assert together.rungs == tuple(t.time.rung for t in alone)


def test_a_dtype_without_a_fast_path_has_no_data() -> None:
    refused = operator_time(gemm_work(m=8, n=8, k=8, dtype="float8"), sheet(), TABLE)
    assert isinstance(refused, NoData)
    assert "no fast path for float8" in refused.reason


def test_one_refused_operator_leaves_the_others_answered() -> None:
    asked = [gemm_work(m=8, n=8, k=8, dtype=d) for d in ("bfloat16", "float8", "bfloat16")]
    times = operator_times(asked, sheet(), TABLE)
    assert np.isnan(times.time_s).tolist() == [False, True, False]
    assert times.rungs == ("kind", None, "kind")
    assert "no fast path" in times.reasons[1][0]


def test_equal_peaks_share_evidence_and_say_so() -> None:
    twin = sheet().peaks | {"float16": Fact(value=300e12, source="test", confidence="A")}
    both = sheet().model_copy(update={"peaks": twin})
    time = operator_time(gemm_work(m=64, n=512, k=512, dtype="float16"), both, TABLE)
    assert isinstance(time, OperatorTime)
    assert any("answer for float16" in r for r in time.time.reasons)


def test_unequal_peaks_share_nothing() -> None:
    slow = sheet().peaks | {"float16": Fact(value=200e12, source="test", confidence="A")}
    uneven = sheet().model_copy(update={"peaks": slow})
    work = gemm_work(m=64, n=512, k=512, dtype="float16")
    assert isinstance(operator_time(work, uneven, TABLE), NoData)


def test_a_convolution_without_evidence_borrows_from_products_with_a_wider_band() -> None:
    product = gemm_work(m=64, n=512, k=512, dtype="bfloat16")
    conv = replace(product, operator_class="conv")
    borrowed, own = answered(conv, sheet()).time, answered(product, sheet()).time
    assert borrowed.value == own.value
    assert borrowed.high > own.high


@pytest.mark.parametrize(
    ("queries", "past", "window", "pairs"),
    [(4, 0, 0, 10), (4, 2, 0, 18), (4, 0, 2, 7), (4, 8, 2, 8), (1, 0, 0, 1)],
)
def test_a_causal_mask_counts_what_a_query_sees(
    queries: int, past: int, window: int, pairs: int
) -> None:
    work = prefill_work(
        batch=1, queries=queries, past=past, window=window,
        num_heads=1, num_kv_heads=1, head_dim=1, dtype="float32",
    )  # fmt: skip
    # pairs counted by hand: 1 + 2 + 3 + 4 = 10, and so on; 4 FLOP each
    assert work.flops == 4 * pairs


def test_a_decode_step_reads_the_cache_once_in_its_own_dtype() -> None:
    wide = decode_work(
        batch=2, context=100, num_heads=8, num_kv_heads=2, head_dim=64, dtype="bfloat16"
    )
    narrow = decode_work(
        batch=2, context=100, num_heads=8, num_kv_heads=2, head_dim=64, dtype="bfloat16",
        kv_dtype="float8",
    )  # fmt: skip
    # keys and values: 2 x 2 sequences x 100 tokens x 2 heads x 64, one byte less each
    assert wide.bytes_moved - narrow.bytes_moved == 2 * 2 * 100 * 2 * 64


def clocked(hz: float) -> Sheet:
    return sheet().model_copy(update={"clock_hz": Fact(value=hz, source="t", confidence="A")})


@pytest.mark.parametrize("what", ["gemm", "attention_decode", "attention_prefill"])
def test_a_floor_told_in_cycles_halves_at_twice_the_clock(what: str) -> None:
    told = row(what)
    told = told.model_copy(update={"constants": {**told.constants, "at_hz": 1e9}})
    tiny = Work(operator_class=what, dtype="bfloat16", flops=1.0, bytes_moved=1.0)  # type: ignore[arg-type]
    slow, fast, unknown = (
        operator_time(tiny, device, (told,)) for device in (clocked(1e9), clocked(2e9), sheet())
    )
    assert isinstance(slow, OperatorTime) and isinstance(fast, OperatorTime)
    assert isinstance(unknown, OperatorTime)
    assert slow.time.value == pytest.approx(5e-6, rel=0.01)
    assert fast.time.value == pytest.approx(2.5e-6, rel=0.01)
    assert unknown.time.value == slow.time.value  # without a clock, seconds are seconds


def test_a_narrow_cache_measured_on_other_architectures_alone_is_told_by_the_wide_one() -> None:
    quirk = row("attention_decode", dtype="bfloat16/float8")
    quirk = quirk.model_copy(update={"constants": {**quirk.constants, "floor_s": 1.0}})
    work = decode_work(
        batch=64, context=8192, num_heads=32, num_kv_heads=8, head_dim=128, dtype="bfloat16",
        kv_dtype="float8",
    )  # fmt: skip
    elsewhere = operator_time(work, sheet(), (*TABLE, quirk))
    own = quirk.model_copy(update={"rung": "device", "scope": "card"})
    here = operator_time(work, sheet(), (*TABLE, own))
    assert isinstance(elsewhere, OperatorTime) and isinstance(here, OperatorTime)
    assert elsewhere.time.value < 0.1 < here.time.value
    assert elsewhere.time.high > 3 * elsewhere.time.value  # the card has no units for float8


def test_weights_of_as_many_bytes_answer_for_each_other_in_a_wider_band() -> None:
    known = (row("gemm", dtype="bfloat16/int8"),)
    own, other = (
        operator_time(gemm_work(m=8, n=4096, k=4096, dtype="bfloat16", weight_dtype=w), sheet(),
                      known)
        for w in ("int8", "float8")
    )  # fmt: skip
    assert isinstance(own, OperatorTime) and isinstance(other, OperatorTime)
    assert other.time.value == own.time.value
    assert other.time.high > own.time.high
    assert any("int8 weights answer" in r for r in other.time.reasons)


def test_products_of_few_rows_have_a_band_of_their_own() -> None:
    of = row("gemm")
    own = of.model_copy(update={"constants": {**of.constants, "few_band": 1.2, "many_band": 0.96}})
    few, many = (gemm_work(m=m, n=4096, k=4096, dtype="bfloat16") for m in (16, 17))
    factors = []
    for work in (few, many):
        time = operator_time(work, sheet(), (own,))
        assert isinstance(time, OperatorTime), time
        factors.append(time.time.high / time.time.value)
    assert factors == pytest.approx([1.5 * 1.2, 1.5 * 0.96])

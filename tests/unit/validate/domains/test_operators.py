"""Cases of single operators."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.operators import predict_decode, predict_gemm, predict_prefill
from fitwright.validate.score import scored
from fitwright.validate.table import PUBLISHED, read_cases

PRODUCT = {"gemm_dtype": "bfloat16", "m": 64, "n": 4096, "k": 4096}
ATTENTION = {"batch_size": 4, "isl": 1, "step": 2047, "num_heads": 32, "num_key_value_heads": 8,
             "head_dim": 128, "kv_cache_dtype": "bfloat16"}  # fmt: skip


def case(inputs: dict[str, object], device: str = "h100-sxm", domain: str = "op/gemm") -> Case:
    return Case(
        case="one", domain=domain, device_id=device, inputs=inputs, metric="latency_ms",
        measured=None, unit="ms",
    )  # fmt: skip


def knowledge(device: str = "h100-sxm") -> Knowledge:
    return Knowledge(sheet=find_sheet(device), evidence=all_evidence())


def value(answer: Estimate | NoData) -> float:
    assert isinstance(answer, Estimate), answer
    return answer.value


@pytest.mark.parametrize(
    "spelled", ["bf16", "torch.bfloat16", "BFloat16", "amp bf16", "bf16 (dense)"]
)
def test_spellings_of_a_dtype_are_one(spelled: str) -> None:
    plain = predict_gemm(case(PRODUCT), knowledge())
    other = predict_gemm(case({**PRODUCT, "gemm_dtype": spelled}), knowledge())
    assert value(other) == value(plain)


def test_an_unknown_dtype_lists_what_is_known() -> None:
    refused = predict_gemm(case({**PRODUCT, "gemm_dtype": "posit8"}), knowledge())
    assert isinstance(refused, NoData)
    assert "posit8" in refused.reason and "int4_wo" in refused.reason


def test_a_product_without_its_sides_says_which_is_missing() -> None:
    refused = predict_gemm(case({"gemm_dtype": "bfloat16", "m": 4, "n": 8}), knowledge())
    assert isinstance(refused, NoData)
    assert "k" in refused.reason


def test_float8_weights_are_multiplied_wide_where_there_is_no_fast_path() -> None:
    inputs = {**PRODUCT, "gemm_dtype": "fp8"}
    answer = predict_gemm(case(inputs, "arc-pro-b60"), knowledge("arc-pro-b60"))
    assert isinstance(answer, Estimate)
    assert answer.rung == "device"


def test_a_dtype_without_a_fast_path_is_refused() -> None:
    inputs = {**PRODUCT, "gemm_dtype": "nvfp4"}
    refused = predict_gemm(case(inputs, "a100-80-sxm"), knowledge("a100-80-sxm"))
    assert isinstance(refused, NoData)
    assert "no fast path" in refused.reason


def test_a_longer_context_takes_longer_to_read() -> None:
    short = predict_decode(case(ATTENTION), knowledge())
    long = predict_decode(case({**ATTENTION, "step": 16383}), knowledge())
    assert value(long) > value(short)


def test_attention_of_more_queries_takes_longer() -> None:
    few = predict_prefill(case({**ATTENTION, "isl": 512, "step": 0}), knowledge())
    many = predict_prefill(case({**ATTENTION, "isl": 4096, "step": 0}), knowledge())
    assert value(many) > 8 * value(few)


def test_published_rows_outside_every_fit_are_met_within_the_target() -> None:
    rows = [scored(c) for c in read_cases(PUBLISHED / "operators.csv")]
    assert all(r.error is not None for r in rows)
    errors = [abs(r.error) for r in rows if r.error is not None]
    # the target of the operator level on a calibrated device
    assert median(errors) <= 0.10
    inside = [r.low <= r.measured <= r.high for r in rows if r.low and r.high and r.measured]
    # 38 rows: four of five expected inside, and two standard deviations of chance below that
    assert sum(inside) / len(inside) >= 0.67


@pytest.mark.parametrize("spelled", ["fp8", "int8"])
def test_a_narrow_cache_is_read_in_fewer_bytes_where_nobody_measured_one(spelled: str) -> None:
    long = {**ATTENTION, "batch_size": 64, "step": 16383}
    wide = predict_decode(case(long, "l40s"), knowledge("l40s"))
    narrow = predict_decode(case({**long, "kv_cache_dtype": spelled}, "l40s"), knowledge("l40s"))
    assert isinstance(wide, Estimate) and isinstance(narrow, Estimate)
    assert 0.45 < narrow.value / wide.value < 0.65
    assert narrow.high / narrow.value > wide.high / wide.value
    assert any("was not measured on Ada" in r for r in narrow.reasons)


def test_a_cache_without_its_units_may_take_several_times_as_long() -> None:
    prefill = {**ATTENTION, "isl": 2048, "step": 0, "kv_cache_dtype": "fp8"}
    answer = predict_prefill(case(prefill, "a100-80-sxm"), knowledge("a100-80-sxm"))
    assert isinstance(answer, Estimate)
    assert answer.high > 3.5 * answer.value


def test_a_case_silent_about_its_cache_has_a_band_that_reaches_to_both() -> None:
    silent = {**ATTENTION, "isl": 4096, "step": 0}
    del silent["kv_cache_dtype"]
    b60 = knowledge("arc-pro-b60")
    open_ = predict_prefill(case(silent, "arc-pro-b60"), b60)
    wide, narrow = (
        predict_prefill(case({**silent, "kv_cache_dtype": d}, "arc-pro-b60"), b60)
        for d in ("bf16", "fp8")
    )
    assert isinstance(open_, Estimate) and isinstance(narrow, Estimate)
    assert value(open_) == value(wide)
    assert open_.high == narrow.high
    assert any("does not say the cache" in r for r in open_.reasons)


def test_a_batch_of_products_takes_longer_than_one_and_less_than_each_alone() -> None:
    one = value(predict_gemm(case(PRODUCT), knowledge()))
    batch = value(predict_gemm(case({**PRODUCT, "batch": 16}), knowledge()))
    assert one < batch < 16 * one


def test_rows_dealt_to_experts_read_the_weights_of_the_busy_ones_only() -> None:
    few = value(predict_gemm(case({**PRODUCT, "m": 4, "num_experts": 64}), knowledge()))
    many = value(predict_gemm(case({**PRODUCT, "m": 64, "num_experts": 64}), knowledge()))
    assert 8 < many / few <= 16


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        ("FP8 E4M3", "fp8"),
        ("torch.float8_e4m3fn", "fp8"),
        ("fp8_e5m2", "fp8"),
        ("float8 blockwise", "fp8_block"),
        ("W4A16 AWQ", "int4_wo"),
        ("int4 g128", "int4_wo"),
        ("int8 weight-only", "int8_wo"),
        ("w8a8 int8", "sq"),
        ("uint8", "int8"),
        ("f16", "float16"),
        ("TF32", "tf32"),
    ],
)
def test_narrow_products_are_known_by_every_usual_spelling(spelled: str, plain: str) -> None:
    asked = [
        predict_gemm(case({**PRODUCT, "gemm_dtype": x}), knowledge()) for x in (spelled, plain)
    ]
    assert value(asked[0]) == value(asked[1])


def test_a_cache_is_narrow_however_it_is_spelled_and_an_unknown_one_is_refused() -> None:
    fp8 = {**ATTENTION, "kv_cache_dtype": "fp8"}
    spelled = {**ATTENTION, "kv_cache_dtype": "FP8 E4M3"}
    assert value(predict_decode(case(spelled), knowledge())) == value(
        predict_decode(case(fp8), knowledge())
    )
    refused = predict_decode(case({**ATTENTION, "kv_cache_dtype": "posit8"}), knowledge())
    assert isinstance(refused, NoData)
    assert "posit8" in refused.reason


def test_sides_may_be_written_with_separators_of_thousands() -> None:
    plain = predict_gemm(case(PRODUCT), knowledge())
    assert value(predict_gemm(case({**PRODUCT, "n": "4,096"}), knowledge())) == value(plain)


def test_an_attention_without_its_length_is_refused_instead_of_answered_for_one_token() -> None:
    sizes = {k: v for k, v in ATTENTION.items() if k not in ("isl", "step")}
    for ask in (predict_prefill, predict_decode):
        refused = ask(case(sizes), knowledge())
        assert isinstance(refused, NoData)
        assert "does not say" in refused.reason
    prompt = {**sizes, "prompt_len": 2048}
    assert value(predict_prefill(case(prompt), knowledge())) == value(
        predict_prefill(case({**sizes, "isl": 2048}), knowledge())
    )


def test_sides_of_a_product_are_known_by_what_layers_call_them() -> None:
    told = {"dtype": "bf16", "num_tokens": 64, "out_features": 4096, "in_features": 4096}
    assert value(predict_gemm(case(told), knowledge())) == value(
        predict_gemm(case(PRODUCT), knowledge())
    )


def test_a_product_is_told_as_arithmetic_or_bytes_a_second_where_asked() -> None:
    asked = case(PRODUCT)
    seconds = value(predict_gemm(asked, knowledge()))
    rate = scored(replace(asked, unit="TFLOP/s")).predicted
    assert rate == pytest.approx(2 * 64 * 4096 * 4096 / seconds / 1e12)
    moved = scored(replace(asked, unit="GB/s")).predicted
    assert moved == pytest.approx(2 * (64 * 4096 * 2 + 4096 * 4096) / seconds / 1e9)

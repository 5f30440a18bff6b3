"""Evidence and sheet to constants: refused dtypes, wider bands, never slower with more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.perf.ladder import without_device
from fitwright.perf.training.answer import Footing, footing, step_on
from fitwright.perf.training.layout import Layout, Shape
from fitwright.perf.training.step import StepTime
from fitwright.records.estimate import NoData
from fitwright.records.sheet import Sheet

TABLE = (*evidence("training"), *evidence("collectives"))
A100, H100 = find_sheet("a100-80-sxm"), find_sheet("h100-sxm")
SHAPE = Shape(
    hidden=4096,
    layers=32,
    heads=32,
    kv_heads=32,
    head_size=128,
    ffn=16384,
    ffn_matrices=2,
    vocab=50368,
    seq_len=2048,
)
SHARDED = Layout(dp=8, zero=3, fsdp=True, micro_batch=4)


def found(sheet: Sheet, layout: Layout = SHARDED) -> Footing:
    answer = footing(sheet, TABLE, software="fsdp", dtype="bfloat16", layout=layout)
    assert isinstance(answer, Footing), answer
    return answer


def seconds(sheet: Sheet, layout: Layout = SHARDED) -> float:
    time = step_on(SHAPE, layout, found(sheet, layout))
    assert isinstance(time, StepTime)
    return float(time.total_s)


def scaled(sheet: Sheet, field: str, factor: float) -> Sheet:
    fact = getattr(sheet, field)
    return sheet.model_copy(update={field: fact.model_copy(update={"value": fact.value * factor})})


@settings(deadline=None)
@given(st.sampled_from([A100, H100]), st.floats(1, 4))
def test_more_bandwidth_on_the_sheet_is_never_slower(sheet: Sheet, more: float) -> None:
    for field in ("bandwidth_bytes_per_s", "link_bytes_per_s"):
        assert seconds(scaled(sheet, field, more)) <= seconds(sheet) * (1 + 1e-12)


@settings(deadline=None)
@given(st.sampled_from([A100, H100]), st.floats(1, 4))
def test_a_higher_peak_on_the_sheet_is_never_slower(sheet: Sheet, more: float) -> None:
    fact = sheet.peaks["bfloat16"]
    peaks = sheet.peaks | {"bfloat16": fact.model_copy(update={"value": fact.value * more})}
    assert seconds(sheet.model_copy(update={"peaks": peaks})) <= seconds(sheet) * (1 + 1e-12)


def test_a_dtype_without_a_fast_path_is_refused() -> None:
    volta = footing(
        find_sheet("v100-sxm2"), TABLE, software="fsdp", dtype="bfloat16", layout=SHARDED
    )
    ampere = footing(
        A100, TABLE, software="fsdp", dtype="bfloat16", layout=Layout(float8="tensorwise")
    )
    assert isinstance(volta, NoData) and "bfloat16" in volta.reason
    assert isinstance(ampere, NoData) and "float8" in ampere.reason


def test_a_sheet_alone_answers_from_kin_under_a_wider_band() -> None:
    own = found(H100)
    kin = footing(
        H100,
        tuple(e for e in without_device(TABLE, H100) if e.scope != "Hopper"),
        software="fsdp",
        dtype="bfloat16",
        layout=SHARDED,
    )
    assert isinstance(kin, Footing)
    assert (own.rung, kin.rung) == ("device", "family") and kin.spread > own.spread


def test_float8_speeds_up_the_products_but_not_twice() -> None:
    wide, narrow = seconds(H100), seconds(H100, replace(SHARDED, float8="tensorwise"))
    assert wide / 2 < narrow < wide


def test_several_devices_without_a_link_have_no_data() -> None:
    alone = H100.model_copy(update={"link": "", "host_bytes_per_s": None})
    answer = step_on(SHAPE, SHARDED, found(alone))
    assert isinstance(answer, NoData) and "link" in answer.reason
    single = step_on(SHAPE, Layout(), found(alone, Layout()))
    assert isinstance(single, StepTime)


@pytest.mark.parametrize("software", ["megatron", "megatron-2022", "oneflow", "fsdp", "titan"])
def test_every_software_has_evidence_on_any_gpu(software: str) -> None:
    answer = footing(find_sheet("l4"), TABLE, software=software, dtype="float16", layout=Layout())
    assert isinstance(answer, Footing) and answer.rung in ("architecture", "family", "kind")


def test_a_twin_on_this_architecture_goes_before_the_software_on_another() -> None:
    twin = footing(
        find_sheet("a100-80-sxm"), TABLE, software="titan", dtype="bfloat16", layout=Layout()
    )
    assert isinstance(twin, Footing) and "llm-foundry" in twin.source

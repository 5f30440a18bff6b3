"""Transformers in float32, run kernel by kernel: counts and times."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.network.passes import Product, filled, forward
from fitwright.perf.network.power import (
    PICOJOULES_16,
    PICOJOULES_32,
    Energies,
    fed_rate,
    picojoules,
)
from fitwright.perf.network.transformer_time import Step, transformer_time
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer

TABLE = evidence("transformer_fp32")
NAMES = st.sampled_from(["bert_large", "gpt2_large", "opt_13", "gpt3_xl", "switchxl4"])
DEVICES = st.sampled_from(["v100-pcie-32", "a100-40-pcie", "t4", "h100-sxm", "mi210", "l4"])
STEP = Step(batch=4, tokens=512)


def shape(name: str) -> Transformer:
    found = find_transformer(name)
    assert found is not None, name
    return found


def time_s(name: str, step: Step, sheet: Sheet) -> float:
    found = transformer_time(shape(name), step, sheet, table=TABLE)
    assert isinstance(found, Estimate), found
    return found.value


def test_products_of_one_token_are_twice_the_parameters_of_the_blocks() -> None:
    bert = shape("bert_large")
    once = forward(bert, batch=1, tokens=1)
    per_block = bert.attention_parameters + bert.ffn_parameters
    scores = 4 * bert.num_layers * bert.num_heads * bert.head_size
    # exact: every count is a whole number far below 2**53
    assert once.flops == 2 * bert.num_layers * per_block + scores


@given(name=NAMES, batch=st.integers(1, 32), tokens=st.sampled_from([128, 512, 2048]))
def test_counts_are_additive_over_sequences(name: str, batch: int, tokens: int) -> None:
    one = forward(shape(name), batch=1, tokens=tokens)
    many = forward(shape(name), batch=batch, tokens=tokens)
    assert many.flops == pytest.approx(batch * one.flops)
    assert many.bytes_moved == pytest.approx(batch * one.bytes_moved)
    assert many.weight_bytes == one.weight_bytes


def test_the_last_wave_of_tiles_leaves_units_idle() -> None:
    product = Product(m=1024, n=1024, k=1024, count=1)
    # 64 tiles of 128 x 128; half tiles make two waves of 128 on 80 units, which fill no better
    assert filled(product, num_units=64) == 1
    assert filled(product, num_units=80) == pytest.approx(64 / 80)


@given(name=NAMES, device=DEVICES, batch=st.integers(1, 64), training=st.booleans())
def test_no_pass_is_under_the_roofline(name: str, device: str, batch: int, training: bool) -> None:
    sheet, step = find_sheet(device), Step(batch=batch, tokens=512, training=training)
    work = forward(shape(name), batch=batch, tokens=512)
    passes = 3 if training else 1
    assert time_s(name, step, sheet) >= passes * work.flops / sheet.peaks["float32"].value


@given(name=NAMES, device=DEVICES, factor=st.floats(1, 8))
def test_more_bandwidth_or_peak_is_never_slower(name: str, device: str, factor: float) -> None:
    sheet = find_sheet(device)
    assert sheet.bandwidth_bytes_per_s is not None
    bandwidth = sheet.bandwidth_bytes_per_s.value * factor
    peak = sheet.peaks["float32"].value * factor
    wide = sheet.model_copy(
        update={
            "bandwidth_bytes_per_s": sheet.bandwidth_bytes_per_s.model_copy(
                update={"value": bandwidth}
            )
        }
    )
    fast = sheet.model_copy(
        update={
            "peaks": sheet.peaks
            | {"float32": sheet.peaks["float32"].model_copy(update={"value": peak})}
        }
    )
    now = time_s(name, STEP, sheet)
    assert time_s(name, STEP, wide) <= now
    assert time_s(name, STEP, fast) <= now


@given(name=NAMES, device=DEVICES, batch=st.integers(1, 32))
def test_a_bigger_batch_never_takes_less_time(name: str, device: str, batch: int) -> None:
    sheet = find_sheet(device)
    small = time_s(name, replace(STEP, batch=batch), sheet)
    assert time_s(name, replace(STEP, batch=2 * batch), sheet) >= small * (1 - 1e-9)


def test_training_takes_at_least_three_forward_passes() -> None:
    sheet = find_sheet("v100-pcie-32")
    forward_s = time_s("gpt2_large", STEP, sheet)
    assert time_s("gpt2_large", replace(STEP, training=True), sheet) >= 3 * forward_s


def test_several_devices_are_faster_than_one_and_slower_than_their_share() -> None:
    sheet = find_sheet("a100-40-sxm")
    alone = time_s("gpt2_large", Step(batch=4, tokens=1024, training=True), sheet)
    for split in ("tp", "dp", "pp"):
        step = Step(batch=4, tokens=1024, training=True, split=split, num_devices=4)
        assert alone / 4 < time_s("gpt2_large", step, sheet) < alone, split


def test_fusion_saves_time() -> None:
    sheet = find_sheet("a100-40-pcie")
    step = Step(batch=8, tokens=1024)
    assert time_s("gpt2_large", replace(step, fused=True), sheet) < time_s(
        "gpt2_large", step, sheet
    )


def test_power_limits_the_rate_of_a_small_card_only() -> None:
    t4, v100 = find_sheet("t4"), find_sheet("v100-pcie-32")
    assert fed_rate(8.1e12, t4, PICOJOULES_32) == pytest.approx(70 / 16e-12)
    assert fed_rate(14e12, v100, PICOJOULES_32) == 14e12
    unknown = t4.model_copy(update={"tdp_w": None})
    assert fed_rate(8.1e12, unknown, PICOJOULES_32) == 8.1e12


@pytest.mark.parametrize("energies", [PICOJOULES_16, PICOJOULES_32])
def test_energy_of_an_operation_falls_with_the_years(energies: Energies) -> None:
    values = [picojoules(y, energies) for y in range(2010, 2030)]
    assert values == sorted(values, reverse=True)


def test_a_device_without_float32_or_without_evidence_has_no_answer() -> None:
    sheet = find_sheet("v100-pcie-32")
    bare = sheet.model_copy(update={"peaks": {}})
    for found in (
        transformer_time(shape("bert_large"), STEP, bare, table=TABLE),
        transformer_time(shape("bert_large"), STEP, sheet, table=()),
    ):
        assert isinstance(found, NoData)
        assert "float32" in found.reason

"""Whole networks on edge NPUs: weights that do not fit stream, and nothing beats the peak."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards.npu import Run, engine_style, seconds
from fitwright.records.estimate import Estimate, NoData

TABLE = evidence("npu")
SHEETS = load_sheets()
NPUS = sorted(s.id for s in SHEETS.values() if s.kind == "npu" and "int8" in s.peaks)


def run(ops: float, weights: float, *, batch: int = 1, layers: int = 50) -> Run:
    return Run(style="plain", ops=ops, weight_bytes=weights, num_layers=layers, batch=batch)


def took(device: str, asked: Run) -> float:
    found = seconds(asked, sheet=SHEETS[device], table=TABLE)
    assert isinstance(found, Estimate), found
    return found.value


@given(st.sampled_from(NPUS), st.floats(1e8, 1e11), st.floats(1e5, 2e8))
def test_nothing_beats_the_peak(device: str, ops: float, weights: float) -> None:
    assert took(device, run(ops, weights)) * SHEETS[device].peaks["int8"].value >= ops * 0.999


@given(st.floats(1e8, 1e11), st.floats(1e5, 2e8), st.floats(1.1, 10))
def test_more_weights_are_never_faster(ops: float, weights: float, factor: float) -> None:
    assert took("coral-edgetpu", run(ops, weights * factor)) >= took(
        "coral-edgetpu", run(ops, weights)
    )


def test_weights_beyond_the_chip_stream_over_the_link() -> None:
    inside, beyond = took("coral-edgetpu", run(1e9, 7e6)), took("coral-edgetpu", run(1e9, 58e6))
    # 50 MB at the 0.3 to 0.6 GB/s of USB 3 and one lane of PCIe 2
    assert 50e6 / 0.6e9 < beyond - inside < 50e6 / 0.3e9


def test_contexts_are_reloaded_once_per_batch() -> None:
    one = took("hailo-8", run(3e10, 86e6))
    assert took("hailo-8", run(3e10, 86e6, batch=8)) < one / 2
    assert took("hailo-8", run(3e9, 6e6, batch=8)) == took("hailo-8", run(3e9, 6e6))


def test_a_device_of_another_kind_has_no_data() -> None:
    assert isinstance(seconds(run(1e9, 1e6), sheet=SHEETS["h100-sxm"], table=TABLE), NoData)


def test_a_network_measured_at_one_batch_is_known_at_another() -> None:
    known = replace(run(8.48e9, 25e6, batch=4), network="resnext50_32x4d")
    # published: 2.513 ms at batches of 1 and 8, nearly three times what its totals suggest
    assert abs(took("hailo-8", known) / 2.513e-3 - 1) < 0.25
    assert took("hailo-8", replace(known, network="")) < 0.5 * took("hailo-8", known)


def test_boxes_take_longer_on_the_cpu_of_a_board_than_of_a_desktop() -> None:
    detector = replace(run(1.4e9, 6.8e6), style="detector", network="")
    board = replace(detector, host="embedded")
    plain = replace(board, style="plain")
    assert took("coral-edgetpu", board) > 1.3 * took("coral-edgetpu", detector)
    assert took("coral-edgetpu", plain) == took("coral-edgetpu", replace(plain, host="desktop"))


def test_mixers_are_not_cut_as_attention_is() -> None:
    assert engine_style("resmlp_12_224", "vit") == "plain"
    assert engine_style("vit_tiny_patch16_224", "vit") == "vit"

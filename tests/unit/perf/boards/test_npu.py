"""Whole networks on edge NPUs: weights that do not fit stream, and nothing beats the peak."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards.npu import Run, seconds
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

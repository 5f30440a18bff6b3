"""Throughput and latency of tuned submissions: shares of the peak, never beyond it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.benchmarks import find_benchmark, load_benchmarks
from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards import submission
from fitwright.perf.boards.submission_power import power_constants, system_w
from fitwright.perf.ladder import without_device
from fitwright.records.benchmark import Benchmark
from fitwright.records.estimate import NoData
from fitwright.records.sheet import Fact, Sheet

TABLE = evidence("mlperf")
SHEETS = load_sheets()
ACCELERATORS = sorted(s.id for s in SHEETS.values() if s.kind in ("gpu", "npu", "tpu", "asic"))
NAMES = [b.name for b in load_benchmarks()]


def benchmark(name: str) -> Benchmark:
    found = find_benchmark(name)
    assert found is not None
    return found


def offline(sheet: Sheet, name: str) -> float | None:
    found = submission.reached(sheet, benchmark(name), TABLE)
    if isinstance(found, NoData):
        return None
    return submission.offline_per_s(found, benchmark(name))


def scaled(fact: Fact | None, factor: float) -> Fact | None:
    return fact and fact.model_copy(update={"value": fact.value * factor})


@given(st.sampled_from(ACCELERATORS), st.sampled_from(NAMES), st.floats(1.01, 8))
def test_more_bandwidth_is_never_slower(device: str, name: str, factor: float) -> None:
    sheet = SHEETS[device]
    faster = sheet.model_copy(
        update={"bandwidth_bytes_per_s": scaled(sheet.bandwidth_bytes_per_s, factor)}
    )
    before, after = offline(sheet, name), offline(faster, name)
    # one part in a million: the same sum, taken in floats
    assert before is None or (after is not None and after >= before * (1 - 1e-6))


@given(st.sampled_from(ACCELERATORS), st.sampled_from(NAMES), st.floats(1.01, 8))
def test_higher_peaks_are_never_slower(device: str, name: str, factor: float) -> None:
    sheet = SHEETS[device]
    peaks = {d: f.model_copy(update={"value": f.value * factor}) for d, f in sheet.peaks.items()}
    before, after = offline(sheet, name), offline(sheet.model_copy(update={"peaks": peaks}), name)
    assert before is None or (after is not None and after >= before * (1 - 1e-6))


@given(st.sampled_from(ACCELERATORS), st.sampled_from(NAMES), st.sampled_from([1, 8]))
def test_no_answer_beats_the_peak(device: str, name: str, samples: int) -> None:
    sheet, what = SHEETS[device], benchmark(name)
    found = submission.reached(sheet, what, TABLE)
    if isinstance(found, NoData):
        return
    assert submission.offline_per_s(found, what) * what.flops <= found.peak * (1 + 1e-9)
    seconds = submission.stream_s(found, what, sheet=sheet, samples=samples)
    assert seconds is None or seconds * found.peak >= samples * what.flops * (1 - 1e-9)


def test_random_arrivals_never_beat_a_full_queue() -> None:
    for name in NAMES:
        found = submission.reached(SHEETS["h100-sxm"], benchmark(name), TABLE)
        assert not isinstance(found, NoData)
        full = submission.offline_per_s(found, benchmark(name))
        assert submission.server_per_s(found, benchmark(name)) <= full


def test_a_device_nobody_submitted_is_answered_by_its_architecture() -> None:
    found = submission.reached(SHEETS["h200-sxm"], benchmark("resnet50"), TABLE)
    assert not isinstance(found, NoData)
    assert found.rung == "architecture"


def test_without_its_own_rows_a_device_is_answered_one_rung_wider() -> None:
    sheet = SHEETS["l4"]
    table = without_device(TABLE, sheet)
    found = submission.reached(sheet, benchmark("bert-99"), table)
    assert not isinstance(found, NoData)
    assert found.rung == "architecture"
    assert found.spread > 1.1


def test_a_device_without_a_fast_path_is_refused_with_the_dtypes_named() -> None:
    bare = SHEETS["t4"].model_copy(update={"peaks": {}})
    found = submission.reached(bare, benchmark("resnet50"), TABLE)
    assert isinstance(found, NoData)
    assert "int8" in found.reason


def test_no_fpga_was_submitted() -> None:
    assert isinstance(
        submission.reached(SHEETS["alveo-u250"], benchmark("resnet50"), TABLE), NoData
    )


@pytest.mark.parametrize("queue_full", [True, False])
def test_a_system_of_more_devices_draws_more(queue_full: bool) -> None:
    found = submission.reached(SHEETS["a100-80-pcie"], benchmark("resnet50"), TABLE)
    assert not isinstance(found, NoData)
    constants = power_constants(found.rows.values())
    watts = [
        system_w(constants, sheet=SHEETS["a100-80-pcie"], num_devices=n, queue_full=queue_full)
        for n in (1, 2, 4, 8)
    ]
    assert all(w is not None for w in watts)
    assert watts == sorted(watts, key=lambda w: w or 0)


def test_the_shares_of_known_devices_stay_below_the_whole() -> None:
    # a share that is cut at 1 hides a wrong count of FLOP
    for row in TABLE:
        if row.rung != "device":
            continue
        for name in NAMES:
            found = submission.reached(SHEETS[row.scope], benchmark(name), TABLE)
            if f"benchmark:{name}" in row.constants and not isinstance(found, NoData):
                assert found.utilisation < 1, (row.scope, name)

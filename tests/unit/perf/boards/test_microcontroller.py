"""Small networks on microcontrollers: cycles per multiply-add, never under the core's best."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards.microcontroller import (
    MOST_MACS_PER_CYCLE,
    Small,
    energy,
    framework_of,
    latency,
)
from fitwright.records.estimate import Estimate, NoData

TABLE = evidence("microcontroller")
SHEETS = load_sheets()
BOARDS = ("stm32l4r5", "stm32h7a3", "nrf5340", "stm32g0b1", "esp32-s3", "stm32h743")


def seconds(board: str, *, clock_hz: float, network: str = "ic", macs: float = 1.25e7) -> float:
    small = Small(network=network, macs=macs, framework="tflm", clock_hz=clock_hz)
    found = latency(small, sheet=SHEETS[board], table=TABLE)
    assert isinstance(found, Estimate), found
    return found.value


@given(st.sampled_from(BOARDS), st.floats(1e6, 5e8), st.floats(1.01, 4))
def test_a_faster_clock_is_faster(board: str, clock: float, factor: float) -> None:
    assert seconds(board, clock_hz=clock * factor) < seconds(board, clock_hz=clock)


@given(st.sampled_from(BOARDS), st.sampled_from(["ad", "ic", "kws", "vww", ""]))
def test_no_core_beats_its_best(board: str, network: str) -> None:
    found = seconds(board, clock_hz=1e8, network=network, macs=1e6)
    assert found >= 1e6 / MOST_MACS_PER_CYCLE / 1e8


def test_a_core_without_a_multiplier_pipeline_is_slower_at_the_same_clock() -> None:
    assert seconds("stm32g0b1", clock_hz=6.4e7) > 2 * seconds("stm32h7a3", clock_hz=6.4e7)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("X-CUBE-AI v9.0.0", "x-cube-ai 9"),
        ("Bosch Hardware-Aware Lowering Engine (HALE) version 1.0.175", "hale"),
        ("Plumerai Inference Engine 2023.05", "plumerai 2023"),
        ("microTVM", "microtvm"),
        ("TensorFlow Lite for Microcontrollers", "tflm"),
        ("something new", ""),
    ],
)
def test_frameworks_are_known_by_their_names(words: str, name: str) -> None:
    assert framework_of(words) == name


def test_a_device_of_another_kind_has_no_data() -> None:
    small = Small(network="ic", macs=1.25e7, framework="", clock_hz=1e9)
    assert isinstance(latency(small, sheet=SHEETS["h100-sxm"], table=TABLE), NoData)


def test_energy_follows_time() -> None:
    small = Small(network="kws", macs=2.66e6, framework="x-cube-ai 8", clock_hz=1.2e8)
    found = energy(small, sheet=SHEETS["stm32l4r5"], table=TABLE)
    assert isinstance(found, Estimate)
    # 2.8 mJ submitted; chips of the same board range from 1.8 to 5.6 mJ with their supply
    assert 1e-3 < found.value < 8e-3

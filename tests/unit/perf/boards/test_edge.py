"""Small networks on edge CPUs: operators add up, and nothing beats the roofline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.perf.boards import edge
from fitwright.perf.boards.edge import Board
from fitwright.perf.boards.mobile import mobilenet_v2
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet

TABLE = evidence("edge")
SHEETS = load_sheets()
BOARDS = ("rpi4", "rpi5", "rk3588", "s922x", "a311d2", "jetson-orin-cpu")
FRAMEWORKS = ("armnn", "tflite", "")


def on(board: str | Sheet) -> Board:
    found = edge.board(SHEETS[board] if isinstance(board, str) else board, TABLE)
    assert isinstance(found, Board)
    return found


def seconds(board: str | Sheet, *, width: float = 1.0, framework: str = "tflite") -> float:
    layers = mobilenet_v2(width=width, side=224)
    found = edge.latency(layers, on=on(board), framework=framework, dtype="float32")
    assert isinstance(found, Estimate)
    return found.value


@given(st.sampled_from(BOARDS), st.floats(1.05, 8))
def test_more_bandwidth_is_never_slower(board: str, factor: float) -> None:
    sheet = SHEETS[board]
    assert sheet.bandwidth_bytes_per_s is not None
    wide = sheet.bandwidth_bytes_per_s
    faster = sheet.model_copy(
        update={"bandwidth_bytes_per_s": wide.model_copy(update={"value": wide.value * factor})}
    )
    assert seconds(faster) <= seconds(board)


@given(st.sampled_from(BOARDS), st.sampled_from(FRAMEWORKS), st.floats(0.35, 1.4))
def test_no_network_beats_the_roofline(board: str, framework: str, width: float) -> None:
    layers = mobilenet_v2(width=width, side=224)
    floor = 2 * sum(x.macs for x in layers) / SHEETS[board].peaks["float32"].value
    assert seconds(board, width=width, framework=framework) >= floor


def test_operators_add_up() -> None:
    layers = mobilenet_v2(width=1, side=224)
    known = {"on": on("rpi4"), "framework": "armnn", "dtype": "float32"}
    parts = [edge.latency(x, **known) for x in (layers[:30], layers[30:])]  # type: ignore[arg-type]
    whole = edge.latency(layers, **known)  # type: ignore[arg-type]
    assert isinstance(whole, Estimate)
    assert sum(p.value for p in parts if isinstance(p, Estimate)) == pytest.approx(whole.value)


def test_a_dtype_without_a_fast_path_is_refused() -> None:
    found = edge.latency(
        mobilenet_v2(width=1, side=224), on=on("rpi4"), framework="", dtype="float4"
    )
    assert isinstance(found, NoData)


def test_only_cpus_were_measured() -> None:
    assert isinstance(edge.board(SHEETS["h100-sxm"], TABLE), NoData)


def test_energy_is_the_whole_boards() -> None:
    time = edge.latency(
        mobilenet_v2(width=1, side=224), on=on("rpi4"), framework="tflite", dtype="float32"
    )
    assert isinstance(time, Estimate)
    found = edge.joules(time, on=on("rpi4"))
    assert isinstance(found, Estimate)
    # a Raspberry Pi 4 under load draws 5 to 8 W
    assert 4 < found.value / time.value < 9

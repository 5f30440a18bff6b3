"""The catalogue's devices can be read, found and trusted as far as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from effort import counted_calls
from fitwright.catalog.sheets import find_sheet, load_sheets, sheet_from_file
from fitwright.errors import ContractError
from fitwright.records.sheet import Fact, Sheet

MINE = """
id: mine
name: My accelerator
kind: npu
vendor: Me
architecture: Mine
family: my-npu
sources: {sheet: my data sheet}
peaks: {int8: [26 TOP/s, B, sheet]}
memory: [8 GB, B, sheet]
bandwidth: [68 GB/s, B, sheet]
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_the_catalogue_holds_at_least_120_devices_of_every_kind() -> None:
    sheets = load_sheets()
    assert len(sheets) >= 120
    assert {s.kind for s in sheets.values()} == {"cpu", "gpu", "tpu", "npu", "fpga", "asic"}
    assert all(name == sheet.id for name, sheet in sheets.items())


@pytest.mark.parametrize("sheet", load_sheets().values(), ids=lambda s: s.id)
def test_a_sheet_of_the_catalogue_keeps_the_rules_of_its_record(sheet: Sheet) -> None:
    assert Sheet.model_validate(sheet.model_dump()) == sheet
    facts = [v for v in (getattr(sheet, f) for f in Sheet.model_fields) if isinstance(v, Fact)]
    for fact in [*facts, *sheet.peaks.values(), *sheet.fabric.values()]:
        assert fact.value > 0
        assert fact.source
        # what nobody looked up is never said to be better than memory
        assert "from memory" not in fact.source or fact.confidence == "C"


def test_values_arrive_in_base_units_with_source_and_confidence() -> None:
    a100 = find_sheet("a100-80-sxm")
    assert a100.peaks["bfloat16"].value == 312e12
    assert a100.bandwidth_bytes_per_s is not None
    assert a100.bandwidth_bytes_per_s.value == 2039e9
    assert a100.bandwidth_bytes_per_s.confidence == "B"
    assert "aiconfigurator" in a100.bandwidth_bytes_per_s.source
    assert a100.idle_w is not None
    assert a100.idle_w.confidence == "C"


def test_an_unknown_id_names_those_that_come_near() -> None:
    with pytest.raises(ContractError, match="did you mean 'h100-nvl'") as caught:
        find_sheet("H100")
    assert caught.value.code == "FW119"


def test_a_device_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    mine = find_sheet(str(_file(tmp_path, MINE)))
    assert mine.peaks["int8"] == Fact(value=26e12, source="my data sheet", confidence="B")
    assert mine.memory_bytes is not None
    assert mine.memory_bytes.value == 8e9


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = """
name: My accelerator
kind: toaster
vendor: Me
architecture: Mine
family: my-npu
sources: {sheet: my data sheet}
memory: [8, B, sheet]
bandwith: [68 GB/s, B, sheet]
tdp: [-5 W, B, sheet]
idle: [0 W, B, sheet]
clock: [1 GHz, D, elsewhere]
"""
    with pytest.raises(ContractError) as caught:
        sheet_from_file(_file(tmp_path, text))
    said = str(caught.value)
    for line in (
        "id: is missing; add 'id:'",
        "kind: one of cpu, gpu, tpu, npu, fpga, asic, got 'toaster'",
        "bandwith: unknown key; did you mean 'bandwidth'?",
        "memory: '8' has no unit; write it as '512 MiB'",
        "tdp: must be above 0, got '-5 W'; leave out what is unknown",
        "idle: must be above 0, got '0 W'",
        "clock: confidence is A, B or C, got 'D'",
        "clock: no such name beneath 'sources', got 'elsewhere'",
        "peaks: are missing; give at least one of float64",
        "bandwidth: is missing; add it, or 'memory_type: none'",
    ):
        assert line in said
    assert caught.value.code == "FW122"


@pytest.mark.parametrize("text", ["", "- a", "just text", "a: [", "id: \0"])
def test_what_is_no_device_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContractError) as caught:
        sheet_from_file(_file(tmp_path, text))
    assert caught.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        sheet_from_file(tmp_path / "none.yaml")


def test_reading_the_catalogue_leaves_parsing_to_native_code() -> None:
    from fitwright.catalog import sheets

    sheets._packaged.cache_clear()
    sheets.load_sheets.cache_clear()
    with counted_calls() as effort:
        found = sheets.load_sheets()
    # some 900 calls for a sheet; a parser in Python makes more than ten times as many
    assert effort.num_calls < 3000 * len(found)


@pytest.mark.parametrize("sheet", load_sheets().values(), ids=lambda s: s.id)
def test_narrower_formats_are_not_slower(sheet: Sheet) -> None:
    rates = {dtype: fact.value for dtype, fact in sheet.peaks.items()}
    for wide, narrow in (
        ("float64", "float32"),
        ("float32", "float16"),
        ("float16", "float8"),
        ("float8", "float4"),
        ("int8", "int4"),
    ):
        if wide in rates and narrow in rates:
            assert rates[narrow] >= rates[wide]


@pytest.mark.parametrize("sheet", load_sheets().values(), ids=lambda s: s.id)
def test_values_lie_where_such_devices_lie(sheet: Sheet) -> None:
    # the catalogue holds microcontrollers of milliwatts and a wafer of kilowatts
    for fact, low, high in (
        (sheet.clock_hz, 1e7, 6e9),
        (sheet.tdp_w, 1e-2, 3e4),
        (sheet.bandwidth_bytes_per_s, 1e8, 3e16),
        (sheet.host_bytes_per_s, 1e8, 1e12),
    ):
        assert fact is None or low <= fact.value <= high
    if sheet.idle_w and sheet.tdp_w:
        assert sheet.idle_w.value < sheet.tdp_w.value
    if sheet.memory_bytes and sheet.onchip_bytes:
        assert sheet.onchip_bytes.value <= sheet.memory_bytes.value


def test_a_name_of_a_line_that_the_catalogue_has_is_told_with_its_devices() -> None:
    with pytest.raises(ContractError, match=r"did you mean 'rtx-\d+'"):
        find_sheet("NVIDIA GeForce RTX 3060")
    with pytest.raises(ContractError) as caught:
        find_sheet("ARM Mali-G610 MP4")  # no Mali is in it, so no id comes near
    assert "did you mean" not in str(caught.value)

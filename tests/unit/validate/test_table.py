from __future__ import annotations

import json
from pathlib import Path

import pytest

from fitwright.errors import UsageError
from fitwright.validate.case import Case, Unreadable
from fitwright.validate.table import read_cases

HEADER = "case,domain,device_id,inputs,metric,measured,unit\n"


def written(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "cases.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


def test_a_row_becomes_a_case_with_its_inputs(tmp_path: Path) -> None:
    inputs = json.dumps({"m": 16, "gemm_dtype": "bfloat16"}).replace('"', '""')
    path = written(tmp_path, f'H1,op/gemm,a2,"{inputs}",latency_ms,0.5,ms')
    assert read_cases(path) == (
        Case(
            case="H1",
            domain="op/gemm",
            device_id="a2",
            inputs={"m": 16, "gemm_dtype": "bfloat16"},
            metric="latency_ms",
            measured=0.5,
            unit="ms",
        ),
    )


def test_a_row_without_a_figure_is_predicted_all_the_same(tmp_path: Path) -> None:
    (case,) = read_cases(written(tmp_path, "H1,op/gemm,a2,{},latency_ms,,ms"))
    assert isinstance(case, Case)
    assert case.measured is None


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("H1,op/gemm,a2,nonsense,latency_ms,1,ms", "not JSON"),
        ("H1,op/gemm,a2,[1],latency_ms,1,ms", "must be a JSON object"),
        ("H1,op/gemm,a2,{},latency_ms,fast,ms", "must be a number"),
        ("H1,op/gemm,a2,{},latency_ms,0,ms", "above 0"),
        ("H1,op/gemm,a2,{},latency_ms,nan,ms", "finite"),
    ],
)
def test_a_row_that_says_nothing_is_kept_with_the_reason(
    tmp_path: Path, row: str, why: str
) -> None:
    (found,) = read_cases(written(tmp_path, row))
    assert isinstance(found, Unreadable)
    assert (found.case, found.domain) == ("H1", "op/gemm")
    assert why in found.reason


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lacks the columns inputs, unit"):
        read_cases(written(tmp_path, header="case,domain,device_id,metric,measured\n"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", HEADER.encode()])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        read_cases(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.csv"):
        read_cases(tmp_path / "missing.csv")


def test_a_device_without_an_id_goes_by_its_name(tmp_path: Path) -> None:
    header = HEADER.replace("device_id", "device_string,device_id")
    (case,) = read_cases(written(tmp_path, "H1,op/gemm,GeForce RTX 4090,,{},t,1,ms", header=header))
    assert isinstance(case, Case)
    assert case.device_id == "GeForce RTX 4090"

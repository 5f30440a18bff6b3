"""The script that draws tables of cases: what it draws, leaves out and holds back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.validate.case import Case
from fitwright.validate.table import read_cases

FIT = Path(__file__).parents[3] / "benchmarks" / "fit"


@pytest.fixture(scope="module")
def draw() -> Any:
    pytest.importorskip("scipy", reason="the scripts of fits need scipy")
    sys.path.insert(0, str(FIT))
    import validation_draw

    sys.path.remove(str(FIT))
    return validation_draw


def case(number: int, domain: str = "op/gemm") -> Case:
    return Case(
        case="", domain=domain, device_id="h100-sxm", inputs={"m": 1, "n": 8, "k": 8},
        metric="latency_ms", measured=float(number), unit="ms",
    )  # fmt: skip


def test_so_many_rows_of_each_domain_are_drawn_and_a_seed_repeats_them(draw: Any) -> None:
    every = [case(i) for i in range(1, 50)] + [case(i, "op/gemv") for i in range(1, 4)]
    first, again, other = (draw.drawn(every, rows=5, seed=seed) for seed in (1, 1, 2))
    assert [c.domain for c in first].count("op/gemm") == 5
    assert [c.domain for c in first].count("op/gemv") == 3
    assert first == again
    assert first != other


def test_a_row_of_a_bulk_file_becomes_a_case_in_the_words_of_the_table(draw: Any) -> None:
    table = next(t for t in draw.TABLES if t.name == "gemm_measured_aic")
    raw = {"gemm_dtype": "fp8", "m": "8", "n": "16", "k": "32", "system": "h100_sxm",
           "latency_ms": "0.5", "source": "here"}  # fmt: skip
    made = draw._case(table, raw)
    assert (made.domain, made.device_id, made.measured) == ("op/gemv", "h100-sxm", 0.5)
    assert made.inputs == {"gemm_dtype": "fp8", "m": 8, "n": 16, "k": 32}


def test_a_table_drawn_is_read_back_as_it_was_written(draw: Any, tmp_path: Path) -> None:
    written = draw.drawn([case(1), case(2)], rows=2, seed=0)
    draw.write(tmp_path / "drawn.csv", written)
    assert list(read_cases(tmp_path / "drawn.csv")) == written


def test_nothing_of_an_architecture_is_left_where_it_is_held_back(draw: Any) -> None:
    sheet = find_sheet("h100-sxm")
    left = draw.without_architecture(all_evidence(), sheet)
    assert 0 < len(left) < len(all_evidence())
    assert not [e for e in left if e.rung == "device" and e.scope in ("h100-sxm", "h100-pcie")]
    assert not [e for e in left if e.rung == "architecture" and e.scope == sheet.architecture]

"""`fitwright validate` as a user meets it: the answer, the reasons, the exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fitwright.cli import main
from fitwright.validate import targets

COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit")
GEMM = {"gemm_dtype": "bfloat16", "m": 4096, "n": 4096, "k": 4096}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["validate", *arguments])


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        row = [json.dumps(GEMM), "latency_ms", "0.2", "ms"]
        table.writerow(["known", "op/gemm", "h100-sxm", *row])
        table.writerow(["unknown", "op/gemm", "h100-sxn", *row])
    return path


def test_a_table_is_scored_and_what_has_no_answer_says_why(cases: Path) -> None:
    done = run("--cases", str(cases), "--json")
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    known, unknown = answer["rows"]
    assert known["error"] == pytest.approx(known["predicted"] / 0.2 - 1)
    assert known["low"] <= known["predicted"] <= known["high"]
    assert unknown["predicted"] is None
    assert "h100-sxn" in unknown["reason"]
    assert answer["by_domain"]["op/gemm"]["num_predicted"] == 1


def test_people_get_tables_and_the_reasons(cases: Path) -> None:
    done = run("--cases", str(cases), "--rows")
    assert done.exit_code == 0
    for text in ("By domain", "By device", "By evidence", "h100-sxm", "no data for unknown"):
        assert text in done.stdout


def test_the_published_tables_keep_their_targets() -> None:
    done = run("--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 0, done.stdout
    assert set(targets.MOST_MEDIAN_ERROR) <= set(answer["by_domain"])


def test_a_broken_target_is_told_and_ends_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets, "MOST_MEDIAN_ERROR", {"op/gemm": 1e-9})
    done = run()
    assert done.exit_code == 1
    assert "op/gemm: the median error is" in done.stdout

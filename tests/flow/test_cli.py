"""The commands that need no model, as a user meets them: in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "fit", "analyze", "select", "design", "adapt", "bench", "tune", "report", "package", "doctor",
    "devices", "explain", "ledger", "validate",
)  # fmt: skip
REFERENCE = (
    "ledger", "--k", "4", "--m", "2", "--n", "4", "--c", "2",
    "--capacity", "1TFLOPS", "--storage", "200GB", "--energy", "500W",
)  # fmt: skip


def fitwright(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fitwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_help_names_every_command() -> None:
    done = fitwright("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command: str) -> None:
    done = fitwright(command, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_the_ledger_gives_the_reference_case() -> None:
    done = fitwright(*REFERENCE)
    assert done.returncode == 0
    for text in ("32 TFLOPS", "64 TFLOPS", "100 GB", "250 W"):
        assert text in done.stdout


def test_the_ledger_gives_the_reference_case_as_json() -> None:
    case = json.loads(fitwright(*REFERENCE, "--json").stdout)
    found = [
        case[name]
        for name in ("capacity_flop_per_s", "effective_flop_per_s", "storage_bytes", "energy_w")
    ]
    assert found == [32e12, 64e12, 100e9, 250.0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("explain", "FW999"), "FW106"),
        (("ledger", "--capacity", "1", "--storage", "1GB", "--energy", "1W"), "FW107"),
        (("tune", "nowhere"), "FW101"),
        (("report", "nowhere"), "FW101"),
        (("package", "nowhere", "--to", "x"), "FW101"),
        (("fit", "m.onnx", "--time", "soon"), "FW103"),
    ],
)
def test_a_wrong_call_is_refused_in_a_few_lines(
    arguments: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    done = fitwright(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 8
    assert done.stdout == ""


def test_debug_adds_the_traceback_and_keeps_the_exit_code(tmp_path: Path) -> None:
    done = fitwright("--debug", "tune", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "error[FW101]" in done.stderr


def test_an_error_is_json_when_json_was_asked_for(tmp_path: Path) -> None:
    done = fitwright("tune", "nowhere", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "FW101"


def test_explain_lists_every_code_and_explains_one() -> None:
    listed = fitwright("explain").stdout
    assert "FW101" in listed
    told = fitwright("explain", "fw101").stdout
    assert "FW101" in told
    assert "Do this" in told


def test_doctor_names_the_backends_and_their_versions() -> None:
    document = json.loads(fitwright("doctor", "--json").stdout)
    assert document["backends"]["onnxruntime"]["version"]
    assert "missing" in document["backends"]["openvino"]

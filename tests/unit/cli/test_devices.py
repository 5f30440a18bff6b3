"""`fitwright devices` as a user meets it: the catalogue, a device of one's own, bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fitwright.catalog.sheet_file import KEYS
from fitwright.catalog.sheets import load_sheets
from fitwright.cli import devices as cli
from fitwright.cli import main
from fitwright.errors import FitwrightError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["devices", *arguments])


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The template as a user fills it in."""
    file = tmp_path / "mine.yaml"
    assert run("new", str(file)).exit_code == 0
    text = file.read_text()
    for key, value in (
        *(("id", "mine"), ("name", "My NPU"), ("kind", "npu"), ("vendor", "Me")),
        *(("architecture", "Mine"), ("family", "my-npu"), ("  sheet", "its data sheet")),
    ):
        text = re.sub(rf"^{key}:.*$", f"{key}: {value}", text, flags=re.M)
    for value in ("2 TFLOP/s", "8 GB", "68 GB/s"):
        text = text.replace("FILL IN", value, 1)
    file.write_text(text)
    return file


def test_the_list_names_every_device_within_80_columns() -> None:
    done = run("list")
    assert done.exit_code == 0
    assert all(f" {name} " in done.stdout for name in load_sheets())
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80


def test_the_list_is_filtered_and_sorted() -> None:
    found = json.loads(
        run("list", "--kind", "gpu", "--vendor", "nvidia", "--min-memory", "90 GB",
            "--sort", "bandwidth", "--json").stdout
    )["devices"]  # fmt: skip
    rates = [row["bandwidth_bytes_per_s"]["value"] for row in found]
    assert rates == sorted(rates, reverse=True)
    assert {(row["kind"], row["vendor"]) for row in found} == {("gpu", "NVIDIA")}
    assert all(row["memory_bytes"]["value"] >= 90e9 for row in found)


@pytest.mark.parametrize("order", list(cli.Sort))
def test_what_is_unknown_sorts_last(order: str) -> None:
    done = run("list", "--sort", order, "--json")
    assert len(json.loads(done.stdout)["devices"]) == len(load_sheets())


def test_show_gives_every_value_with_confidence_and_source() -> None:
    done = run("show", "h100-sxm")
    assert done.exit_code == 0
    assert re.search(r"peak bfloat16 +989 TFLOP/s +B +\[1\]", done.stdout)
    assert re.search(r"idle power +70 W +C +\[2\]", done.stdout)
    assert "[2] unsourced, from memory" in done.stdout
    assert "dgx-h100" in done.stdout
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 82  # a rent's source


def test_show_gives_json() -> None:
    found = json.loads(run("show", "l4", "--json").stdout)["device"]
    assert found["memory_bytes"]["value"] == 24e9
    assert found["memory_bytes"]["confidence"] == "B"


def test_compare_gives_ratios_to_the_first() -> None:
    done = run("compare", "l4", "t4")
    assert re.search(r"memory bandwidth +300 GB/s +320 GB/s \(1\.1x\)", done.stdout)
    values = json.loads(run("compare", "l4", "t4", "--json").stdout)["values"]
    assert values["memory bandwidth"]["ratios"] == [1.0, 320 / 300]
    assert values["peak float8"]["values"] == [242e12, None]


def test_a_template_is_refused_until_it_is_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    run("new", str(file))
    done = run("check", str(file))
    assert done.exit_code == 2
    assert "id: is missing" in done.stdout
    assert "memory: cannot read 'FILL IN'; write it as '512 MiB'" in done.stdout
    wrong = json.loads(run("check", str(file), "--json").stdout)
    assert wrong["valid"] is False
    assert "sources.sheet: is empty; say what was read" in wrong["wrong"]


def test_a_template_that_is_filled_in_passes_and_says_what_it_lacks(filled: Path) -> None:
    done = run("check", str(filled))
    assert done.exit_code == 0
    assert "My NPU (mine) can be used" in done.stdout
    assert "no tdp: energy cannot be estimated" in done.stdout
    assert json.loads(run("check", str(filled), "--json").stdout)["valid"] is True


def test_every_line_of_the_template_that_is_commented_out_is_valid_too(filled: Path) -> None:
    known = "|".join([*KEYS, r"  - \{price"])
    filled.write_text(re.sub(rf"^# ({known}):", r"\1:", filled.read_text(), flags=re.M))
    done = run("check", str(filled))
    assert done.stdout.splitlines() == [f"{filled}: My NPU (mine) can be used"]


def test_a_file_is_taken_wherever_an_id_is(filled: Path) -> None:
    assert "mine: My NPU" in run("show", str(filled)).stdout
    assert re.search(r"memory +8 GB +24 GB \(3x\)", run("compare", str(filled), "l4").stdout)


def test_a_file_is_never_overwritten(filled: Path) -> None:
    before = filled.read_text()
    done = run("new", str(filled))
    assert isinstance(done.exception, FitwrightError)
    assert done.exception.code == "FW126"
    assert filled.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", "h100"), "FW119", "may be h100-nvl, h100-pcie"),
        (("compare", "l4", "nothing"), "FW119", "no device 'nothing'"),
        (("list", "--kind", "toaster"), "FW103", "known: asic, cpu, fpga"),
        (("list", "--vendor", "nvidea"), "FW103", "NVIDIA"),
        (("list", "--min-memory", "24"), "FW103", "has no unit"),
        (("show", "none.yaml"), "FW122", "cannot be read"),
        (("new", "no/such/folder/mine.yaml"), "FW126", "No such file or directory"),
    ],
)
def test_bad_input_is_refused_in_the_users_words(arguments, code: str, says: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, FitwrightError)
    assert done.exception.code == code
    assert says in str(done.exception)
    assert done.exception.exit == 2


@pytest.mark.parametrize("arguments", [(), ("show", "local")])
def test_this_machine_is_shown_when_nothing_else_is_asked(arguments, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(cli, "_show_local", lambda **options: asked.append(options))
    assert run(*arguments).exit_code == 0
    assert asked == [{"json": False, "measure": False}]


def test_this_machine_stands_beside_devices_of_the_catalogue(monkeypatch) -> None:
    here = load_sheets()["rpi5"].model_copy(update={"id": "local"})
    monkeypatch.setattr(cli, "_local", lambda **_: (None, here))
    done = run("compare", "local", "rpi4")
    assert re.search(r"memory +8 GB +4 GB \(0\.5x\)", done.stdout)

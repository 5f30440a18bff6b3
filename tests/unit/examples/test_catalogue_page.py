"""Every block of docs/catalogue.md works as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fitwright.catalog.sheets import load_sheets
from fitwright.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "catalogue.md").read_text()
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)


def test_the_commands_of_the_page_run_one_after_the_other(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for language, block in FENCED:
        if language == "yml":
            Path("mine.yaml").write_text(block)
        if language != "":
            continue
        for line in block.splitlines():
            words = shlex.split(line, comments=True)[1:]
            if words == ["devices"]:
                continue  # measures this machine
            done = CliRunner().invoke(main.app, words)
            # a template is refused until it is filled in, as the page says
            template = words[1] == "check" and "FILL IN" in Path(words[2]).read_text()
            assert done.exit_code == (2 if template else 0), (line, done.output, done.exception)


def test_the_python_of_the_page_runs(capsys) -> None:
    (block,) = (text for language, text in FENCED if language == "python")
    exec(compile(block, "catalogue.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == re.search(r"print\(no.reason\)  # (.*)", block)[1]


def test_the_values_that_the_page_shows_are_those_of_the_catalogue() -> None:
    done = CliRunner().invoke(main.app, ["devices", "show", "h100-sxm"])
    (shown,) = (text for language, text in FENCED if language == "text")
    for line in shown.splitlines()[1:]:
        assert " ".join(line.split()) in " ".join(done.stdout.split())


def test_the_page_does_not_promise_more_devices_than_there_are() -> None:
    (promised,) = re.findall(r"over (\d+) CPUs", PAGE)
    assert len(load_sheets()) > int(promised)


@pytest.mark.parametrize("name", ["h100-sxm", "rpi5"])
def test_a_copy_of_a_device_is_the_device_under_another_id(name: str, tmp_path) -> None:
    file = tmp_path / "copy.yaml"
    CliRunner().invoke(main.app, ["devices", "new", str(file), "--like", name])
    from fitwright.catalog.sheets import find_sheet

    copy = find_sheet(str(file))
    assert copy.model_copy(update={"id": name}) == find_sheet(name)

"""What the guide says is checked against the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from fitwright import units
from fitwright.analyze.contract import read_contract
from fitwright.errors import Exit
from fitwright.records.contract import Contract
from fitwright.records.record import Record

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language; the language of a shell block is empty."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [text for found, text in fenced if found == language]


CONTRACTS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "yaml"))
]


COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "")
        for line in block.splitlines()
        if line.startswith("fitwright ")
    }
)


@pytest.mark.parametrize("text", CONTRACTS)
def test_every_contract_in_the_guide_is_valid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(text)
    read_contract(file)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_in_the_guide_parses(line: str) -> None:
    from fitwright.cli.main import app

    group: Any = typer.main.get_command(app)
    name, *arguments = shlex.split(line)[1:]
    assert name in group.commands
    group.commands[name].make_context(name, arguments)


def test_every_command_is_in_the_guide() -> None:
    from fitwright.cli.main import app

    group: Any = typer.main.get_command(app)
    shown = {shlex.split(line)[1] for line in COMMANDS}
    assert set(group.commands) - shown == set()


def keys(record: type[Record]) -> set[str]:
    """As users write them."""
    return {field.alias or name for name, field in record.model_fields.items()}


def test_the_reference_explains_every_key_of_the_contract() -> None:
    page = (ROOT / "docs" / "contract.md").read_text()
    sections = set(re.findall(r"^## `(\w+)`$", page, re.M))
    assert sections == keys(Contract)
    for name, field in Contract.model_fields.items():
        inner = field.annotation
        options = [inner, *getattr(inner, "__args__", ())]
        for record in (o for o in options if isinstance(o, type) and issubclass(o, Record)):
            section = page.split(f"## `{name}`")[1].split("\n## ")[0]
            assert [
                k for k in keys(record) if f"`{k}`" not in section and f"{k}:" not in section
            ] == []


def test_the_reference_lists_every_unit_that_a_contract_can_use() -> None:
    table = (ROOT / "docs" / "contract.md").read_text().split("## Quantities")[1]
    written = set(re.findall(r"`([^`]+)`", table.split("\n## ")[0]))
    for quantity in (
        "seconds",
        "bytes",
        "joules",
        "watts",
        "per_second",
        "usd_per_inference",
        "usd_per_second",
        "usd_per_joule",
        "kg_per_joule",
    ):
        accepted = {u for u in written if _parses(f"1 {u}", quantity)}
        rejected = _known(quantity) - accepted
        assert rejected == set(), quantity


def _known(quantity: units.Quantity) -> set[str]:
    """The units that the parser names when it meets a wrong one."""
    with pytest.raises(ValueError, match="known: ") as caught:
        units.parse("1 parsec", quantity)
    return set(str(caught.value).split("known: ")[1].split(", "))


def _parses(text: str, quantity: units.Quantity) -> bool:
    try:
        units.parse(text, quantity)
    except ValueError:
        return False
    return True


def test_the_guide_lists_every_exit_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
    assert listed == {int(code) for code in Exit}


def test_the_tutorial_shows_the_contract_of_the_example() -> None:
    (shown,) = blocks(ROOT / "docs" / "tutorial.md", "yaml")
    written = (ROOT / "examples" / "digits" / "contract.yaml").read_text()
    assert yaml.safe_load(shown) == yaml.safe_load(written)


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    docs = ROOT / "docs"
    pages = {str(p.relative_to(docs)) for p in docs.rglob("*.md")}
    assert {p for p in pages if p not in config} == set()


def test_links_between_files_of_the_repository_hold() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert broken == []

"""The catalogue's files read fast say what PyYAML says of them."""

from __future__ import annotations

import pytest
import yaml

from fitwright.catalog.evidence import CONSTANTS, evidence
from fitwright.catalog.plain_yaml import plain_yaml
from fitwright.catalog.sheets import DEVICES
from fitwright.records.evidence import Evidence

FILES = sorted(DEVICES.glob("*.yaml"))[::20]
TOPICS = sorted(f.stem for f in CONSTANTS.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_device_reads_as_with_the_loader_that_keeps_text(path) -> None:
    text = path.read_text()
    assert plain_yaml(text) == yaml.load(text, Loader=yaml.BaseLoader)


@pytest.mark.parametrize("topic", TOPICS)
def test_constants_are_the_numbers_that_the_file_states(topic: str) -> None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load((CONSTANTS / f"{topic}.yaml").read_text(), Loader=loader)
    assert evidence(topic) == tuple(Evidence.model_validate(row) for row in rows)


def test_an_empty_document_is_nothing_and_a_broken_one_an_error() -> None:
    assert plain_yaml("") is None
    with pytest.raises(yaml.YAMLError):
        plain_yaml("{a: [1")

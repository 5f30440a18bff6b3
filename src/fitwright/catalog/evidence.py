"""Fitted constants: one file per topic beneath `constants/`, each row with its source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fitwright.catalog.plain_yaml import plain_yaml
from fitwright.records.evidence import Evidence

CONSTANTS = Path(__file__).parent / "constants"


@cache
def evidence(topic: str) -> tuple[Evidence, ...]:
    """The rows of one topic, e.g. ``gemm``; in the order of the file."""
    text = (CONSTANTS / f"{topic}.yaml").read_text()
    return tuple(Evidence.model_validate(row) for row in plain_yaml(text))


@cache
def all_evidence() -> tuple[Evidence, ...]:
    """Every topic's rows."""
    return tuple(row for file in sorted(CONSTANTS.glob("*.yaml")) for row in evidence(file.stem))

"""Fitted constants: one file per topic beneath `constants/`, each row with its source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from fitwright.records.evidence import Evidence

CONSTANTS = Path(__file__).parent / "constants"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def evidence(topic: str) -> tuple[Evidence, ...]:
    """The rows of one topic, e.g. ``gemm``; in the order of the file."""
    text = (CONSTANTS / f"{topic}.yaml").read_text()
    return tuple(Evidence.model_validate(row) for row in yaml.load(text, Loader=_Loader))


@cache
def all_evidence() -> tuple[Evidence, ...]:
    """Every topic's rows."""
    return tuple(row for file in sorted(CONSTANTS.glob("*.yaml")) for row in evidence(file.stem))

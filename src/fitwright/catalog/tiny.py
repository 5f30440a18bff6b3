"""MLPerf Tiny's networks, found by the names in use: `tiny.yaml`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

from fitwright.records.benchmark import TinyNetwork

TINY = Path(__file__).parent / "tiny.yaml"


@cache
def load_tiny() -> tuple[TinyNetwork, ...]:
    """All rows, in the order of the file."""
    return tuple(TinyNetwork.model_validate(r) for r in yaml.safe_load(TINY.read_text()))


def find_tiny(name: str) -> TinyNetwork | None:
    """The network of that name; a variant after ``/`` (``ic/CNV-W1A1``) does not matter."""
    key = _key(name.split("/", 1)[0])
    return next(
        (t for t in load_tiny() if key in {_key(t.name), *(_key(a) for a in t.aliases)}), None
    )


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

"""Public benchmarks, found by whatever name people write: `benchmarks.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from fitwright.records.benchmark import Benchmark

BENCHMARKS = Path(__file__).parent / "benchmarks.yaml"


@cache
def load_benchmarks() -> tuple[Benchmark, ...]:
    """All rows, in the order of the file."""
    rows = yaml.safe_load(BENCHMARKS.read_text())
    return tuple(Benchmark.model_validate(row) for row in rows)


def find_benchmark(name: str) -> Benchmark | None:
    """The benchmark of that name; case and punctuation do not matter."""
    return _by_key().get(_key(name))


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _by_key() -> Mapping[str, Benchmark]:
    aliases = {_key(a): b for b in load_benchmarks() for a in b.aliases}
    return aliases | {_key(b.name): b for b in load_benchmarks()}

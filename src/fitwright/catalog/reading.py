"""Reading a fact's file: what is wrong is gathered, so that all of it is told at once.

Each value is written ``[what is published, confidence, source]``, e.g.
``[312 TFLOP/s, B, listed]``; ``sources`` says what ``listed`` stands for.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from fitwright.records.sheet import Confidence, Fact
from fitwright.units import Quantity, example, parse


@dataclass(kw_only=True, slots=True)
class Reading:
    """What is wrong so far, and the names that values cite."""

    sources: Mapping[str, str]
    wrong: list[str] = field(default_factory=list)

    def blame(self, path: str, rule: str, value: object = None, *, remedy: str = "") -> None:
        got = f", got {value!r}" if value is not None else ""
        self.wrong.append(f"{path}: {rule}{got}{'; ' + remedy if remedy else ''}")


def check_keys(
    raw: Mapping[str, object], known: Iterable[str], path: str, reading: Reading
) -> None:
    names = tuple(known)
    for key in raw:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
            reading.blame(f"{path}{key}", "unknown key", remedy=hint)


def read_text(value: object, path: str, reading: Reading) -> str:
    if isinstance(value, str):
        return value.strip()
    reading.blame(path, "expected text", value)
    return ""


def texts(raw: object) -> dict[str, str]:
    return {k: v for k, v in raw.items() if isinstance(v, str)} if isinstance(raw, dict) else {}


def read_list(raw: object, path: str, reading: Reading) -> list[Any]:
    if isinstance(raw, list):
        return raw
    reading.blame(path, "expected a list", raw)
    return []


def read_fact(raw: object, path: str, quantity: Quantity, reading: Reading) -> Fact | None:
    """``[312 TFLOP/s, B, listed]`` in base units with its source in full."""
    form = f"write [{example(quantity)}, C, SOURCE] with SOURCE a name beneath 'sources'"
    if not isinstance(raw, list) or len(raw) != 3:
        reading.blame(path, "expected value, confidence and source", raw, remedy=form)
        return None
    value = read_number(raw[0], path, quantity, reading)
    if raw[1] not in get_args(Confidence):
        reading.blame(path, "confidence is A, B or C", raw[1])
    source = reading.sources.get(raw[2]) if isinstance(raw[2], str) else None
    if source is None:
        reading.blame(path, "no such name beneath 'sources'", raw[2], remedy=f"add '{raw[2]}:'")
    if value is None:
        return None
    return Fact.model_construct(value=value, source=source or "", confidence=raw[1])


def read_number(raw: object, path: str, quantity: Quantity, reading: Reading) -> float | None:
    try:
        value = parse(raw, quantity)
    except ValueError as error:
        reading.blame(path, str(error))
        return None
    if value <= 0:
        reading.blame(path, "must be above 0", raw, remedy="leave out what is unknown")
        return None
    return value


def read_facts(
    raw: object, path: str, known: Sequence[str], quantity: Quantity, reading: Reading
) -> dict[str, Fact]:
    if not isinstance(raw, dict):
        reading.blame(path, "expected 'name: [value, confidence, source]' lines", raw)
        return {}
    check_keys(raw, known, f"{path}.", reading)
    read = {k: read_fact(v, f"{path}.{k}", quantity, reading) for k, v in raw.items()}
    return {k: v for k, v in read.items() if v is not None}

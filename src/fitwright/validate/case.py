"""One published or measured figure with its inputs, and what predicts it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Inputs = Mapping[str, object]
"""As in the case's JSON: numbers, texts, true, false or null, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row of a table of cases.

    Attributes:
        inputs: what was run, as its source says it; the domain knows which names matter.
        metric: the quantity, in the source's word (``latency_ms``, ``samples_s``).
        measured: in `unit`; None where the table leaves it out.
        source: where the figure was published; empty where the table does not say.
        device_text: the device in the source's words; empty where the table does not say.
    """

    case: str
    domain: str
    device_id: str
    inputs: Inputs
    metric: str
    measured: float | None
    unit: str
    source: str = ""
    device_text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A row of a table that holds no case, and why."""

    case: str
    domain: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Knowledge:
    """What a prediction may draw on.

    Attributes:
        evidence: fitted constants; a held-out run is given fewer of them.
    """

    sheet: Sheet
    evidence: tuple[Evidence, ...]


Predictor = Callable[[Case, Knowledge], Estimate | NoData]
"""Answers in base units (seconds, bytes, joules, per second, cycles, numbers); `units` of the
case are converted outside."""

LARGEST = 1e15
"""No count, size or rate of a case comes near; a number beyond is a slip of the pen."""
COUNTED = re.compile(
    r"isl|osl|length|concurrency|((avg|max|mean)_?)?(input|output|prompt|response)_?(len|length|tokens)",
    re.IGNORECASE,
)
"""Inputs that a simulation walks through, a step for each."""
MOST_COUNTED = 2.0**20
"""The longest context that a model is offered with; more would be simulated for hours."""


def unusable(inputs: Inputs) -> str | None:
    """Why no formula takes these inputs: a number that is negative, endless or absurdly large."""
    for name, given in inputs.items():
        value = _as_number(given)
        if value is None:
            continue
        if value < 0:
            return f"{name} must not be negative, got {given}"
        if not math.isfinite(value) or value > LARGEST:
            return f"{name} must be a finite number of at most {LARGEST:g}, got {str(given)[:60]}"
        if COUNTED.fullmatch(name) and (0 < value < 1 or value > MOST_COUNTED):
            return f"{name} must be a count from 1 to {MOST_COUNTED:.0f}, got {given}"
    return None


def _as_number(given: object) -> float | None:
    """A number, or a text that is nothing else; null and what JSON calls NaN say nothing."""
    try:
        value = float(given) if isinstance(given, int | float | str) else math.nan
    except (OverflowError, ValueError):
        return math.inf if isinstance(given, int) else None
    return None if math.isnan(value) else value

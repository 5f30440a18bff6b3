"""Tables of cases: what `fitwright validate --cases` reads."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from fitwright.errors import UsageError
from fitwright.validate.case import Case, Unreadable

COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit")
OPTIONAL = ("source", "device_string")
"""`device_string`, the device in the source's words, stands in for an id that is left out."""
PUBLISHED = Path(__file__).parents[1] / "catalog" / "published"


def published() -> tuple[Case | Unreadable, ...]:
    """The short tables that come with Fitwright, each row with its source."""
    return tuple(case for file in sorted(PUBLISHED.glob("*.csv")) for case in read_cases(file))


def read_cases(path: Path) -> tuple[Case | Unreadable, ...]:
    """Every row of a table; a row that says nothing usable is kept, with the reason.

    Raises:
        UsageError: there is no such file, it is not CSV text, a column is missing, or there is
            no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = tuple(_rows(csv.DictReader(file), path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unusable(f"{path} cannot be read as a CSV file ({error})") from error
    if not rows:
        raise _unusable(f"{path} has a header and no rows")
    return rows


def _rows(reader: csv.DictReader[str], path: Path) -> Iterator[Case | Unreadable]:
    missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
    if missing:
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise _unusable(f"{path} lacks the columns {', '.join(missing)}; found: {found}")
    for number, row in enumerate(reader, start=2):
        yield _case(row, line=number)


def _case(row: Mapping[str, str | None], *, line: int) -> Case | Unreadable:
    cells = {column: (row.get(column) or "").strip() for column in (*COLUMNS, *OPTIONAL)}
    name, domain = cells["case"] or f"line {line}", cells["domain"]
    inputs = _inputs(cells["inputs"])
    measured = _number(cells["measured"])
    if isinstance(inputs, str) or isinstance(measured, str):
        reasons = [text for text in (inputs, measured) if isinstance(text, str)]
        return Unreadable(case=name, domain=domain, reason="; ".join(reasons))
    return Case(
        case=name,
        domain=domain,
        device_id=cells["device_id"] or cells["device_string"],
        inputs=inputs,
        metric=cells["metric"],
        measured=measured,
        unit=cells["unit"],
        source=cells["source"],
        device_text=cells["device_string"],
    )


def _inputs(text: str) -> Mapping[str, object] | str:
    """The inputs, or why there are none."""
    try:
        inputs = json.loads(text)
    except json.JSONDecodeError as error:
        return f"inputs is not JSON ({error})"
    return inputs if isinstance(inputs, dict) else f"inputs must be a JSON object, got {text[:60]}"


def _number(text: str) -> float | str | None:
    """A figure above zero; None where the cell is empty; else why it is none."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return f"measured must be a number, got {text!r}"
    if math.isfinite(value) and value > 0:
        return value
    return f"measured must be finite and above 0, got {text!r}"


def _unusable(rule: str) -> UsageError:
    return UsageError(
        rule,
        code="FW150",
        remedy=f"A table of cases is CSV with the columns {','.join(COLUMNS)}.",
    )

"""Each case predicted and held against its figure; every domain summed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from statistics import median

from fitwright.catalog.evidence import all_evidence
from fitwright.errors import FitwrightError
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.validation import Scored, Summed, Validation
from fitwright.validate.case import Case, Knowledge, Unreadable
from fitwright.validate.device import find_device
from fitwright.validate.domains import PREDICTORS
from fitwright.validate.measures import in_unit

OUTSIDE = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)
"""What formulas raise on numbers outside their domain, such as widths below 0: one absurd row
must not cost the others of its table their answers."""


def validate(cases: Iterable[Case | Unreadable]) -> Validation:
    """Every row scored in the order given, none left out, and the domains summed up."""
    rows = tuple(scored(case) for case in cases)
    domains = dict.fromkeys(row.domain for row in rows)
    return Validation(
        rows=rows,
        by_domain={d: summed([row for row in rows if row.domain == d]) for d in domains},
    )


def scored(case: Case | Unreadable) -> Scored:
    """One row; without a prediction it carries the reason."""
    if isinstance(case, Unreadable):
        return Scored(case=case.case, domain=case.domain, reason=case.reason)
    answer = predicted(case)
    asked = Scored(
        case=case.case,
        domain=case.domain,
        device_id=case.device_id,
        measured=case.measured,
        unit=case.unit,
        source=case.source,
    )
    if isinstance(answer, NoData):
        return asked.model_copy(update={"reason": answer.reason})
    return asked.model_copy(
        update={
            "predicted": answer.value,
            "low": answer.low,
            "high": answer.high,
            "error": None if case.measured is None else answer.value / case.measured - 1,
            "rung": answer.rung,
            "reason": "; ".join(answer.reasons),
        }
    )


def predicted(case: Case) -> Estimate | NoData:
    """The case's quantity in the case's unit."""
    predictor = PREDICTORS.get(case.domain)
    if predictor is None:
        close = get_close_matches(case.domain, PREDICTORS, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return NoData(reason=f"no model for the domain {case.domain!r}{guess}")
    try:
        sheet = find_device(case.device_id)
    except FitwrightError as error:
        return NoData(reason=error.rule)
    try:
        answer = predictor(case, Knowledge(sheet=sheet, evidence=all_evidence()))
    except OUTSIDE as error:
        return NoData(reason=f"no figure follows from these inputs ({error})")
    return answer if isinstance(answer, NoData) else in_unit(answer, case.unit)


def summed(rows: Sequence[Scored]) -> Summed:
    """Median error, coverage of the bands, and how many rows have no answer."""
    errors = [abs(row.error) for row in rows if row.error is not None]
    inside = [
        row.low <= row.measured <= row.high
        for row in rows
        if row.measured is not None and row.low is not None and row.high is not None
    ]
    return Summed(
        num_rows=len(rows),
        num_predicted=sum(row.predicted is not None for row in rows),
        median_absolute_error=median(errors) if errors else None,
        worst_absolute_error=max(errors) if errors else None,
        share_within_band=sum(inside) / len(inside) if inside else None,
    )


def by(rows: Iterable[Scored], key: str) -> Mapping[str, Summed]:
    """Summed up by another attribute of the rows, ``device_id`` or ``rung``."""
    groups: dict[str, list[Scored]] = {}
    for row in rows:
        groups.setdefault(str(getattr(row, key) or "no data"), []).append(row)
    return {name: summed(group) for name, group in groups.items()}

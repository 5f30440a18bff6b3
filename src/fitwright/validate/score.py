"""Each case predicted and held against its figure; every domain summed up."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from statistics import median

from fitwright.catalog.evidence import all_evidence
from fitwright.errors import FitwrightError
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.validation import Scored, Summed, Validation
from fitwright.validate.case import Case, Knowledge, Unreadable, unusable
from fitwright.validate.device import find_device
from fitwright.validate.domains import PREDICTORS
from fitwright.validate.measures import in_symbols, in_unit

DEFECTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a predictor raises only where its own code is wrong: inputs that no formula takes are
refused before it (`unusable`) or by it. The row says so and costs no other its answer."""
INTERNAL = "internal error"
Known = Callable[[Sheet], tuple[Evidence, ...]]
"""The constants that predictions for a device may draw on."""


def everything(_: Sheet) -> tuple[Evidence, ...]:
    """All fitted constants, whatever the device."""
    return all_evidence()


def validate(cases: Iterable[Case | Unreadable]) -> Validation:
    """Every row scored in the order given, none left out, and the domains summed up."""
    rows = tuple(scored(case) for case in cases)
    domains = dict.fromkeys(row.domain for row in rows)
    return Validation(
        rows=rows,
        by_domain={d: summed([row for row in rows if row.domain == d]) for d in domains},
    )


def scored(case: Case | Unreadable, *, known: Known = everything) -> Scored:
    """One row; without a prediction it carries the reason."""
    if isinstance(case, Unreadable):
        return Scored(case=case.case, domain=case.domain, reason=case.reason)
    answer = predicted(case, known=known)
    asked = Scored(
        case=case.case,
        domain=case.domain,
        device_id=case.device_id,
        measured=case.measured,
        unit=case.unit,
        source=case.source,
    )
    if isinstance(answer, NoData):
        is_ours = answer.reason.startswith(INTERNAL)
        return asked.model_copy(update={"reason": answer.reason, "internal_error": is_ours})
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


def predicted(case: Case, *, known: Known = everything) -> Estimate | NoData:
    """The case's quantity in the case's unit."""
    predictor = PREDICTORS.get(case.domain)
    if predictor is None:
        close = get_close_matches(case.domain, PREDICTORS, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return NoData(reason=f"no model for the domain {case.domain!r}{guess}")
    if why := unusable(case.inputs):
        return NoData(reason=why)
    try:
        sheet = find_device(case.device_id)
        asked = replace(case, unit=in_symbols(case.unit))
        answer = predictor(asked, Knowledge(sheet=sheet, evidence=known(sheet)))
    except FitwrightError as error:
        return NoData(reason=error.rule)
    except DEFECTS as error:
        return _defect(error)
    return answer if isinstance(answer, NoData) else in_unit(answer, case.unit)


def _defect(error: Exception) -> NoData:
    """Where and why our own code gave up, for whoever reports it."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    kind, said = type(error).__name__, " ".join(str(error).split())[:160]
    return NoData(
        reason=f"{INTERNAL}: {kind} in {Path(where.filename).name}:{where.lineno}: {said}"
    )


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
        num_internal_errors=sum(row.internal_error for row in rows),
    )


def by(rows: Iterable[Scored], key: str) -> Mapping[str, Summed]:
    """Summed up by another attribute of the rows, ``device_id`` or ``rung``."""
    groups: dict[str, list[Scored]] = {}
    for row in rows:
        groups.setdefault(str(getattr(row, key) or "no data"), []).append(row)
    return {name: summed(group) for name, group in groups.items()}

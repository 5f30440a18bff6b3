"""The ladder of evidence: the nearest measurements that say something about a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fitwright.records.estimate import RUNGS, Estimate, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

FLOOR_SPREAD: Mapping[Rung, float] = {
    "measured": 1.05,
    "device": 1.08,
    "architecture": 1.15,
    "family": 1.2,
    "kind": 1.4,
}
"""No band is narrower than this on its rung, however well a fit went: submitters of one
benchmark on one device differ by 8 % at the median (MLPerf inference, v3.0 to v5.1)."""


def scopes(sheet: Sheet) -> Mapping[Rung, str]:
    """What this device is called on each rung."""
    return {
        "measured": sheet.id,
        "device": sheet.id,
        "architecture": sheet.architecture,
        "family": sheet.family,
        "kind": sheet.kind,
    }


def nearest(
    table: Iterable[Evidence], sheet: Sheet, *, what: str, dtype: str = ""
) -> Evidence | None:
    """The evidence of the best rung for this device and dtype; None: there is none.

    Evidence of another dtype never answers: what reaches 80 % of a bfloat16 peak says little
    about int8.
    """
    named = scopes(sheet)
    found = [
        e
        for e in table
        if e.what == what and e.dtype == dtype and named[e.rung].lower() == e.scope.lower()
    ]
    return min(found, key=lambda e: RUNGS.index(e.rung), default=None)


def without_device(table: Iterable[Evidence], sheet: Sheet) -> tuple[Evidence, ...]:
    """The table as if nobody had measured this device: what a data sheet alone can carry.

    Wider scopes that rest on this device alone go too; those that it shares with others stay.
    """
    return tuple(e for e in table if not _only_of(e, sheet))


def _only_of(evidence: Evidence, sheet: Sheet) -> bool:
    if evidence.rung in ("measured", "device"):
        return evidence.scope == sheet.id
    return evidence.devices == (sheet.id,)


def weakest(rungs: Iterable[Rung]) -> Rung:
    """The rung that a figure made of several rests on."""
    return max(rungs, key=RUNGS.index)


def estimate(
    value: float, *, unit: str, rung: Rung, spread: float, reasons: Iterable[str] = ()
) -> Estimate:
    """A value with its band, never narrower than the rung allows."""
    factor = max(spread, FLOOR_SPREAD[rung])
    return Estimate(
        value=value,
        low=value / factor,
        high=value * factor,
        unit=unit,
        rung=rung,
        reasons=tuple(reasons),
    )

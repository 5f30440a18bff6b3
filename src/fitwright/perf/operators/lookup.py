"""Which evidence answers for an operator on a device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fitwright.perf.ladder import FLOOR_SPREAD, nearest
from fitwright.perf.operators.formulas import Machine
from fitwright.perf.operators.table import Group
from fitwright.perf.work import OperatorClass
from fitwright.records.estimate import RUNGS, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

STAND_INS: Mapping[OperatorClass, tuple[str, ...]] = {
    "gemm": ("gemm",),
    "grouped_gemm": ("grouped_gemm", "gemm"),
    "conv": ("conv", "gemm"),
    "depthwise": ("depthwise", "memory"),
    "attention_prefill": ("attention_prefill",),
    "attention_decode": ("attention_decode",),
    "recurrent": ("recurrent", "gemm"),
    "memory": ("memory",),
}
"""Formulas whose constants answer for a class, its own first."""

STAND_IN_SPREAD = 1.25
"""By what factor the constants of another class widen a band."""

TWINS: Mapping[str, str] = {"float16": "bfloat16", "bfloat16": "float16"}
"""Dtypes that run on the same units: they share evidence where their peaks are equal."""

BY_BYTES = ("memory", "depthwise")
"""Formulas whose bytes decide have evidence of no dtype."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The constants that answer, and what they are held against.

    Attributes:
        machine: the published peaks.
        spread: half-width of the 80 % band, as a factor.
        reasons: what a reader of the estimate should know.
    """

    evidence: Evidence
    machine: Machine
    spread: float
    reasons: tuple[str, ...]


def evidence_dtype(group: Group) -> str:
    """How constants name the arithmetic: ``bfloat16``, ``bfloat16/int4``, ``float8:block``."""
    narrow = f"/{group.weight_dtype}" if group.weight_dtype else ""
    blocks = f":{group.scaling}" if group.scaling else ""
    return f"{group.dtype}{narrow}{blocks}"


def _twin(sheet: Sheet, dtype: str) -> str | None:
    """The dtype that runs on the same units at the same rate here."""
    other = TWINS.get(dtype)
    if other is None or other not in sheet.peaks:
        return None
    return other if sheet.peaks[other].value == sheet.peaks[dtype].value else None


Known = Mapping[tuple[str, str], Sequence[Evidence]]
"""Evidence by formula and dtype: what a look-up has to search."""


class _Indexes:
    """Tables seen lately, each by formula and dtype; a table is never changed, so never stale."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[int, tuple[tuple[Evidence, ...], Known]] = OrderedDict()

    def of(self, table: Sequence[Evidence]) -> Known:
        """The index; kept with its table, so that the table's identity stays its own."""
        if not isinstance(table, tuple):
            return _indexed(table)
        kept = self._kept.get(id(table))
        if kept is None or kept[0] is not table:
            kept = (table, _indexed(table))
            self._kept[id(table)] = kept
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return kept[1]


def _indexed(table: Iterable[Evidence]) -> Known:
    found: dict[tuple[str, str], list[Evidence]] = {}
    for row in table:
        found.setdefault((row.what, row.dtype), []).append(row)
    return found


INDEXES = _Indexes(size=8)


def _of_formula(known: Known, sheet: Sheet, group: Group, what: str) -> tuple[Evidence, str] | None:
    """The best rung of one formula, own dtype or twin; the own dtype where both are equal."""
    if what in BY_BYTES:
        row = nearest(known.get((what, ""), ()), sheet, what=what)
        return (row, "") if row else None
    spelled = evidence_dtype(group)
    found = []
    if row := nearest(known.get((what, spelled), ()), sheet, what=what, dtype=spelled):
        found.append((row, ""))
    twin = _twin(sheet, group.dtype)
    if twin:
        other = spelled.replace(group.dtype, twin, 1)
        if row := nearest(known.get((what, other), ()), sheet, what=what, dtype=other):
            found.append((row, f"{twin} measurements answer for {group.dtype}: equal peaks"))
    return min(found, key=lambda f: RUNGS.index(f[0].rung), default=None)


def _best(known: Known, sheet: Sheet, group: Group) -> tuple[Evidence, str] | None:
    """The evidence of the class, or of one that stands in, and what a reader should know."""
    own, *others = STAND_INS[group.operator_class]
    if found := _of_formula(known, sheet, group, own):
        return found
    for what in others:
        if found := _of_formula(known, sheet, group, what):
            stands = f"no measurements of {own}: those of {what} stand in"
            return found[0], "; ".join(filter(None, (stands, found[1])))
    return None


def _peak(sheet: Sheet, group: Group) -> float | NoData:
    """The peak that the arithmetic runs at; classes that only move bytes need none."""
    fact = sheet.peaks.get(group.dtype)
    if fact is not None:
        return fact.value
    if group.operator_class == "memory":
        return max((p.value for p in sheet.peaks.values()), default=0.0) or NoData(
            reason=f"{sheet.id} publishes no peak at all"
        )
    known = ", ".join(sorted(sheet.peaks)) or "none"
    return NoData(
        reason=f"{sheet.id} has no fast path for {group.dtype} (it has {known}); "
        "choose one of these or another device"
    )


def answer(table: Sequence[Evidence], sheet: Sheet, group: Group) -> Answer | NoData:
    """The best constants for one group of operators, or why there are none."""
    peak = _peak(sheet, group)
    if isinstance(peak, NoData):
        return peak
    if sheet.bandwidth_bytes_per_s is None:
        return NoData(reason=f"the memory bandwidth of {sheet.id} is not published")
    found = _best(INDEXES.of(table), sheet, group)
    if found is None:
        return NoData(
            reason=f"no measurements of {group.operator_class} in {evidence_dtype(group)} on any "
            f"{sheet.kind}; calibrate, or choose another dtype"
        )
    evidence, why = found
    borrowed = evidence.what != STAND_INS[group.operator_class][0]
    widened = STAND_IN_SPREAD if borrowed else 1.0
    spread = widened * max(evidence.spread, FLOOR_SPREAD[evidence.rung])
    basis = f"{evidence.what} constants of {evidence.scope} ({evidence.num_points} points)"
    return Answer(
        evidence=evidence,
        machine=Machine(
            flop_per_s=peak,
            bandwidth_bytes_per_s=sheet.bandwidth_bytes_per_s.value,
            num_units=sheet.num_units.value if sheet.num_units else 0.0,
            onchip_bytes=sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0,
        ),
        spread=spread,
        reasons=tuple(filter(None, (basis, why))),
    )

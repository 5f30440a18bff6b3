"""Which evidence answers for an operator on a device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fitwright.perf.ladder import FLOOR_SPREAD, nearest
from fitwright.perf.operators.formulas import Machine
from fitwright.perf.operators.table import Group
from fitwright.perf.work import OperatorClass
from fitwright.records.estimate import RUNGS, NoData, Rung
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
"""By what factor the constants of another class, or of other weights, widen a band."""

TWINS: Mapping[str, str] = {"float16": "bfloat16", "bfloat16": "float16"}
"""Dtypes that run on the same units: they share evidence where their peaks are equal."""

WEIGHT_TWINS: Mapping[str, str] = {"float8": "int8", "int8": "float8"}
"""Narrow weights under wide arithmetic that take as many bytes: they share evidence."""

ATTENTIONS = ("attention_prefill", "attention_decode")
OWN_KERNELS: tuple[Rung, ...] = ("measured", "device", "architecture")
"""Rungs whose devices run the same kernels of attention."""

QUANTISE_PASSES = 1.3
"""Passes over the queries at the bandwidth, before a cache of 8 bits is multiplied: one, at the
share of the bandwidth that operators reach who only move bytes (0.76)."""

NARROW_CACHE_SPREAD: Mapping[bool, float] = {True: 1.25, False: 4.0}
"""By what factor a band widens where a narrow cache is told by a wide one: whether the device
multiplies the dtype of the cache (H100: factors of 1.2 to 1.4 held four of five rows, whose
band was told for 1.1 to 1.25) or converts it in software (Arc Pro B60: 2.3 to 4.0)."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """Evidence that may answer, what a reader should know, and by what factor bands widen."""

    evidence: Evidence
    why: str = ""
    widened: float = 1.0


def _spellings(sheet: Sheet, group: Group) -> list[tuple[str, str, float]]:
    """Dtypes whose evidence answers, the own one first: (as constants name it, why, factor)."""
    spelled = evidence_dtype(group)
    found = [(spelled, "", 1.0)]
    if twin := _twin(sheet, group.dtype):
        why = f"{twin} measurements answer for {group.dtype}: equal peaks"
        found.append((spelled.replace(group.dtype, twin, 1), why, 1.0))
    if other := WEIGHT_TWINS.get(group.weight_dtype):
        why = f"{other} weights answer for {group.weight_dtype}: as many bytes to unpack"
        found += [
            (name.replace(f"/{group.weight_dtype}", f"/{other}"), why, STAND_IN_SPREAD)
            for name, _, _ in tuple(found)
        ]
    return found


def _of_formula(known: Known, sheet: Sheet, group: Group, what: str) -> _Candidate | None:
    """The best rung of one formula, own dtype or another's; the own dtype where equal."""
    if what in BY_BYTES:
        row = nearest(known.get((what, ""), ()), sheet, what=what)
        return _Candidate(evidence=row) if row else None
    if what in ATTENTIONS and group.weight_dtype:
        return _of_cache(known, sheet, group, what)
    found = [
        _Candidate(evidence=row, why=why, widened=widened)
        for dtype, why, widened in _spellings(sheet, group)
        if (row := nearest(known.get((what, dtype), ()), sheet, what=what, dtype=dtype))
    ]
    return min(found, key=lambda f: RUNGS.index(f.evidence.rung), default=None)


def _of_cache(known: Known, sheet: Sheet, group: Group, what: str) -> _Candidate | None:
    """Attention over a narrow cache: what was measured here or on sisters, else the wide cache.

    How a kernel unpacks a cache is a matter of its architecture: measured on Arc Pro B60
    (converted in software) prefill took 4 times as long as with a wide cache, on H100 1.0 to
    1.3 times. Elsewhere fewer bytes are read, and the arithmetic runs as over a wide cache.
    """
    spelled = evidence_dtype(group)
    row = nearest(known.get((what, spelled), ()), sheet, what=what, dtype=spelled)
    if row and row.rung in OWN_KERNELS:
        return _Candidate(evidence=row)
    wide = _of_formula(known, sheet, replace(group, weight_dtype=""), what)
    if wide is None:
        return None
    native = group.weight_dtype in sheet.peaks
    constants = {**wide.evidence.constants, **({"quantise": QUANTISE_PASSES} if native else {})}
    said = f"a cache of {group.weight_dtype} was not measured on {sheet.architecture}: bytes of it"
    return _Candidate(
        evidence=wide.evidence.model_copy(update={"constants": constants}),
        why="; ".join(filter(None, (f"{said}, arithmetic as over {group.dtype}", wide.why))),
        widened=NARROW_CACHE_SPREAD[native],
    )


def _best(known: Known, sheet: Sheet, group: Group) -> _Candidate | None:
    """The evidence of the class, or of one that stands in."""
    own, *others = STAND_INS[group.operator_class]
    if found := _of_formula(known, sheet, group, own):
        return found
    for what in others:
        if found := _of_formula(known, sheet, group, what):
            stands = f"no measurements of {own}: those of {what} stand in"
            return replace(
                found,
                why="; ".join(filter(None, (stands, found.why))),
                widened=found.widened * STAND_IN_SPREAD,
            )
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
    evidence = found.evidence
    spread = found.widened * max(evidence.spread, FLOOR_SPREAD[evidence.rung])
    basis = f"{evidence.what} constants of {evidence.scope} ({evidence.num_points} points)"
    return Answer(
        evidence=evidence,
        machine=Machine(
            flop_per_s=peak,
            bandwidth_bytes_per_s=sheet.bandwidth_bytes_per_s.value,
            num_units=sheet.num_units.value if sheet.num_units else 0.0,
            onchip_bytes=sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0,
            clock_hz=sheet.clock_hz.value if sheet.clock_hz else 0.0,
        ),
        spread=spread,
        reasons=tuple(filter(None, (basis, found.why))),
    )

"""The tables of a run as rows of text; the terminal and the report print the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.deliver.story import outcome_text
from fitwright.deliver.wording import (
    TECHNIQUES,
    bound_text,
    factor_interval,
    factor_text,
    figure_text,
    figure_title,
    interval_text,
    overlap,
    plain,
    positive,
    samples_text,
    times,
)
from fitwright.records.figure import Figure
from fitwright.records.ledger import Ledger
from fitwright.records.trial import Trial
from fitwright.records.verdict import LimitVerdict, Verdict

VERDICT_HEADERS = ("limit", "bound", "measured", "interval", "label", "status")
BEFORE_AFTER_HEADERS = ("figure", "baseline", "artefact", "change")
LEDGER_HEADERS = ("technique", "step", "quantity", "factor", "interval", "label")
TRIAL_HEADERS = ("trial", "candidate", "p50 latency", "against incumbent", "decision", "reason")

BEFORE_AFTER = (
    "latency_p50",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_mean",
    "throughput",
    "load_time",
    "peak_memory",
    "size",
    "energy",
    "cost",
    "accuracy",
    "accuracy_drop",
    "top1_agreement",
    "equal_share",
    "relative_l2",
)
SAME = "the same"
_GAIN_WHEN_LARGER = frozenset({"throughput", "accuracy", "top1_agreement", "equal_share"})
_NO_RATIO = frozenset({"accuracy", "accuracy_drop", "top1_agreement", "equal_share", "relative_l2"})


@dataclass(frozen=True, kw_only=True)
class LimitRow:
    """One limit of the contract: `VERDICT_HEADERS`."""

    limit: str
    bound: str
    measured: str
    interval: str
    label: str
    status: str
    note: str = ""
    samples: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of its headers; a percentile says how many queries carry it."""
        interval = ", ".join(filter(None, (self.interval, self.samples)))
        return (self.limit, self.bound, self.measured, interval, self.label, self.status)


@dataclass(frozen=True, kw_only=True)
class BeforeAfterRow:
    """One figure of the baseline and the artefact: `BEFORE_AFTER_HEADERS`.

    Attributes:
        change: ``2.31× better``, ``1.2× worse``, or the difference for accuracy.
        gain: the same as a number, None where there is no ratio.
        proven: False when a change is told although the two intervals overlap, so that there
            may be none at all.
    """

    figure: str
    before: Figure | None
    after: Figure | None
    change: str
    gain: float | None
    proven: bool

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of its headers."""
        before, after = (_counted(f) if f else "–" for f in (self.before, self.after))
        doubt = "" if self.proven or not self.change else ", unproven"
        return (self.figure, before, after, self.change + doubt)


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One accepted step, or one of the closing lines (`is_total`): `LEDGER_HEADERS`."""

    technique: str
    step: str
    quantity: str
    factor: str
    interval: str
    label: str
    source: str
    is_total: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of its headers."""
        return (
            self.technique,
            self.step,
            self.quantity,
            self.factor,
            self.interval,
            self.label,
        )


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial: `TRIAL_HEADERS`."""

    number: int
    candidate: str
    stage: str
    latency: str
    ratio: str
    decision: str
    reason: str
    outcome: str = ""
    samples: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of its headers."""
        return (
            str(self.number),
            self.candidate,
            self.latency,
            ", ".join(filter(None, (self.ratio, self.outcome))),
            self.decision,
            self.reason,
        )


def verdict_rows(verdict: Verdict) -> list[LimitRow]:
    """Limit by limit, in the contract's order."""
    return [
        LimitRow(
            limit=figure_title(row.limit.figure),
            bound=bound_text(row.limit),
            measured=figure_text(row.figure),
            interval=interval_text(row.figure),
            label=row.figure.label,
            status=row.status,
            note=plain(row.note, longest=400) if row.note != row.figure.source else "",
            samples=samples_text(row.figure),
        )
        for row in verdict.limits
    ]


def before_after_rows(baseline: Trial, artefact: Trial) -> list[BeforeAfterRow]:
    """Every figure either of the two trials has, in a fixed order."""
    present = baseline.figures.keys() | artefact.figures.keys()
    return [
        _before_after(name, baseline.figures.get(name), artefact.figures.get(name))
        for name in BEFORE_AFTER
        if name in present
    ]


def _counted(figure: Figure) -> str:
    """``1.52 ms (n = 4,000)``: a time with the number of queries that carry it."""
    samples = samples_text(figure)
    return f"{figure_text(figure)} ({samples})" if samples else figure_text(figure)


def _before_after(name: str, before: Figure | None, after: Figure | None) -> BeforeAfterRow:
    gain = None if name in _NO_RATIO else _gain(name, before, after)
    change = _better_or_worse(gain) if gain is not None else _difference(name, before, after)
    return BeforeAfterRow(
        figure=figure_title(name),
        before=before,
        after=after,
        change=change,
        gain=gain,
        proven=change == SAME or not (before and after and overlap(before, after)),
    )


def _gain(name: str, before: Figure | None, after: Figure | None) -> float | None:
    """How many times better the artefact is; None without two finite numbers above zero."""
    old, new = positive(before), positive(after)
    if old is None or new is None:
        return None
    return new / old if name in _GAIN_WHEN_LARGER else old / new


def _better_or_worse(gain: float) -> str:
    if "1×" in (times(gain), times(1 / gain)):
        return SAME
    return f"{times(gain)} better" if gain > 1 else f"{times(1 / gain)} worse"


def _difference(name: str, before: Figure | None, after: Figure | None) -> str:
    """Signed change of a share; empty for distances, which are against the original already."""
    if name not in ("accuracy", "top1_agreement", "equal_share") or before is None or after is None:
        return ""
    if before.value is None or after.value is None:
        return ""
    if not math.isfinite(after.value - before.value):
        return ""
    difference = after.value - before.value
    return f"{difference:+.2g}".replace("-", "−") if difference else SAME


def ledger_rows(ledger: Ledger) -> list[LedgerRow]:
    """The accepted steps, then product, total, interaction, storage and energy."""
    steps = [
        _ledger_row(TECHNIQUES[e.technique], plain(e.step), e.quantity, e.factor)
        for e in ledger.entries
    ]
    totals = [
        _ledger_row("product of the steps", "", "speed", ledger.product, is_total=True),
        _ledger_row("total, one interleaved run", "", "speed", ledger.total, is_total=True),
        _ledger_row("interaction", "total ÷ product", "", ledger.interaction, is_total=True),
        _ledger_row("storage", "", "storage", ledger.storage, is_total=True),
        _ledger_row("energy", "", "energy", ledger.energy, is_total=True),
    ]
    return steps + totals


def _ledger_row(
    technique: str, step: str, quantity: str, factor: Figure, *, is_total: bool = False
) -> LedgerRow:
    return LedgerRow(
        technique=technique,
        step=step,
        quantity=quantity,
        factor=factor_text(factor),
        interval=factor_interval(factor),
        label=factor.label,
        source=plain(factor.source, longest=240),
        is_total=is_total,
    )


def trial_rows(trials: Sequence[Trial]) -> list[TrialRow]:
    """Every trial, rejected and failed ones too."""
    return [
        TrialRow(
            number=trial.number,
            candidate=plain(_candidate(trial)),
            stage=trial.stage,
            latency=_latency(trial),
            ratio=_ratio(trial),
            decision=trial.decision,
            reason=_reason(trial),
            outcome=outcome_text(trial.comparison) if trial.comparison else "",
            samples=samples_text(figure) if (figure := _p50(trial)) else "",
        )
        for trial in trials
    ]


def _candidate(trial: Trial) -> str:
    """The candidate, and the precision its backend chose by itself below float32."""
    lowered = f", computing in {trial.silent_precision}" if trial.silent_precision else ""
    return trial.candidate.describe() + lowered


def _latency(trial: Trial) -> str:
    figure = _p50(trial)
    return figure_text(figure) if figure else "–"


def _p50(trial: Trial) -> Figure | None:
    return trial.figures.get("latency_p50") or trial.figures.get("latency_mean")


def _ratio(trial: Trial) -> str:
    c = trial.comparison
    if c is None:
        return "–"
    return f"{times(c.ratio)} ({times(c.low).removesuffix('×')} – {times(c.high)})"


def _reason(trial: Trial) -> str:
    reason = plain(trial.reason, longest=400)
    if trial.failure is None:
        return reason
    cause = f"{trial.failure.cause.replace('_', ' ')}: {plain(trial.failure.detail, longest=400)}"
    if not reason or reason in cause:
        return cause
    return reason if cause in reason else f"{reason} ({cause})"


def headline(verdict: Verdict) -> str:
    """One line: ``Contract met: p99 latency 1.9 ms (limit 5 ms), …``."""
    so_far = "The run is not finished. So far: " if verdict.stop == "interrupted" else ""
    return so_far + _outcome(verdict)


def _outcome(verdict: Verdict) -> str:
    if not verdict.limits:
        gain = factor_text(verdict.speedup)
        return f"No limit was set: fastest verified artefact, {gain} the baseline"
    order = {"missed": 0, "undecided": 1, "met": 2}
    rows = sorted(verdict.limits, key=lambda row: order[row.status])
    told = [row for row in rows if row.status == verdict.status]
    return f"Contract {verdict.status}: " + ", ".join(_against(row) for row in told)


def _against(row: LimitVerdict) -> str:
    bound = units.show(row.limit.bound, row.limit.unit)
    word = "limit" if row.limit.sense == "at_most" else "at least"
    value = "unavailable" if row.figure.value is None else figure_text(row.figure)
    return f"{figure_title(row.limit.figure)} {value} ({word} {bound})"

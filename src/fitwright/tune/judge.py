"""Judge figures against limits, on their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fitwright import units
from fitwright.records.figure import Figure
from fitwright.records.need import Limit, Need
from fitwright.records.verdict import LimitVerdict, Relaxation, Status

_MOST_SAMPLES = 1_000_000  # beyond, the number tells nothing


def judge(need: Need, figures: Mapping[str, Figure]) -> tuple[LimitVerdict, ...]:
    """Every limit of the contract, met, missed or undecided, in the contract's order."""
    return tuple(judge_limit(limit, figure_for(limit, figures)) for limit in need.limits)


def figure_for(limit: Limit, figures: Mapping[str, Figure]) -> Figure:
    """The figure that decides a limit, or the reason there is none."""
    known = figures.get(limit.figure)
    return known or Figure.unavailable("not measured yet", unit=limit.unit)


def judge_limit(limit: Limit, figure: Figure) -> LimitVerdict:
    """Met when the whole interval keeps the bound, missed when none of it does.

    A limit on the given data itself is judged on the value: there is nothing to infer.
    """
    if figure.value is None:
        return LimitVerdict(limit=limit, figure=figure, status="undecided", note=figure.source)
    low = figure.value if figure.low is None or limit.on_given_data else figure.low
    high = figure.value if figure.high is None or limit.on_given_data else figure.high
    kept = (high <= limit.bound, low <= limit.bound)
    if limit.sense == "at_least":
        kept = (low >= limit.bound, high >= limit.bound)
    status: Status = "met" if kept[0] else "undecided" if kept[1] else "missed"
    return LimitVerdict(
        limit=limit,
        figure=figure,
        status=status,
        gap=_gap(limit, figure.value),
        note=_note(limit, figure, status),
    )


def _note(limit: Limit, figure: Figure, status: Status) -> str:
    if status == "undecided":
        return _what_would_decide(limit, figure)
    return figure.source if status == "missed" and _is_open(limit, figure) else ""


def _is_open(limit: Limit, figure: Figure) -> bool:
    """Nobody knows how bad it can get: too few samples, or a queue without end."""
    edge = figure.high if limit.sense == "at_most" else figure.low
    return edge is not None and not math.isfinite(edge)


def overall(limits: Sequence[LimitVerdict]) -> Status:
    """Missed as soon as one is missed; met only when all are."""
    found = {verdict.status for verdict in limits}
    if "missed" in found:
        return "missed"
    return "undecided" if "undecided" in found else "met"


def breaches(need: Need, figures: Mapping[str, Figure]) -> dict[str, float]:
    """Limits that these figures already break for certain, with the size of the gap.

    Works on a short trial: a percentile that was not measured yet is broken for certain
    when even the median is over its bound.
    """
    found: dict[str, float] = {}
    for verdict in judge(need, figures):
        limit = verdict.limit
        median = figures.get("latency_p50")
        if verdict.status == "missed":
            found[limit.name] = verdict.gap or 1.0
        elif verdict.figure.value is None and limit.name.startswith("latency_p") and median:
            early = judge_limit(limit, median)
            if early.status == "missed":
                found[limit.name] = early.gap or 1.0
    return found


def blocking(limits: Sequence[LimitVerdict]) -> str | None:
    """The missed limit with the largest gap."""
    missed = [v for v in limits if v.status == "missed"]
    return max(missed, key=lambda v: v.gap or 1.0).limit.name if missed else None


def relaxations(limits: Sequence[LimitVerdict]) -> tuple[Relaxation, ...]:
    """What each missed limit would have to be for the artefact at hand, cheapest first."""
    missed = sorted((v for v in limits if v.status == "missed"), key=lambda v: v.gap or 1.0)
    return tuple(_relaxation(v) for v in missed)


def _relaxation(verdict: LimitVerdict) -> Relaxation:
    limit, figure = verdict.limit, verdict.figure
    edge = figure.high if limit.sense == "at_most" else figure.low
    is_open = _is_open(limit, figure)
    if edge is None or is_open:
        edge = figure.value or 0.0
    bound = _rounded_outwards(edge, limit.sense)
    sign = "≤" if limit.sense == "at_most" else "≥"
    met = "would be met by this artefact"
    if is_open:
        met = f"is the least that is needed, perhaps not enough ({figure.source})"
    return Relaxation(
        limit=limit.name,
        bound=bound,
        text=f"{limit.name} {sign} {units.show(bound, limit.unit)} {met} "
        f"(now {units.show(limit.bound, limit.unit)})",
    )


def _rounded_outwards(value: float, sense: str) -> float:
    """Two significant digits, away from the figure, so that the relaxed limit holds."""
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    outwards = math.ceil if sense == "at_most" else math.floor
    rounded = round(outwards(value * 10.0**digits) / 10.0**digits, digits)
    return max(rounded, value) if sense == "at_most" else min(rounded, value)


def _gap(limit: Limit, value: float) -> float | None:
    """How far beyond the bound, as a ratio; 1 or less when kept."""
    top, bottom = (value, limit.bound) if limit.sense == "at_most" else (limit.bound, value)
    if bottom <= 0:
        return 1.0 if top <= bottom else None
    return max(top, 0.0) / bottom


def _what_would_decide(limit: Limit, figure: Figure) -> str:
    """More samples shrink the interval with their square root; say how many it takes."""
    if figure.low is None or figure.high is None or figure.value is None:
        return "no interval is known"
    distance = abs(figure.value - limit.bound)
    if distance == 0 or not figure.num_samples:
        return "the figure lies on the bound: too close to decide"
    half = max(figure.high - figure.value, figure.value - figure.low)
    if figure.label == "estimated":
        return f"more samples do not narrow an estimate: {figure.source}"
    if not math.isfinite(half):
        return f"too few samples yet to bound it: {figure.source}"
    more = math.ceil(figure.num_samples * (half / distance) ** 2) - figure.num_samples
    if more > _MOST_SAMPLES:
        return f"too close to the bound: more than {_MOST_SAMPLES:,} more samples would decide"
    return f"about {more:,} more samples would decide"

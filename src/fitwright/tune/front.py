"""The Pareto front of a run: what is left when everything beaten beyond doubt is gone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from fitwright.records.figure import Figure
from fitwright.records.front import Front, FrontPoint, Objective
from fitwright.records.need import Need
from fitwright.records.trial import Trial
from fitwright.tune.chained import time_ratios
from fitwright.tune.dominance import Array, Spans, dominators
from fitwright.tune.judge import breaches
from fitwright.tune.standing import incumbent_of

STEPS: Mapping[Objective, float] = {  # differences below count as none; ratios
    "time_ratio": 0.005,
    "relative_l2": 0.1,
    "peak_memory": 0.01,
    "size": 0.005,
    "energy": 0.01,
}
SHARE_STEP = 0.001  # of an accuracy: a tenth of a point
NEGLIGIBLE = 1e-3  # distances to the original below are rounding
KNOWN_SHARE = 0.5  # an objective counts when so many candidates have a figure of it
MOST_OTHERS = 200  # points beside the members that the record keeps
SHARE_METRICS = frozenset({"accuracy", "f1", "roc_auc", "top1_agreement", "cosine"})


def front(trials: Sequence[Trial], need: Need) -> Front | None:
    """Every measured candidate of the run, and which of them no other beats.

    Smaller is better in each objective: time (chained through the races, see
    `time_ratios`), loss of accuracy (distance to the original without labels), memory, size
    and energy. One candidate dominates another by the rule of `dominance.dominates`, in
    `STEPS`. Candidates that break a limit for certain are refused and compete with nobody;
    where every one does, all compete.

    Returns:
        None while no candidate has been measured.
    """
    ordered = sorted((t for t in trials if t.stage == "short"), key=lambda t: t.number)
    best = incumbent_of(ordered)
    if best is None:
        return None
    ratios = time_ratios(ordered, reference=best.candidate.key)
    placed = {t.candidate.key: t for t in ordered if t.candidate.key in ratios and t.figures}
    points = [_point(t, ratios[key], need) for key, t in placed.items()]
    keeping = [p for p in points if not p.breaks] or points
    objectives, left_out = _objectives(keeping, need)
    standing = _standing(keeping, objectives, need)
    refused: dict[str, object] = {"standing": "refused"}
    judged = [p.model_copy(update=standing.get(p.trial, refused)) for p in points]
    counts = Counter(p.standing for p in judged)
    return Front(
        reference=best.number,
        reference_time=_time_of(best, need),
        time_is="time per query under load" if _by_rate(need) else "median latency",
        objectives=objectives,
        left_out=left_out,
        points=_worth_keeping(judged),
        num_dominated=counts["dominated"],
        num_refused=counts["refused"],
    )


def _worth_keeping(points: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Every member, and of the others the fastest: a long run's front stays a small file."""
    others = [p for p in points if p.standing != "member"]
    kept = {p.trial for p in sorted(others, key=lambda p: (_time_ratio(p), p.trial))[:MOST_OTHERS]}
    shown = [p for p in points if p.standing == "member" or p.trial in kept]
    return tuple(sorted(shown, key=lambda p: p.trial))


def spans_of(points: Sequence[FrontPoint], objectives: Sequence[Objective], need: Need) -> Spans:
    """Both ends of every figure, in steps; infinite where there is none."""
    columns = [_column(points, name, need) for name in objectives]
    ends = np.stack(columns, axis=1) if columns else np.empty((len(points), 0, 2))
    return Spans(lows=ends[:, :, 0], highs=ends[:, :, 1])


def _column(points: Sequence[FrontPoint], name: Objective, need: Need) -> Array:
    """One objective of all points, shape (points, 2); a metric of unknown scale by rank."""
    ends = np.array([_ends(p.figures.get(name), name) for p in points], float).reshape(-1, 2)
    if name == "accuracy_drop" and need.metric not in SHARE_METRICS:
        ranks = 2.0 * np.unique(ends, return_inverse=True)[1].reshape(ends.shape)
        return np.where(np.isfinite(ends), ranks, ends)
    if name == "accuracy_drop":
        return np.asarray(np.floor(ends / SHARE_STEP + 1e-9))
    floor = NEGLIGIBLE if name == "relative_l2" else 0.0
    with np.errstate(divide="ignore"):  # log 0 is below every step, as it should be
        return np.asarray(np.floor(np.log(np.maximum(ends, floor)) / math.log1p(STEPS[name])))


def _point(trial: Trial, ratio: Figure, need: Need) -> FrontPoint:
    names: tuple[Objective, ...] = ("accuracy_drop", "relative_l2", "peak_memory", "size", "energy")
    known = {n: f for n in names if (f := trial.figures.get(n)) and f.value is not None}
    return FrontPoint(
        trial=trial.number,
        candidate=trial.candidate,
        figures={"time_ratio": ratio, **known},
        standing="member",
        breaks=tuple(sorted(breaches(need, trial.figures))),
    )


def _objectives(
    points: Sequence[FrontPoint], need: Need
) -> tuple[tuple[Objective, ...], tuple[tuple[Objective, str], ...]]:
    """What is known of enough candidates, and in words what is not."""
    closeness: Objective = "accuracy_drop" if need.has_labels else "relative_l2"
    wanted: tuple[Objective, ...] = ("time_ratio", closeness, "peak_memory", "size", "energy")
    counts = {name: sum(name in p.figures for p in points) for name in wanted}
    kept = tuple(n for n in wanted if counts[n] >= KNOWN_SHARE * len(points))
    return kept, tuple(
        (name, f"is known of {counts[name]} of {len(points)} candidates")
        for name in wanted
        if name not in kept
    )


def _standing(
    points: Sequence[FrontPoint], objectives: Sequence[Objective], need: Need
) -> dict[int, dict[str, object]]:
    """By trial: member, or dominated and by whom (the fastest member that does)."""
    found: dict[int, dict[str, object]] = {}
    for point, above in zip(points, dominators(spans_of(points, objectives, need)), strict=True):
        if not above:
            found[point.trial] = {"standing": "member"}
            continue
        by = min((points[i] for i in above), key=lambda p: (_time_ratio(p), p.trial))
        found[point.trial] = {"standing": "dominated", "dominated_by": by.trial}
    return found


def _time_ratio(point: FrontPoint) -> float:
    return point.figures["time_ratio"].value or math.inf


def _ends(figure: Figure | None, name: Objective) -> tuple[float, float]:
    """Of the interval; distances are about the very data given, so the value itself counts."""
    if figure is None or figure.value is None:
        return math.inf, math.inf
    if name == "relative_l2" or figure.low is None or figure.high is None:
        return figure.value, figure.value
    return figure.low, figure.high


def _by_rate(need: Need) -> bool:
    return need.objective == "throughput"


def _time_of(best: Trial, need: Need) -> Figure:
    """Seconds of one query, from what the races compared."""
    if not _by_rate(need):
        return best.figures.get("latency_p50") or Figure.unavailable("not timed", unit="s")
    rate = best.figures.get("throughput")
    if rate is None or not rate.value:
        return Figure.unavailable("its throughput is not known", unit="s")
    batch = need.traffic.batch
    return Figure.measured(
        batch / rate.value,
        low=batch / rate.high if rate.high else None,
        high=batch / rate.low if rate.low else None,
        unit="s",
        source="batch over throughput",
        num_samples=rate.num_samples,
    )

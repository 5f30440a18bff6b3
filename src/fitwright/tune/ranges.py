"""When the int8 ranges chosen at first are too coarse, so that finer ones are worth making."""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.records.need import Need
from fitwright.records.recipe import Adapted, Int8Static
from fitwright.records.trial import Trial
from fitwright.tune.judge import breaches
from fitwright.tune.proposal import Knowledge

NEARER = 0.95  # times the distance: what finer ranges must come to for others to be worth making


def too_coarse(trials: Iterable[Trial], adapted: Adapted, *, need: Need) -> frozenset[str]:
    """Toolkits whose static int8 gave outputs that disagree, or break a limit on accuracy."""
    ends = {v.id: v.recipes[-1] for v in adapted.variants if v.recipes}
    found = set()
    for trial in trials:
        end = ends.get(trial.candidate.variant_id)
        if isinstance(end, Int8Static) and end.method == "minmax" and _too_far(trial, need):
            found.add(end.toolkit)
    return frozenset(found)


def in_vain(known: Knowledge, toolkit: str) -> bool:
    """Whether finer ranges of that toolkit were tried and brought the outputs no nearer: then
    what is lost is lost elsewhere, and the next choice of ranges would not find it."""
    usual: list[float] = []
    finer: list[float] = []
    for (variant_id, _), distance in known.standing.disagreed.items():
        recipes = known.adapted.variant(variant_id).recipes
        end = recipes[-1] if recipes else None
        if isinstance(end, Int8Static) and end.toolkit == toolkit and not end.keep:
            (usual if end.method == "minmax" else finer).append(distance)
    return bool(usual and finer) and min(finer) > NEARER * min(usual)


def _too_far(trial: Trial, need: Need) -> bool:
    if trial.failure is not None:
        return trial.failure.cause == "disagrees"
    return "accuracy" in breaches(need, trial.figures)

"""When the int8 ranges chosen at first are too coarse, so that finer ones are worth making."""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.records.need import Need
from fitwright.records.recipe import Adapted, Int8Static
from fitwright.records.trial import Trial
from fitwright.tune.judge import breaches


def too_coarse(trials: Iterable[Trial], adapted: Adapted, *, need: Need) -> frozenset[str]:
    """Toolkits whose static int8 gave outputs that disagree, or break a limit on accuracy."""
    ends = {v.id: v.recipes[-1] for v in adapted.variants if v.recipes}
    found = set()
    for trial in trials:
        end = ends.get(trial.candidate.variant_id)
        if isinstance(end, Int8Static) and end.method == "minmax" and _too_far(trial, need):
            found.add(end.toolkit)
    return frozenset(found)


def _too_far(trial: Trial, need: Need) -> bool:
    if trial.failure is not None:
        return trial.failure.cause == "disagrees"
    return "accuracy" in breaches(need, trial.figures)

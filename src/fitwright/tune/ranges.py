"""When the int8 ranges chosen at first are too coarse, so that finer ones are worth making."""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.records.need import Need
from fitwright.records.recipe import Adapted, Int8Static
from fitwright.records.trial import Trial
from fitwright.tune.judge import breaches
from fitwright.tune.proposal import Knowledge
from fitwright.tune.reach import LIKELY, mix_forecast, whole_int8

NEARER = 0.95  # times as far: what finer ranges must come to for others to be worth making


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
    """Whether finer ranges of that toolkit are not worth making.

    Either some were tried and brought the outputs no nearer: then what is lost is lost
    elsewhere, and the next choice of ranges would not find it. Or its int8 is so slow that
    what another's comes to with some layers in float is faster even so.
    """
    usual: list[float] = []
    finer: list[float] = []
    careful = {body.recipes[-1] for body in known.agenda.bodies if body.finer_ranges}
    for (variant_id, _), excess in known.standing.disagreed.items():
        end = whole_int8(known.adapted.variant(variant_id).recipes)
        if end is not None and end.toolkit == toolkit:
            (finer if end in careful else usual).append(excess)
    if usual and finer and min(finer) > NEARER * min(usual):
        return True
    return _is_outrun(known, toolkit)


def _is_outrun(known: Knowledge, toolkit: str) -> bool:
    """By forecasts from the few rounds in which what disagrees was timed."""
    own, others = 0.0, known.standing.top_speed
    for pair, timed in known.standing.would_be.items():
        variant = known.adapted.variant(pair[0])
        end = whole_int8(variant.recipes)
        if end is not None and end.toolkit == toolkit:
            own = max(own, timed)
        elif end is not None:
            others = max(others, mix_forecast(known, variant, pair[1], timed=timed))
    return 0.0 < own < LIKELY * others


def _too_far(trial: Trial, need: Need) -> bool:
    if trial.failure is not None:
        return trial.failure.cause == "disagrees"
    return "accuracy" in breaches(need, trial.figures)

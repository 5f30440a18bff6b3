"""What the search may spend on a next step: time, places beside the incumbent, a clock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitwright.bench.setup import Setup
from fitwright.flow.steps import trial_limits
from fitwright.tune.eta import eta_s
from fitwright.tune.explore import PATIENCE
from fitwright.tune.proposal import BASELINE, OVERTIME, REWRITE
from fitwright.tune.propose import COHORT

if TYPE_CHECKING:
    from fitwright.flow.search import Search

RACE_S = 20.0  # longest race of one candidate against the incumbent
RACE_SHARE = 0.08  # of the whole budget, when that is less
REWRITING_SHARE = 0.5  # of that for what computes the same: it only decides what is built on
OVERTIME_SHARE = 4.0  # of that, as far as time is left, for what only noise left open
COHORT_SHARE = 0.25  # of the device's memory, for all of them together
WALL_S, LEAST_WALL_S = 120.0, 5.0  # of a challenger's child


def race_s(search: Search, round_: int = BASELINE) -> float:
    """What a race of that stage of the search may take."""
    usual_s = max(1.0, min(RACE_S, RACE_SHARE * search.watch.budget_s))
    if round_ == OVERTIME:
        return max(usual_s, min(OVERTIME_SHARE * usual_s, search.left_s()))
    return REWRITING_SHARE * usual_s if round_ == REWRITE else usual_s


def cohort_size(search: Search) -> int:
    """As many as fit beside the incumbent; one when its memory is not known, or when the
    fastest need not be the best."""
    best = search.best() if search.only_time_counts() else None
    used = best.figures.get("peak_memory") if best else None
    if used is None or not used.value:
        return 1
    fit = int(COHORT_SHARE * search.walk.device.memory_bytes / used.value)
    return max(1, min(COHORT, fit))


def limited(search: Search) -> Setup:
    """For a challenger's child near the end; a baseline is measured whatever it takes."""
    wall_s = min(WALL_S, max(search.left_s(), LEAST_WALL_S))
    return replace(search.setup, limits=trial_limits(search.walk.device, wall_s=wall_s))


def time_left_s(search: Search) -> float | None:
    """How long the search will still take, as far as is known."""
    agenda, adapted, backends = search.walk.agenda, search.adapted, search.walk.plan.backends
    num_passes = sum(chain not in adapted.chains for chain in agenda.chains)
    return eta_s(
        [t.seconds for t in search.trials],
        [v.seconds for v in adapted.variants],
        num_trials_left=num_passes * len(backends) + PATIENCE,
        num_passes_left=num_passes,
        left_s=search.left_s(),
    )

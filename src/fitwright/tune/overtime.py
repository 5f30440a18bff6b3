"""The last races of a search: what was ahead when its race ended too noisy to decide."""

from __future__ import annotations

from collections.abc import Iterator

from fitwright.records.trial import Trial
from fitwright.tune.proposal import OVERTIME, Knowledge, Together, Try
from fitwright.tune.standing import Standing

AHEAD = 1.01  # of the best; nearer, even a proof gains nothing
MOST_OVERTIMES = 2  # each may take several times as long as a race did


def overtime(known: Knowledge) -> Iterator[Together]:
    """Once nothing else is left to try: one more, longer race each, the fastest first, none twice.

    Of those ahead of the best for which more time would decide (`Comparison.more_s`); and of
    those that never met it in a race of their own, for another of their cohort was ahead or
    it was not the best yet, if they may be faster than it for all that was seen.
    """
    done = {trial.candidate.key for trial in known.standing.of_round(OVERTIME)}
    if len(done) >= MOST_OVERTIMES:
        return
    found = {t.candidate.key: t for t in _left_ahead(known.standing)}
    found |= {t.candidate.key: t for t in _never_met(known.standing)}
    speeds = known.standing.speeds
    for key in sorted(found.keys() - done, key=lambda key: (-speeds[key], key)):
        candidate = found[key].candidate
        variant = known.adapted.variant(candidate.variant_id)
        again = Try(candidate=candidate, variant=variant, round=OVERTIME)
        yield Together(tries=(again,))


def _left_ahead(standing: Standing) -> list[Trial]:
    """Of each candidate the last race, where it was against the best so far and ahead of it."""
    best = standing.best
    last = {t.candidate.key: t for t in standing.trials if t.stage == "short"}
    return [
        trial
        for trial in last.values()
        if best is not None
        and (against := trial.comparison) is not None
        and against.incumbent == best.candidate.key
        and against.outcome == "undecided"
        and against.more_s is not None
        and against.ratio >= AHEAD
    ]


def _never_met(standing: Standing) -> list[Trial]:
    """What left the order to the best open without a race against it, and whose interval, by
    way of the one it ran against, reaches beyond the best."""
    best, speeds = standing.best, standing.speeds
    if best is None:
        return []
    least = AHEAD * speeds.get(best.candidate.key, 1.0)
    return [
        trial
        for key, trial in standing.open.items()
        if (seen := trial.comparison) is not None
        and key != best.candidate.key
        and (trial.eliminated or seen.incumbent != best.candidate.key)
        and speeds.get(seen.incumbent, 0.0) * seen.high >= least
    ]

"""The last races of a search: what was ahead when its race ended too noisy to decide."""

from __future__ import annotations

from collections.abc import Iterator

from fitwright.records.trial import Trial
from fitwright.tune.proposal import OVERTIME, Knowledge, Together, Try
from fitwright.tune.standing import Standing

AHEAD = 1.01  # of the best; nearer, even a proof gains nothing
MOST_OVERTIMES = 2  # each may take several times as long as a race did


def overtime(known: Knowledge) -> Iterator[Together]:
    """Once nothing else is left to try: one more, longer race each, the furthest ahead first.

    Only of those for which more time would decide (`Comparison.more_s`), and none twice.
    """
    done = {trial.candidate.key for trial in known.standing.of_round(OVERTIME)}
    if len(done) >= MOST_OVERTIMES:
        return
    waiting = [t for t in _left_ahead(known.standing) if t.candidate.key not in done]
    for trial in sorted(waiting, key=lambda t: (-_ratio(t), t.candidate.key)):
        variant = known.adapted.variant(trial.candidate.variant_id)
        again = Try(candidate=trial.candidate, variant=variant, round=OVERTIME)
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


def _ratio(trial: Trial) -> float:
    assert trial.comparison is not None, "only races are looked at"
    return trial.comparison.ratio

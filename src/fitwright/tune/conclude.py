"""The verdict of a run, final or so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fitwright.records.figure import Figure
from fitwright.records.front import Front
from fitwright.records.need import Need
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.tune.alternatives import alternatives
from fitwright.tune.gains import speedup
from fitwright.tune.judge import blocking, judge, overall, relaxations

Stop = Literal["met", "exhausted", "out_of_time", "interrupted", "nothing_runs"]


def conclude(
    need: Need,
    *,
    artefact: Trial,
    baseline: Trial,
    trials: Sequence[Trial],
    stop: Stop,
    seconds: float,
    notes: tuple[str, ...] = (),
    front: Front | None = None,
) -> Verdict:
    """Limit by limit for the artefact that ships.

    Args:
        artefact, baseline: full-stage trials when the run has come that far, else the
            short ones (then limits that need the full run stay undecided).
        stop: why the loop ended.
        seconds: wall-clock time of the run so far.
        front: of the run, for the alternatives to the artefact.
    """
    limits = judge(need, artefact.figures)
    ships_baseline = artefact.candidate.key == baseline.candidate.key
    return Verdict(
        status=overall(limits),
        limits=limits,
        candidate=artefact.candidate,
        baseline=baseline.candidate,
        speedup=_speedup(artefact, ships_baseline=ships_baseline),
        stop=stop,
        blocking=blocking(limits),
        relaxations=relaxations(limits),
        num_trials=len(trials),
        seconds=seconds,
        notes=notes,
        alternatives=alternatives(front, need, artefact=artefact.candidate.key) if front else (),
    )


def _speedup(artefact: Trial, *, ships_baseline: bool) -> Figure:
    if ships_baseline:
        return Figure.unavailable("the baseline itself ships; there is nothing to compare")
    if artefact.comparison is None:
        return Figure.unavailable("the baseline did not run beside it to the end")
    return speedup(artefact.comparison)

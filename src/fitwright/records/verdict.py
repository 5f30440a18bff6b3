"""The answer, limit by limit: step 6."""

from __future__ import annotations

from typing import Literal

from fitwright.records.figure import Figure
from fitwright.records.front import Alternative
from fitwright.records.need import Limit
from fitwright.records.record import Record
from fitwright.records.trial import Candidate

Status = Literal["met", "missed", "undecided"]


class LimitVerdict(Record):
    """One limit judged on the interval of its figure.

    Attributes:
        status: met when the whole interval keeps the bound, missed when none of it does,
            undecided between, or when the figure is unavailable.
        gap: how far the figure is beyond the bound, as a ratio above 1; 1 or less when kept.
        note: what would decide it (how many more samples), or how to make it available.
    """

    limit: Limit
    figure: Figure
    status: Status
    gap: float | None = None
    note: str = ""


class Relaxation(Record):
    """The cheapest change of a limit that the nearest candidate already keeps."""

    limit: str
    bound: float
    text: str


class Verdict(Record):
    """`6-verdict.json`.

    Attributes:
        status: met when every limit is met; missed when one is missed; else undecided.
        candidate: what ships.
        baseline: the strongest plain start it was measured against.
        speedup: baseline time over candidate time, from one interleaved run.
        stop: why the loop ended.
        blocking: the limit with the largest gap, when missed.
        relaxations: cheapest first, when missed.
        alternatives: members of the front that someone else might prefer, nearest first.
    """

    status: Status
    limits: tuple[LimitVerdict, ...]
    candidate: Candidate | None
    baseline: Candidate | None
    speedup: Figure
    stop: Literal["met", "exhausted", "out_of_time", "interrupted", "nothing_runs"]
    blocking: str | None = None
    relaxations: tuple[Relaxation, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    num_trials: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

"""The candidates between which only taste decides: each better than the others in something."""

from __future__ import annotations

from typing import Literal

from fitwright.records.figure import Figure
from fitwright.records.record import Record
from fitwright.records.trial import Candidate

Objective = Literal["time_ratio", "accuracy_drop", "relative_l2", "peak_memory", "size", "energy"]
Standing = Literal["member", "dominated", "refused"]


class FrontPoint(Record):
    """One measured candidate among the others.

    Attributes:
        trial: number of its short trial.
        figures: by objective, smaller is better in each. ``time_ratio`` is its time of one
            query over that of the reference, chained through the races between them; an
            objective it has no figure of is absent.
        standing: member of the front; dominated by a member; or refused, for it breaks a
            limit for certain while others keep them all.
        dominated_by: trial of the fastest member that dominates it.
        breaks: limits that its figures break for certain.
    """

    trial: int
    candidate: Candidate
    figures: dict[Objective, Figure]
    standing: Standing
    dominated_by: int | None = None
    breaks: tuple[str, ...] = ()


class Front(Record):
    """`front.json`: every measured candidate of the run, and which of them no other beats.

    Attributes:
        reference: trial of the best candidate so far, against which times are told.
        reference_time: what one query takes there, seconds, in its own short trial;
            unavailable where it was not timed.
        time_is: what that time is: ``median latency``, or ``time per query under load``.
        objectives: what was compared, time first.
        left_out: objectives that too few candidates have a figure of, and why in words.
        points: in the order of their trials; all members, and of the others the fastest.
        num_dominated, num_refused: of all candidates, those not kept in `points` included.
    """

    reference: int
    reference_time: Figure
    time_is: str
    objectives: tuple[Objective, ...]
    left_out: tuple[tuple[Objective, str], ...] = ()
    points: tuple[FrontPoint, ...] = ()
    num_dominated: int = 0
    num_refused: int = 0

    @property
    def members(self) -> tuple[FrontPoint, ...]:
        """The front itself, fastest first."""
        kept = [p for p in self.points if p.standing == "member"]
        return tuple(sorted(kept, key=lambda p: (p.figures["time_ratio"].value or 0.0, p.trial)))

    def point(self, key: str) -> FrontPoint | None:
        """Where that candidate stands; None when it has no place here."""
        return next((p for p in self.points if p.candidate.key == key), None)


class Alternative(Record):
    """A member of the front that someone else might prefer to the artefact.

    Attributes:
        text: what it gains and what that costs, both beyond doubt.
    """

    trial: int
    candidate: Candidate
    text: str

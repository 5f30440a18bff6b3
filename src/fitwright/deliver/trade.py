"""The front as rows and words: who is on it, what the second axis of its picture shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from fitwright import units
from fitwright.deliver.wording import (
    factor_interval,
    factor_text,
    figure_text,
    figure_title,
    interval_text,
    plain,
)
from fitwright.records.figure import Figure
from fitwright.records.front import Front, FrontPoint, Objective

MOST_ROWS = 12
MOST_RIVALS = 100  # looked at in pairs
_APART = 0.05  # values nearer than this are one place on the paper
_TITLES = {"accuracy_drop": "loss of accuracy", "size": "size of the files"}


@dataclass(frozen=True, kw_only=True)
class FrontRow:
    """One member: trial number, candidate, and a cell of text and interval per objective."""

    trial: int
    candidate: str
    cells: tuple[tuple[str, str], ...]
    others: int


def title_of(objective: Objective) -> str:
    """``size of the files``."""
    return _TITLES.get(objective) or figure_title(objective)


def front_rows(front: Front) -> list[FrontRow]:
    """The members, fastest first; of one variant on one backend only the fastest."""
    groups: dict[tuple[str, str], list[FrontPoint]] = {}
    for point in front.members:
        candidate = point.candidate
        groups.setdefault((candidate.variant_id, candidate.backend), []).append(point)
    return [
        FrontRow(
            trial=fastest.trial,
            candidate=plain(fastest.candidate.describe()),
            cells=tuple(_cell(fastest.figures.get(name), name) for name in front.objectives),
            others=len(more),
        )
        for fastest, *more in list(groups.values())[:MOST_ROWS]
    ]


def _cell(figure: Figure | None, name: Objective) -> tuple[str, str]:
    if figure is None:
        return "–", ""
    if name == "time_ratio":
        return factor_text(figure), factor_interval(figure)
    return figure_text(figure), interval_text(figure)


def front_words(front: Front) -> str:
    """How many candidates there are, and what became of them."""
    num = len(front.members) + front.num_dominated + front.num_refused
    is_one = len(front.members) == 1
    verb = "is" if is_one else "are"
    told = [f"{len(front.members)} of {num} measured candidates {verb} beaten by no other"]
    if beaten := front.num_dominated:
        by = "by it" if is_one else "by one of these"
        told.append(f"{beaten} {'is' if beaten == 1 else 'are'} beaten beyond doubt {by}")
    if refused := front.num_refused:
        verbs = ("breaks", "does") if refused == 1 else ("break", "do")
        told.append(f"{refused} {verbs[0]} a limit and {verbs[1]} not compete")
    return ", ".join(told)


def second_objective(front: Front) -> Objective | None:
    """What to draw against time: the objective that tells most candidates apart.

    Candidates that are beaten do not count: they are traded for nothing.
    """
    rivals = [p for p in front.points if p.standing != "dominated"][:MOST_RIVALS]
    best, most = None, 0
    for name in front.objectives[1:]:
        figures = [f for p in rivals if (f := p.figures.get(name)) and f.value is not None]
        apart = sum(_are_apart(a, b) for a, b in combinations(figures, 2))
        if apart > most:
            best, most = name, apart
    return best


def _are_apart(one: Figure, other: Figure) -> bool:
    """Whether the intervals leave a gap that can be seen."""
    a, b = sorted((one, other), key=lambda f: f.value or 0.0)
    high = a.high if a.high is not None else a.value or 0.0
    low = b.low if b.low is not None else b.value or 0.0
    return low - high > _APART * abs(b.value or 0.0)


def time_text(front: Front) -> tuple[float, Callable[[float], str]]:
    """What a time ratio is multiplied with to be told, and how the product reads."""
    reference_s = front.reference_time.value
    if not reference_s:
        return 1.0, lambda ratio: f"{ratio:.3g}×"
    return reference_s, units.seconds


def staircase(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (x, y), smaller is better: those that no other beats in both, by growing x."""
    kept: list[tuple[float, float]] = []
    for point in sorted(points):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept

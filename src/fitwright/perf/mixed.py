"""Which groups of operators stay in int8 when both costs are known: pure arithmetic.

Rounding errors of different groups are as good as independent, so their squares add: with
``e_g`` the relative L2 distance of group ``g`` quantised alone, several groups together are
at ``sqrt(sum of e_g squared)`` (measured on BERT-base, MiniLM and ViT-S: within 4 % of the
whole). Seconds gained add as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fitwright.records.sensitivity import GroupEffect, Sensitivity

MOST_EXACT = 24  # groups; beyond, the choice is greedy


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """One group as the choice sees it.

    Attributes:
        gained_s: seconds per query that int8 saves; negative where it is slower.
        error: relative L2 distance with only this group in int8.
    """

    name: str
    gained_s: float
    error: float


def worths(sensitivity: Sensitivity) -> tuple[Worth, ...]:
    """Of every group, from what was measured; an unknown gain counts as none."""
    return tuple(
        Worth(
            name=effect.group.name,
            gained_s=effect.gained.value or 0.0,
            error=effect.error.value or 0.0,
        )
        for effect in sensitivity.effects
    )


def combined_error(groups: Iterable[Worth]) -> float:
    """Relative L2 distance of the groups together."""
    return math.sqrt(sum(g.error**2 for g in groups))


def slower_in_int8(sensitivity: Sensitivity) -> frozenset[str]:
    """Groups that int8 makes slower beyond doubt: their whole interval lies below zero."""
    return frozenset(
        e.group.name for e in sensitivity.effects if e.gained.high is not None and e.gained.high < 0
    )


def without_gain(sensitivity: Sensitivity, *, least_share: float) -> frozenset[str]:
    """Groups whose int8 form saves next to nothing: quantised, they only cost accuracy.

    Args:
        least_share: of all the seconds that int8 saves, what a group must bring to count.
    """
    total = sum(max(0.0, e.gained.value or 0.0) for e in sensitivity.effects)
    return frozenset(
        e.group.name
        for e in sensitivity.effects
        if (e.gained.value or 0.0) <= least_share * total / len(sensitivity.effects)
    )


def kept_for(groups: Sequence[Worth], *, error_budget: float) -> frozenset[str]:
    """Groups to keep in float so that the most time is gained within the error budget.

    Exact up to `MOST_EXACT` groups, greedy beyond. A group that int8 does not speed up is
    always kept.
    """
    useful = [g for g in groups if g.gained_s > 0]
    chosen = _best if len(useful) <= MOST_EXACT else _greedy
    in_int8 = chosen(useful, error_budget**2)
    return frozenset(g.name for g in groups) - in_int8


def _best(groups: Sequence[Worth], budget: float) -> frozenset[str]:
    """Every choice that no other beats in both time and error, one group after the other."""
    front: list[tuple[float, float, frozenset[str]]] = [(0.0, 0.0, frozenset())]
    for group in groups:
        more = [
            (error + group.error**2, gained + group.gained_s, names | {group.name})
            for error, gained, names in front
            if error + group.error**2 <= budget
        ]
        front = _undominated([*front, *more])
    return max(front, key=lambda choice: choice[1])[2]


def _undominated(
    choices: list[tuple[float, float, frozenset[str]]],
) -> list[tuple[float, float, frozenset[str]]]:
    kept: list[tuple[float, float, frozenset[str]]] = []
    for choice in sorted(choices, key=lambda c: (c[0], -c[1])):
        if not kept or choice[1] > kept[-1][1]:
            kept.append(choice)
    return kept


def _greedy(groups: Sequence[Worth], budget: float) -> frozenset[str]:
    """Least error per second first, for as long as it fits."""
    spent, taken = 0.0, set()
    for group in sorted(groups, key=_error_per_second):
        if spent + group.error**2 <= budget:
            spent += group.error**2
            taken.add(group.name)
    return frozenset(taken)


def _error_per_second(group: Worth) -> float:
    """Squared error for each second gained; infinite where nothing is gained."""
    return group.error**2 / group.gained_s if group.gained_s > 0 else math.inf


def ladder(groups: Sequence[Worth], *, always: Collection[str] = ()) -> tuple[frozenset[str], ...]:
    """Sets to keep in float, each within the next: from as few as may be to all.

    The groups that cost most error for each second gained go first.

    Args:
        always: groups kept in every set.
    """
    rest = [g for g in groups if g.name not in always]
    ranked = sorted(rest, key=lambda g: (-_error_per_second(g), g.gained_s))
    start = frozenset(always)
    return tuple(start | {g.name for g in ranked[:num]} for num in range(len(ranked) + 1))


def next_rung(
    rungs: Sequence[frozenset[str]],
    *,
    good: Collection[frozenset[str]],
    bad: Collection[frozenset[str]],
    guess: frozenset[str] | None = None,
) -> frozenset[str] | None:
    """The next set to try, between the longest bad and the shortest good one; None: found.

    The last rung keeps everything and is good by definition; each answer halves what is
    left, so that ``log2(len(rungs))`` trials find the shortest good rung, wherever more kept
    groups never make the outputs worse.

    Args:
        good, bad: sets tried so far that hold or break the limit.
        guess: where to begin instead of in the middle, when it is still open.
    """
    failed = max((i for i, rung in enumerate(rungs) if rung in bad), default=-1)
    holds = [i for i, rung in enumerate(rungs) if rung in good and i > failed]
    held = min(holds, default=len(rungs) - 1)
    if held - failed <= 1:
        return None
    between = [rung for rung in rungs[1:-1] if rung in good or rung in bad]
    if guess in rungs[failed + 1 : held] and not between:
        return guess
    return rungs[(failed + held) // 2]


def operators_of(effects: Sequence[GroupEffect], kept: Collection[str]) -> tuple[str, ...]:
    """Names of the operators of these groups, in the order of the graph's groups."""
    return tuple(name for e in effects if e.group.name in kept for name in e.group.operators)

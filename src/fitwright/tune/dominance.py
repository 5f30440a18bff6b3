"""Which points no other point beats, when each coordinate is only known within an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Both ends of every coordinate in whole steps of its resolution; smaller is better.

    Attributes:
        lows, highs: shape (points, objectives), never NaN, lows <= highs. What is not known
            has both ends at infinity: it counts as worse than any figure.
    """

    lows: Array
    highs: Array


def dominates(spans: Spans, one: int, other: int) -> bool:
    """At least as good in everything, and better in something beyond doubt.

    At least as good: neither end of the interval lies a step above the other's. Better
    beyond doubt: see `better`. The relation is transitive, so whoever is dominated at all is
    dominated by somebody whom nobody dominates; points that the figures cannot tell apart do
    not dominate each other, and all of them stay.
    """
    return bool(_dominating(spans, np.array([one]), other)[0])


def better(spans: Spans, one: int | Array, other: int) -> Array:
    """Per objective: the whole interval lies below the other's, a whole step between them."""
    return np.asarray(spans.highs[one] + 1 < spans.lows[other])


def _dominating(spans: Spans, ones: Array, other: int) -> Array:
    """For each of `ones`, whether it dominates `other`."""
    as_good = (spans.lows[ones] <= spans.lows[other]) & (spans.highs[ones] <= spans.highs[other])
    return np.asarray(as_good.all(axis=1) & better(spans, ones, other).any(axis=1))


def dominators(spans: Spans) -> list[tuple[int, ...]]:
    """Per point the members of the front that dominate it; empty for the members themselves.

    Whoever dominates a point comes before it when all ends are sorted one after the other,
    and by transitivity it is enough to look at members: O(points x members).
    """
    ends = np.hstack([spans.lows, spans.highs])
    found: list[tuple[int, ...]] = [()] * len(ends)
    members: list[int] = []
    for point in np.lexsort(ends.T[::-1]):
        above = np.array(members, int)
        found[point] = tuple(int(i) for i in above[_dominating(spans, above, point)])
        if not found[point]:
            members.append(int(point))
    return found


def hypervolume(points: Sequence[Sequence[float]], *, reference: Sequence[float]) -> float:
    """Volume that the points dominate below a reference point; smaller is better throughout.

    Cut into slices along the last coordinate, each the volume of what lies below it (While
    et al., "A faster algorithm for calculating hypervolume", 2006, the plain HSO). Points
    that are not below the reference in every coordinate add nothing.
    """
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in inside)
    levels = [*sorted({p[-1] for p in inside}), reference[-1]]
    return sum(
        (upper - lower)
        * hypervolume([p[:-1] for p in inside if p[-1] <= lower], reference=reference[:-1])
        for lower, upper in pairwise(levels)
    )

"""What else a user might want: the nearest members of the front, with gain and price."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from fitwright.records.front import Alternative, Front, FrontPoint, Objective
from fitwright.records.need import Need
from fitwright.tune.dominance import better
from fitwright.tune.front import NEGLIGIBLE, SHARE_METRICS, spans_of

MOST = 3
ACCURACY_WEIGHT = 10.0  # a point of accuracy weighs as much as 10 % of a ratio

_WORDS: Mapping[Objective, tuple[str, str]] = {
    "time_ratio": ("less latency", "more latency"),
    "peak_memory": ("less memory", "more memory"),
    "size": ("smaller files", "larger files"),
    "energy": ("less energy", "more energy"),
}


def alternatives(front: Front, need: Need, *, artefact: str) -> tuple[Alternative, ...]:
    """The members nearest to the artefact, at most one per objective that they do better in.

    A gain or a price is named only where the two figures are apart beyond doubt (see
    `front.front`). Nearest is the one with the smallest sum of losses in the other
    objectives, each as the logarithm of a ratio; a point of accuracy weighs as much as 10 %.

    Args:
        artefact: key of the candidate that ships; nothing is said about one that the front
            does not hold.
    """
    own = front.point(artefact)
    if own is None:
        return ()
    found: dict[int, FrontPoint] = {}
    others = [p for p in front.members if p.candidate.key != artefact]
    for objective in front.objectives:
        ahead = [p for p in others if objective in _apart(p, own, front, need)[0]]
        if ahead:
            nearest = min(ahead, key=lambda p: (_loss(p, own, front), p.trial))
            found.setdefault(nearest.trial, nearest)
    return tuple(
        Alternative(
            trial=point.trial, candidate=point.candidate, text=_text(point, own, front, need)
        )
        for point in list(found.values())[:MOST]
    )


def _apart(
    point: FrontPoint, own: FrontPoint, front: Front, need: Need
) -> tuple[tuple[Objective, ...], tuple[Objective, ...]]:
    """Objectives in which the point is better, and worse, beyond doubt; known ones only."""
    known = [n for n in front.objectives if n in point.figures and n in own.figures]
    spans = spans_of((point, own), known, need)
    gained, paid = better(spans, 0, 1), better(spans, 1, 0)
    return (
        tuple(n for n, is_so in zip(known, gained, strict=True) if is_so),
        tuple(n for n, is_so in zip(known, paid, strict=True) if is_so),
    )


def _loss(point: FrontPoint, own: FrontPoint, front: Front) -> float:
    """How much worse than the artefact, summed over the objectives that it loses in."""
    return sum(max(0.0, _worse(point, own, name)) for name in front.objectives)


def _worse(point: FrontPoint, own: FrontPoint, name: Objective) -> float:
    theirs, ours = (p.figures.get(name) for p in (point, own))
    if theirs is None or ours is None or theirs.value is None or ours.value is None:
        return 0.0
    if name == "accuracy_drop":
        return ACCURACY_WEIGHT * (theirs.value - ours.value)
    if name == "relative_l2":
        return ACCURACY_WEIGHT * (max(theirs.value, NEGLIGIBLE) - max(ours.value, NEGLIGIBLE))
    return math.log(theirs.value / ours.value) if theirs.value > 0 < ours.value else 0.0


def _text(point: FrontPoint, own: FrontPoint, front: Front, need: Need) -> str:
    """``0.4 points more accurate, at 12 % more latency``."""
    gained, paid = _apart(point, own, front, need)
    gains, prices = (
        _listed([_told(point, own, name, front=front, need=need) for name in names])
        for names in (gained, paid)
    )
    return f"{gains}, at {prices}" if prices else gains


def _listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _told(point: FrontPoint, own: FrontPoint, name: Objective, *, front: Front, need: Need) -> str:
    theirs, ours = point.figures[name].value or 0.0, own.figures[name].value or 0.0
    if name == "accuracy_drop":
        return _accuracy(ours - theirs, need)
    if name == "relative_l2":
        return _closeness(theirs, ours)
    less, more = _WORDS[name]
    if name == "time_ratio" and front.time_is != "median latency":
        less, more = "less time per query", "more time per query"
    return _changed(theirs, ours, less=less, more=more)


def _accuracy(gain: float, need: Need) -> str:
    word = "more" if gain > 0 else "less"
    if need.metric in SHARE_METRICS:
        return f"{100 * abs(gain):.2g} points {word} accurate"
    return f"{abs(gain):.2g} {'better' if gain > 0 else 'worse'} in {need.metric}"


def _closeness(theirs: float, ours: float) -> str:
    """Distances to the original below the negligible one are told as none."""
    if theirs < ours:
        shown = f"{theirs:.2g}" if theirs >= NEGLIGIBLE else "practically 0"
        return f"nearer to the original ({shown} from it, not {ours:.2g})"
    return f"further from the original ({theirs:.2g} from it, not {ours:.2g})"


def _changed(theirs: float, ours: float, *, less: str, more: str) -> str:
    """``12 % more latency``, ``2.5x smaller``."""
    if ours <= 0 or theirs <= 0:
        return less if theirs < ours else more
    if theirs > ours:
        return _factor(theirs / ours, more, percent=lambda r: 100 * (r - 1))
    return _factor(ours / theirs, less, percent=lambda r: 100 * (1 - 1 / r))


def _factor(ratio: float, words: str, *, percent: Callable[[float], float]) -> str:
    """In percent up to twice as much, in times beyond."""
    if ratio < 2:
        return f"{percent(ratio):.2g} % {words}"
    return f"{ratio:.2g}x {words}"

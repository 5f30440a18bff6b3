"""Keep a candidate or not: never slower, never worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fitwright.records.figure import Figure
from fitwright.records.need import Need
from fitwright.records.trial import Comparison
from fitwright.tune.judge import breaches

_CLOSER = 0.95  # a shared breach counts as smaller only when its gap shrinks by 5 % or more


class Decision(NamedTuple):
    """Whether the candidate replaces the incumbent, and why in one sentence."""

    accepted: bool
    reason: str


def decide(
    need: Need,
    *,
    candidate: Mapping[str, Figure],
    incumbent: Mapping[str, Figure],
    comparison: Comparison,
) -> Decision:
    """First the limits, then the objective; a tie keeps the incumbent.

    Args:
        need: limits and objective.
        candidate, incumbent: figures of both, taken in the same rounds where they are times.
        comparison: paired result of the interleaved race.
    """
    mine, theirs = breaches(need, candidate), breaches(need, incumbent)
    if new := sorted(mine.keys() - theirs.keys()):
        return Decision(False, f"breaks {', '.join(new)}, which the best so far keeps")
    if kept := sorted(theirs.keys() - mine.keys()):
        return Decision(True, f"keeps {', '.join(kept)}, which the best so far breaks")
    times = {n for n in mine if n.startswith("latency") or n == need.objective}
    for name in sorted(mine.keys() - times):
        if mine[name] < theirs[name] * _CLOSER:
            return Decision(
                True, f"closer to {name}: {mine[name]:.2f}x beyond, was {theirs[name]:.2f}x"
            )
        if mine[name] * _CLOSER > theirs[name]:
            return Decision(False, f"further from {name} than the best so far")
    return _by_speed(comparison)


def _by_speed(comparison: Comparison) -> Decision:
    c = comparison
    span = f"{c.ratio:.3g}x (95 % interval {c.low:.3g} to {c.high:.3g}, {c.num_rounds} rounds)"
    if c.outcome == "faster":
        return Decision(True, f"faster: {span}")
    if c.outcome == "slower":
        return Decision(False, f"slower: {span}")
    if c.outcome == "same":
        return Decision(False, f"no gain: {span}")
    return Decision(False, f"gain not proven: {span}")

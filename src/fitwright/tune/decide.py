"""Keep a candidate or not: never slower, never worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fitwright import units
from fitwright.records.figure import Figure
from fitwright.records.need import Need
from fitwright.records.trial import Comparison
from fitwright.tune.judge import breaches

_CLOSER = 0.95  # a shared breach counts as smaller only when its gap shrinks by 5 % or more

AS_FAST = 0.95  # the whole interval of a tie lies above this ratio
NEARER = 0.8  # relative L2 distance to the original, against the incumbent's
NEGLIGIBLE = 1e-3  # distances below are rounding; nothing is gained by less
WELL_AHEAD = 1.05  # times as fast: well ahead, for two processes of one file differ by less


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
    proven: float = 0.0,
    gained: float = 0.0,
    before: float | None = None,
) -> Decision:
    """First the limits, then the objective; a tie keeps the incumbent.

    Two ties do not. A candidate that is as fast within `AS_FAST` and whose outputs are clearly
    closer to the original's is the better artefact. And one that is ahead, though noise left
    the race open, is the better bet where nothing proven is at stake: at the worst end of its
    interval it is still faster than the baseline.

    Minutes differ by more than the rounds of one race show: on a machine that changes its speed
    one thread was 0.67x and 1.35x of two within three. A candidate that is raced again must be
    ahead on the average of both races.

    Args:
        need: limits and objective.
        candidate, incumbent: figures of both, taken in the same rounds where they are times.
        comparison: paired result of the interleaved race.
        proven: how many times as fast as this incumbent the candidate was shown to be before, at
            least; 0 where it was not.
        gained: how many times as fast as the strongest baseline this incumbent was shown to be,
            at least; 0 where it was not.
        before: how many times as fast as this incumbent an earlier race had the candidate.
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
    tied = comparison.outcome in ("same", "undecided") and comparison.low >= AS_FAST
    if tied and (nearer := _nearer(candidate, incumbent)):
        return Decision(True, f"as fast, and {nearer}: {_span(comparison)}")
    if before is not None and comparison.ratio > 1.0 >= before * comparison.ratio:
        seen = f"an earlier race had it at {before:.3g}x"
        return Decision(False, f"too noisy to decide: {_span(comparison)}, and {seen}")
    return _by_speed(comparison, proven=proven, gained=gained)


def _nearer(candidate: Mapping[str, Figure], incumbent: Mapping[str, Figure]) -> str:
    """How much closer to the original's outputs, in words; empty when it is not clearly so."""
    ours, theirs = (f.get("relative_l2") for f in (candidate, incumbent))
    if ours is None or theirs is None or ours.value is None or theirs.value is None:
        return ""
    if ours.value >= NEARER * theirs.value or theirs.value < NEGLIGIBLE:
        return ""
    return f"nearer to the original ({ours.value:.3g} from it, was {theirs.value:.3g})"


def _span(c: Comparison) -> str:
    seen = f"{c.num_rounds} rounds"
    if c.num_heats > 1:
        seen += f" in {c.num_heats} pairs of processes"
    return f"{c.ratio:.3g}x (95 % interval {c.low:.3g} to {c.high:.3g}, {seen})"


def _more(c: Comparison) -> str:
    """How much more time would decide, where that is known."""
    return "" if c.more_s is None else f": about {units.seconds(c.more_s)} more would decide"


def _by_speed(comparison: Comparison, *, proven: float, gained: float) -> Decision:
    """A race that noise leaves open refutes nothing: what was well ahead beyond doubt, and is
    well ahead again, stays."""
    c, span = comparison, _span(comparison)
    if c.outcome == "faster":
        return Decision(True, f"faster: {span}")
    if c.outcome == "slower":
        return Decision(False, f"slower: {span}")
    if c.outcome == "same":
        return Decision(False, f"no gain: {span}")
    if min(c.ratio, proven) >= WELL_AHEAD:
        known = f"{proven:.3g}x at least was proven before"
        return Decision(True, f"too noisy to tell by how much it is faster: {span}; {known}")
    if c.ratio >= WELL_AHEAD and gained * c.low > 1.0:
        kept = f"{gained * c.low:.3g}x of the baseline at least either way"
        return Decision(True, f"ahead, though it is too noisy to decide: {span}; {kept}")
    return Decision(False, f"too noisy to decide{_more(c)}: {span}")

"""How fast a mix of int8 and floating point may be, before there is one."""

from __future__ import annotations

from fitwright.records.agenda import Chain
from fitwright.records.recipe import Int8Static, Variant
from fitwright.tune.proposal import Knowledge

LIKELY = 0.9  # of the best's speed: a forecast that comes this near may as well be beaten


def whole_int8(chain: Chain) -> Int8Static | None:
    """The last recipe of a chain that leaves everything in static int8."""
    last = chain[-1] if chain else None
    return last if isinstance(last, Int8Static) and not last.keep else None


def mix_forecast(known: Knowledge, variant: Variant, backend: str, *, timed: float) -> float:
    """What a mix of an int8 variant comes to that disagrees, and was timed at this speed."""
    start = known.adapted.made_by(variant.recipes[:-1]) or known.adapted.variants[0]
    pairs, far = known.standing.pairs, known.standing.disagreed
    return within_reach(
        timed,
        in_float=pairs.get((start.id, backend), timed),
        excess=far[variant.id, backend],
    )


def within_reach(speed: float, *, in_float: float, excess: float) -> float:
    """Speed of a mix that is near enough, of an int8 variant that is not.

    Squared errors add, so of parts that are all alike a share ``1 / excess**2`` may stay in
    int8, and the others take as long as in floating point. Parts are not alike, and those that
    cost most error for their time go back first: a careful forecast.

    Args:
        speed, in_float: of the int8 variant and of what it was made from.
        excess: of its distance or loss of accuracy, over what is allowed.
    """
    share = 1.0 / max(1.0, excess) ** 2
    return 1.0 / (share / speed + (1.0 - share) / in_float)

"""Before anything is measured: how likely each limit is met, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fitwright import units
from fitwright.perf.ladder import FLOOR_SPREAD
from fitwright.perf.money import cheapest
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.need import Limit
from fitwright.records.prospect import EXPECTED, Expected, Measurement, Outlook
from fitwright.records.sheet import Sheet
from fitwright.select.demand import TIME_DRIVEN
from fitwright.select.find import LOCAL

Z_80 = 1.2815515655446004
"""Standard deviations to either end of a band that holds four of five."""
RENTED_S = 3600.0
"""How long a device is rented to measure a model on it."""


def outlook(limit: Limit, predicted: Estimate | NoData) -> Outlook:
    """One limit against one prediction."""
    facts = {
        "limit": limit.name,
        "sense": limit.sense,
        "bound": limit.bound,
        "unit": limit.unit,
        "predicted": predicted,
    }
    if isinstance(predicted, NoData):
        return Outlook(**facts, expected="unknown: measure first")
    at_most = limit.sense == "at_most"
    below = share_below(predicted, limit.bound)
    worst, best = (predicted.high, predicted.low) if at_most else (-predicted.low, -predicted.high)
    bound = limit.bound if at_most else -limit.bound
    return Outlook(
        **facts,
        probability=below if at_most else 1 - below,
        gap=_ratio(predicted.value, limit.bound, at_most=at_most),
        expected=_expected(bound, best=best, worst=worst),
    )


def _expected(bound: float, *, best: float, worst: float) -> Expected:
    if worst <= bound:
        return "likely meets"
    return "cannot meet" if best > bound else "unknown: measure first"


def _ratio(value: float, bound: float, *, at_most: bool) -> float:
    if at_most:
        return value / bound
    return bound / value if value else math.inf


def share_below(estimate: Estimate, bound: float) -> float:
    """Probability that the true value is at most `bound`; log-normal on either side.

    The two sides of the band may differ: each has its own deviation, and half of the
    probability lies on either side of the value.
    """
    if bound <= 0:
        return 0.0
    end = estimate.high if bound > estimate.value else estimate.low
    if estimate.value <= 0 or end <= 0 or end == estimate.value:
        return 1.0 if bound >= estimate.value else 0.0
    deviation = abs(math.log(end / estimate.value)) / Z_80
    distance = math.log(bound / estimate.value) / deviation
    return 0.5 * (1 + math.erf(distance / math.sqrt(2)))


def together(outlooks: Sequence[Outlook]) -> tuple[Expected, float | None]:
    """What to expect of all limits, and the probability that all are met.

    Limits that hang on the predicted time hold or fail together, so the least likely of them
    counts; memory and size err apart from it.
    """
    found: list[Expected] = [o.expected for o in outlooks]
    expected = max(found, key=EXPECTED.index, default=EXPECTED[0])
    known = [(o.limit, o.probability) for o in outlooks if o.probability is not None]
    if len(known) < len(outlooks):
        return expected, None
    timely = min((p for name, p in known if name in TIME_DRIVEN), default=1.0)
    others = math.prod(p for name, p in known if name not in TIME_DRIVEN)
    return expected, timely * others


def cheapest_measurement(sheet: Sheet, outlooks: Sequence[Outlook]) -> Measurement:
    """What would decide the limits that are open, at the least cost that is known."""
    closeness = _still_close(outlooks)
    if sheet.id == LOCAL:
        return Measurement(
            text=f"`fitwright calibrate` here (2 minutes), or `fitwright fit`{closeness}", usd=0.0
        )
    rent = cheapest(sheet.rents)
    if rent is not None:
        usd = rent.usd_per_s * RENTED_S
        return Measurement(
            text=f"rent {sheet.id} for an hour at {usd:.2f} USD ({rent.provider}, {rent.date}) "
            f"and run `fitwright calibrate` there{closeness}",
            usd=usd,
        )
    if sheet.price_usd is not None:
        usd = sheet.price_usd.value
        return Measurement(
            text=f"buy one {sheet.id} at {usd:,.0f} USD and run the model there{closeness}",
            usd=usd,
        )
    return Measurement(
        text=f"no offer of {sheet.id} is known: ask its vendor ({sheet.vendor}) for a trial, or "
        f"add 'rents:' to a device file of your own{closeness}"
    )


def _still_close(outlooks: Sequence[Outlook]) -> str:
    """Where even a measured band may hold the bound."""
    near = [
        o.limit
        for o in outlooks
        if o.gap is not None and 1 / FLOOR_SPREAD["device"] < o.gap < FLOOR_SPREAD["device"]
    ]
    return f"; {', '.join(near)} may stay open even then" if near else ""


def told(look: Outlook) -> str:
    """``latency_p99 9.1 ms (7.2 ms to 11 ms) of 10 ms: met with 73 %``."""
    sign = "at most" if look.sense == "at_most" else "at least"
    bound = units.show(look.bound, look.unit)
    if isinstance(look.predicted, NoData):
        return f"{look.limit} {sign} {bound}: no prediction, {look.predicted.reason}"
    p = look.predicted
    value, low, high = (units.show(v, look.unit) for v in (p.value, p.low, p.high))
    chance = look.probability or 0.0
    return f"{look.limit} {value} ({low} to {high}), {sign} {bound}: {percent(chance)} to be met"


def times(ratio: float) -> str:
    """``2.5x``, and ``26,900x`` rather than a power of ten."""
    return f"{ratio:,.0f}x" if ratio >= 1000 else f"{ratio:.3g}x"


def percent(share: float) -> str:
    """Whole per cent, never 0 or 100 where it is neither."""
    if share >= 0.995:
        return "over 99 %"
    return "under 1 %" if share < 0.005 else f"{share:.0%}".replace("%", " %")

"""When no device is likely to keep the contract: what would have to give, smallest change first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fitwright import units
from fitwright.records.estimate import Estimate
from fitwright.records.prospect import Concession, Outlook, Prospect

MOST = 8
"""Concessions shown at most."""


def concessions(prospects: Sequence[Prospect]) -> tuple[Concession, ...]:
    """By limits to relax the device that needs the smallest change; fewest limits first."""
    nearest: dict[frozenset[str], Concession] = {}
    for asked in (c for p in prospects for c in _of(p)):
        limits = frozenset(asked.bounds)
        if limits not in nearest or asked.ratio < nearest[limits].ratio:
            nearest[limits] = asked
    ranked = sorted(nearest.values(), key=lambda c: (len(c.bounds), c.ratio))
    return tuple(ranked[:MOST])


def blocking(prospects: Sequence[Prospect]) -> Outlook | None:
    """The limit that keeps the nearest device from meeting the contract."""
    nearest = min(prospects, key=distance, default=None)
    if nearest is None:
        return None
    known = [o for o in nearest.outlooks if o.gap is not None]
    return max(known, key=lambda o: o.gap or 0.0, default=None)


def distance(prospect: Prospect) -> float:
    """The largest gap over all limits, predicted over bound; infinite without a prediction."""
    gaps = [float("inf") if o.gap is None else o.gap for o in prospect.outlooks]
    return max(gaps, default=1.0)


def _of(prospect: Prospect) -> Iterator[Concession]:
    """The bounds that this device would keep with its whole band; none where one is unknown."""
    short = [o for o in prospect.outlooks if o.expected != "likely meets"]
    if not short or any(not isinstance(o.predicted, Estimate) for o in short):
        return
    bounds = {o.limit: _kept(o) for o in short}
    ratios = [
        bounds[o.limit] / o.bound if o.sense == "at_most" else o.bound / bounds[o.limit]
        for o in short
        if bounds[o.limit] > 0
    ]
    if len(ratios) == len(short):
        yield Concession(
            device_id=prospect.device_id,
            bounds=bounds,
            ratio=max(ratios),
            text=_text(prospect, short, bounds),
        )


def _kept(look: Outlook) -> float:
    assert isinstance(look.predicted, Estimate), "checked by the caller"
    return look.predicted.high if look.sense == "at_most" else look.predicted.low


def _text(prospect: Prospect, short: Sequence[Outlook], bounds: dict[str, float]) -> str:
    """``latency_p99: 10 ms -> 14 ms is met by l4 at 0.12 USD/1M``."""
    changes = " and ".join(
        f"{o.limit}: {units.show(o.bound, o.unit)} -> {units.show(bounds[o.limit], o.unit)}"
        for o in short
    )
    num = f"{prospect.num_devices} x " if prospect.num_devices > 1 else ""
    cost = prospect.figures.get("cost")
    price = f" at {units.usd_per_million(cost.value)}" if isinstance(cost, Estimate) else ""
    way = prospect.way
    return (
        f"{changes} is met by {num}{prospect.device_id}{price} ({way.dtype}, {way.runtime}; "
        f"evidence: {_rung(prospect)}{_open(prospect)})"
    )


def _open(prospect: Prospect) -> str:
    return "".join(f"; {quality} unmeasured" for quality in prospect.unmeasured)


def _rung(prospect: Prospect) -> str:
    latency = prospect.way.latency_s
    return latency.rung if isinstance(latency, Estimate) else "none"

"""What a contract asks of a device, as far as it can be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fitwright.records.contract import Contract, Traffic
from fitwright.records.need import Limit
from fitwright.records.place import DeviceFilter, Site
from fitwright.records.prospect import Quality, Way

TIMES = {"latency_p50": 50, "latency_p90": 90, "latency_p95": 95, "latency_p99": 99}
TIME_DRIVEN = frozenset({*TIMES, "throughput", "energy", "cost"})
"""Limits whose predictions all err with the predicted time, and so hold or fail together."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The limits that a prediction can answer, the traffic and the place.

    Attributes:
        price_usd_per_s: what the contract says this machine costs.
        is_batchable: several queries may be stacked into one run.
        pay: the only way that counts for `cost`; None: whichever is less.
        quality: the limit on the answers themselves, which is measured and never predicted.
        has_floor: a metric must reach a stated value, which not even the original is known to.
    """

    limits: tuple[Limit, ...]
    traffic: Traffic
    site: Site
    price_usd_per_s: float | None = None
    is_batchable: bool = False
    pay: Literal["rent", "buy"] | None = None
    quality: Quality = "agreement"
    has_floor: bool = False

    @property
    def latency_limits(self) -> dict[int, float]:
        """By percentile, seconds."""
        return {TIMES[x.figure]: x.bound for x in self.limits if x.figure in TIMES}

    def unmeasured(self, way: Way) -> tuple[Quality, ...]:
        """Limits that nothing predicts for this way: what rounds may lose any of them.

        Float32 and 16-bit floats are taken to answer as the original does, which leaves open
        only whether the original reaches a stated floor.
        """
        return (self.quality,) if way.rounds or self.has_floor else ()

    @property
    def rate_per_s(self) -> float | None:
        """Inferences per second that must be served: arrivals, or a stated throughput."""
        if self.traffic.rate_per_s is not None:
            return self.traffic.rate_per_s * self.traffic.batch
        return next((x.bound for x in self.limits if x.figure == "throughput"), None)


def demand_of(contract: Contract, limits: Sequence[Limit], *, is_batchable: bool) -> Demand:
    """The contract as far as figures of speed, memory, energy and money go."""
    accuracy = contract.limits.accuracy
    return Demand(
        limits=tuple(limits),
        traffic=contract.traffic,
        site=contract.site,
        price_usd_per_s=contract.price_usd_per_s,
        is_batchable=is_batchable,
        pay=_pay(contract),
        quality="accuracy" if accuracy else "agreement",
        has_floor=accuracy is not None and accuracy.floor is not None,
    )


def _pay(contract: Contract) -> Literal["rent", "buy"] | None:
    """Where every device is asked for by a filter on what is available, that is how it is paid."""
    ways = {d.available if isinstance(d, DeviceFilter) else None for d in contract.devices}
    return ways.pop() if len(ways) == 1 else None

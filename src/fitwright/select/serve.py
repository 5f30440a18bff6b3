"""How many devices the traffic takes, how busy they are, and what a query then waits.

Sized for the slow end of the band where that is possible, so that four of five devices (and
their drivers, and clocks) keep what is promised; else for the predicted value.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from fitwright.perf.waiting import BUSIEST, busiest, wait_services
from fitwright.records.estimate import Estimate
from fitwright.records.prospect import Way
from fitwright.select.demand import TIMES, Demand

QUIET_TAIL = {50: 1.0, 90: 1.05, 95: 1.08, 99: 1.15}
"""A percentile of one run's time over its median, on a device that does nothing else. An
assumption that every prediction states; `fitwright fit` measures it."""
HALF_BUSY = 0.5
"""Where no load keeps the latency limit: the load at which the nearest point is stated."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """Devices of one kind under the traffic of a contract.

    Attributes:
        utilisation: share of the time in which each device is busy.
        capacity_per_s: inferences per second of one device that never waits.
        planned_per_s: what one device takes of the traffic at most, limits kept.
        latencies: by percentile, seconds.
        is_sized_for_slow_end: False: only the predicted value keeps limits or rate.
    """

    num_devices: int
    utilisation: float
    capacity_per_s: Estimate
    planned_per_s: float
    latencies: dict[int, Estimate]
    is_sized_for_slow_end: bool = True


def serve(
    way: Way,
    demand: Demand,
    *,
    utilisation: float,
    percents: Collection[int] = tuple(TIMES.values()),
) -> Service:
    """The smallest number of devices for the traffic.

    Args:
        way: how one device runs the model; its latency must be known.
        demand: traffic and limits.
        utilisation: share of the time that a device works where no rate is stated.
        percents: of the latencies that are wanted.
    """
    assert isinstance(way.latency_s, Estimate), "a way without a time serves nothing"
    if demand.traffic.scenario == "server":
        return _arriving(way, way.latency_s, demand, percents)
    return _steady(way, way.latency_s, demand, percents, utilisation=utilisation)


def capacity(way: Way, time: Estimate, demand: Demand) -> Estimate:
    """Inferences per second of one device with every copy at work."""
    work = way.batch * way.streams * demand.traffic.batch
    return Estimate(
        value=work / time.value,
        low=work / time.high,
        high=work / time.low,
        unit="/s",
        rung=time.rung,
    )


def _steady(
    way: Way, time: Estimate, demand: Demand, percents: Collection[int], *, utilisation: float
) -> Service:
    """No arrivals: every device works without a pause at its own stream of queries."""
    rate = capacity(way, time, demand)
    num, slow = _side_by_side(time, rate, demand)
    burst = math.ceil(demand.traffic.streams / (num * way.streams))
    return Service(
        num_devices=num,
        utilisation=utilisation,
        capacity_per_s=rate,
        planned_per_s=rate.low if slow else rate.value,
        latencies={p: _stretched(time, burst * QUIET_TAIL[p]) for p in percents},
        is_sized_for_slow_end=slow,
    )


def _side_by_side(time: Estimate, rate: Estimate, demand: Demand) -> tuple[int, bool]:
    """Devices for a stated throughput, and for a burst within its latency limit."""
    asked = demand.rate_per_s or 0.0
    num = max(1, _ceil(asked / rate.low))
    allowed = [b / QUIET_TAIL[p] for p, b in demand.latency_limits.items()]
    if demand.traffic.streams == 1 or not allowed:
        return num, True
    for seconds, slow in ((time.high, True), (time.value, False)):
        in_a_row = math.floor(min(allowed) / seconds)
        if in_a_row >= 1:
            return max(num, _ceil(demand.traffic.streams / in_a_row)), slow
    return num, False


def _arriving(way: Way, time: Estimate, demand: Demand, percents: Collection[int]) -> Service:
    """Poisson arrivals, split at random over the devices: each is an M/D/1 queue."""
    arriving = demand.traffic.rate_per_s or 0.0
    rate = capacity(way, time, demand)
    share, seconds, slow = _largest_share(way, time, demand)
    service_s = seconds / (way.batch * way.streams)
    num = max(1, _ceil(arriving * service_s / share))
    num = max(num, _ceil(arriving * time.high / (way.batch * way.streams) / BUSIEST))
    return Service(
        num_devices=num,
        utilisation=min(1.0, arriving * time.value / (way.batch * way.streams) / num),
        capacity_per_s=rate,
        planned_per_s=share / service_s * demand.traffic.batch,
        latencies={p: _waited(way, time, arriving / num, p) for p in percents},
        is_sized_for_slow_end=slow,
    )


def _largest_share(way: Way, time: Estimate, demand: Demand) -> tuple[float, float, bool]:
    """How busy a device may be, for which end of its time, and whether that is the slow one."""
    for seconds, slow in ((time.high, True), (time.value, False)):
        shares = [
            busiest((bound - seconds * QUIET_TAIL[p]) / seconds * way.streams, percent=p)
            if bound > seconds * QUIET_TAIL[p]
            else 0.0
            for p, bound in demand.latency_limits.items()
        ]
        share = min(shares, default=BUSIEST)
        if share > 0.01:
            return share, seconds, slow
    return HALF_BUSY, time.high, False


def _waited(way: Way, time: Estimate, arriving_per_s: float, percent: int) -> Estimate:
    """Its own time and the wait before it."""

    def seconds(service: float) -> float:
        rho = min(arriving_per_s * service / way.streams, 0.999)
        wait = wait_services(rho, percent=percent) * service / way.streams
        return service * QUIET_TAIL[percent] + wait

    return time.model_copy(
        update={
            "value": seconds(time.value),
            "low": seconds(time.low),
            "high": seconds(time.high),
        }
    )


def _stretched(time: Estimate, factor: float) -> Estimate:
    return time.model_copy(
        update={
            "value": time.value * factor,
            "low": time.low * factor,
            "high": time.high * factor,
        }
    )


def _ceil(value: float) -> int:
    """Rounding of a quotient never buys a device."""
    return math.ceil(value * (1 - 1e-9))

"""What is expected of a device before anyone measured, bought or rented it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fitwright.records.estimate import Estimate, NoData
from fitwright.records.need import Sense
from fitwright.records.record import Record
from fitwright.records.sheet import Kind

Expected = Literal["likely meets", "unknown: measure first", "cannot meet"]
"""As a verdict, before it: the whole 80 % band keeps the bound, some of it, or none of it."""
EXPECTED: tuple[Expected, ...] = ("likely meets", "unknown: measure first", "cannot meet")
Binds = Literal["compute", "bandwidth", "overhead"]
Quality = Literal["accuracy", "agreement"]
"""Limits on the answers themselves: a metric on labels, or closeness to the original."""


class Outlook(Record):
    """One limit of the contract on one device.

    Attributes:
        probability: that the limit is met, from the band, taken as log-normal; None without
            a prediction.
        gap: predicted value over bound (or bound over value, at least): above 1 misses it.
    """

    limit: str
    sense: Sense
    bound: float
    unit: str
    predicted: Estimate | NoData
    probability: float | None = None
    gap: float | None = None
    expected: Expected


class Measurement(Record):
    """The cheapest measurement that would turn `unknown` into a yes or a no.

    Attributes:
        usd: what it costs beyond time; None: nobody stated a price.
    """

    text: str
    usd: float | None = None


class Bottleneck(Record):
    """An operator that takes a large part of the predicted time."""

    name: str
    kind: str
    share: float
    binds: Binds


class Way(Record):
    """One dtype on one runtime, with the time that one query takes there.

    Attributes:
        dtype: of the arithmetic.
        batch: queries that one run takes together.
        streams: runs at the same time on one device.
        latency_s: of one run.
        memory_bytes: of weights, activations and workspace on one device.
        energy_j: of one inference, without waiting.
        rounds: integers or 8-bit floats, so that accuracy has to be measured first.
        bottlenecks: operators with the largest predicted times.
        binds: share of the time per resource.
        roofline_s: what the published peaks allow at best.
    """

    dtype: str
    runtime: str
    rounds: bool
    batch: int = 1
    streams: int = 1
    latency_s: Estimate | NoData
    memory_bytes: Estimate | NoData
    energy_j: Estimate | NoData
    roofline_s: float | None = None
    binds: dict[Binds, float] = Field(default_factory=dict)
    bottlenecks: tuple[Bottleneck, ...] = ()
    num_unruled: int = 0


class Prospect(Record):
    """A device as predicted for a contract.

    Attributes:
        way: the dtype and runtime that serve the contract best.
        others: the ways not taken.
        num_devices: the smallest number that keeps the traffic.
        utilisation: share of the time in which each device is busy.
        figures: by figure name (`latency_p50` to `latency_p99`, `throughput`, `peak_memory`,
            `size`, `energy`, `cost` and what it is the lesser of, `cost_rented` and
            `cost_owned`, `carbon`); those of money are per inference over all devices,
            ``throughput`` is that of all devices together.
        expected: the weakest of the outlooks.
        probability: that every limit with a prediction is met; None where one that could be
            predicted is not.
        unmeasured: limits that no prediction answers on this way, so that `expected` and
            `probability` leave them out: ``accuracy``, or ``agreement`` with the original where
            the contract states no accuracy.
        measurement: what would decide, when unknown.
        usd_per_s: of one device at this load, rented or owned, whichever is less.
        planned_per_s: inferences per second that one device takes at most, limits kept.
        reasons: one sentence each, with figures.
    """

    device_id: str
    name: str
    kind: Kind
    way: Way
    others: tuple[Way, ...] = ()
    num_devices: int = 1
    utilisation: float = 1.0
    figures: dict[str, Estimate | NoData]
    outlooks: tuple[Outlook, ...]
    expected: Expected
    probability: float | None = None
    unmeasured: tuple[Quality, ...] = ()
    measurement: Measurement | None = None
    usd_per_s: float | None = None
    planned_per_s: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``likely meets; accuracy unmeasured``: what is expected, and what that leaves out."""
        if not self.unmeasured or self.expected == "cannot meet":
            return self.expected
        return f"{self.expected}; {' and '.join(self.unmeasured)} unmeasured"


class Part(Record):
    """So many devices of one kind, and the share of the traffic that they take."""

    device_id: str
    num_devices: int
    share: float


class Mix(Record):
    """Devices of different kinds that share the traffic.

    Attributes:
        rate_per_s: what they serve together, at the slow end of the bands.
        usd_per_s: of all of them.
        saves: share of the cost of the cheapest single kind.
    """

    parts: tuple[Part, ...]
    rate_per_s: float
    usd_per_s: float
    saves: float
    text: str


class Concession(Record):
    """A change of limits that some device would keep.

    Attributes:
        bounds: by limit name, the bound that the whole band of the device keeps.
        ratio: the largest change among them, above 1.
    """

    device_id: str
    bounds: dict[str, float]
    ratio: float
    text: str


Holds = Literal["supported", "refuted", "undecided"]


class Claim(Record):
    """A rule of thumb, checked against this model's figures."""

    text: str
    holds: Holds
    reasons: tuple[str, ...]

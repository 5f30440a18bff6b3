"""What one inference costs, owned or rented, and what it emits.

Owned::

    usd = price / (life * utilisation * rate) + energy_price * overhead * joules
    joules = energy of the inference + idle_w * (1 - utilisation) / (utilisation * rate)

Rented: ``usd = usd_per_s / (utilisation * rate)``: an hour is paid whether or not it is used.
Carbon: ``kg = grid * overhead * joules``; what making the device emitted is not counted.

`rate` is what one device answers while it is busy. The price of an owned device is that of the
device alone: the host around it, space and people come on top. A rented one includes its host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.perf.ladder import weakest
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.place import Site
from fitwright.records.sheet import Confidence, Fact, Rent

PRICE_SPREAD: Mapping[Confidence, float] = {"A": 1.1, "B": 1.25, "C": 1.5}
"""Street prices of one device lie that far around a published one; an assumption, wide where
the price was not read from a source."""
OFFER_SPREAD = 1.25
"""Offers of one device on one day differ by more than 2x; the cheapest one that was read may
move by a quarter before it is taken. An assumption, stated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """How one device is used.

    Attributes:
        rate_per_s: inferences per second while busy.
        utilisation: share of the time in which it is busy, above 0 and at most 1.
        energy_j: of one inference on the device.
        idle_w: while it waits; None: unknown, and not counted.
    """

    rate_per_s: Estimate
    utilisation: float
    energy_j: Estimate | NoData
    idle_w: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"utilisation lies in (0, 1], got {self.utilisation}")

    @property
    def waiting_j(self) -> float:
        """Energy of the gaps between queries, per inference."""
        gaps = (1 - self.utilisation) / (self.utilisation * self.rate_per_s.value)
        return (self.idle_w or 0.0) * gaps

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the energy leaves out."""
        unknown = self.idle_w is None and self.utilisation < 1
        return ("idle power between queries is unknown and not counted",) if unknown else ()


def owned_usd(use: Use, *, price: Fact | None, site: Site) -> Estimate | NoData:
    """US dollars per inference on a device that was bought."""
    if price is None:
        return NoData(reason="no price to buy it is known")
    if isinstance(use.energy_j, NoData):
        return NoData(reason=f"its electricity is unknown: {use.energy_j.reason}")
    rate = use.rate_per_s
    device = price.value / (site.life_s * use.utilisation * rate.value)
    spread = PRICE_SPREAD[price.confidence]
    tariff = site.energy_price_usd_per_j * site.power_overhead
    parts = (
        (device, *_around(device, _spread(rate, below=False), _spread(rate, below=True), spread)),
        _times(use, tariff),
    )
    value, low, high = (sum(ends) for ends in zip(*parts, strict=True))
    return Estimate(
        value=value,
        low=low,
        high=high,
        unit="usd",
        rung=weakest((rate.rung, use.energy_j.rung)),
        reasons=(
            f"bought at {price.value:,.0f} USD ({price.source}, confidence {price.confidence}) "
            f"for {units.years(site.life_s)}, busy {units.share(use.utilisation)} of the time; "
            f"device {units.usd_per_million(device)}, electricity at {tariff * 3.6e6:.3g} USD/kWh "
            f"(overhead included) {units.usd_per_million(parts[1][0])}; host not counted",
            *use.reasons,
        ),
    )


def rented_usd(use: Use, *, rents: Sequence[Rent]) -> Estimate | NoData:
    """US dollars per inference on the cheapest offer that is known."""
    rent = cheapest(rents)
    if rent is None:
        return NoData(reason="no offer to rent it is known")
    rate = use.rate_per_s
    value = rent.usd_per_s / (use.utilisation * rate.value)
    low, high = _around(value, _spread(rate, below=False), _spread(rate, below=True), OFFER_SPREAD)
    return Estimate(
        value=value,
        low=low,
        high=high,
        unit="usd",
        rung=rate.rung,
        reasons=(
            f"rented at {offer(rent, among=rents)}, "
            f"busy {units.share(use.utilisation)} of the time",
        ),
    )


def carbon_kg(use: Use, *, site: Site) -> Estimate | NoData:
    """Kilograms of CO2 equivalent per inference from the electricity it takes."""
    if site.grid_kg_per_j is None:
        return NoData(reason="the contract states no grid: add 'site: {grid: 400 g/kWh}'")
    if isinstance(use.energy_j, NoData):
        return NoData(reason=f"its energy is unknown: {use.energy_j.reason}")
    value, low, high = _times(use, site.grid_kg_per_j * site.power_overhead)
    return Estimate(
        value=value,
        low=low,
        high=high,
        unit="kg",
        rung=use.energy_j.rung,
        reasons=(
            f"{site.grid_kg_per_j * 3.6e9:.0f} g/kWh as stated, times {site.power_overhead:g} "
            "for conversion and cooling; making the device is not counted",
            *use.reasons,
        ),
    )


def cheapest(rents: Sequence[Rent]) -> Rent | None:
    """The offer with the lowest price."""
    return min(rents, key=lambda r: (r.usd_per_s, r.provider), default=None)


def offer(rent: Rent, *, among: Sequence[Rent] = ()) -> str:
    """``0.44 USD/h (RunPod, undated), the cheapest of 3 offers up to 1.2 USD/h``."""
    text = f"{rent.usd_per_s * 3600:.3g} USD/h ({rent.provider}, {rent.date})"
    if len(among) < 2:
        return text
    dearest = max(r.usd_per_s for r in among) * 3600
    return f"{text}, the cheapest of {len(among)} offers up to {dearest:.3g} USD/h"


def _times(use: Use, per_joule: float) -> tuple[float, float, float]:
    """Value, low and high of all joules of an inference at a tariff."""
    assert isinstance(use.energy_j, Estimate), "asked to price an unknown energy"
    energy, waiting = use.energy_j, use.waiting_j
    ends = (energy.value + waiting, energy.low + waiting, energy.high + waiting)
    value, low, high = (joules * per_joule for joules in ends)
    return value, low, high


def _spread(estimate: Estimate, *, below: bool) -> float:
    """How far the band reaches on one side, as a factor of 1 or more."""
    if below:
        return estimate.value / estimate.low if estimate.low else math.inf
    return estimate.high / estimate.value if estimate.value else math.inf


def _around(value: float, below: float, above: float, other: float) -> tuple[float, float]:
    """The ends of a product of two quantities that err independently, each log-normal."""
    down, up = (math.exp(math.hypot(math.log(f), math.log(other))) for f in (below, above))
    return value / down, value * up

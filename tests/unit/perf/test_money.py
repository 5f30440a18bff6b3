"""Cost and carbon of an inference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.ladder import estimate
from fitwright.perf.money import Use, carbon_kg, cheapest, owned_usd, rented_usd
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.place import Site
from fitwright.records.sheet import Fact, Rent

YEAR_S = 31_557_600.0
PRICE = Fact(value=1000.0, source="a list", confidence="B")
SITE = Site(
    energy_price_usd_per_j=0.36 / 3.6e6,
    grid_kg_per_j=0.4 / 3.6e6,
    life_s=YEAR_S,
    utilisation=0.5,
    power_overhead=1.0,
)


def rate(per_s: float = 100.0, spread: float = 1.2) -> Estimate:
    return estimate(per_s, unit="/s", rung="architecture", spread=spread)


def joules(value: float = 1.0) -> Estimate:
    return estimate(value, unit="J", rung="family", spread=1.3)


def use(**changes: Any) -> Use:
    facts: dict[str, Any] = {"rate_per_s": rate(), "utilisation": 1.0, "energy_j": joules()}
    return Use(**(facts | changes))


def rent(usd_per_h: float, provider: str = "A") -> Rent:
    return Rent(usd_per_s=usd_per_h / 3600, provider=provider, date="2026-11-09", source="a list")


def known(answer: Estimate | NoData) -> Estimate:
    assert isinstance(answer, Estimate)
    return answer


def test_an_owned_inference_pays_for_the_device_and_its_electricity() -> None:
    found = known(owned_usd(use(), price=PRICE, site=SITE))
    # exact arithmetic: 1000 USD over a year of 100/s, and 1 J at 0.36 USD/kWh
    assert found.value == pytest.approx(1000 / (YEAR_S * 100) + 1e-7)
    assert found.rung == "family"
    assert "bought at 1,000 USD" in found.reasons[0]


def test_a_device_that_waits_half_of_its_life_costs_twice_and_idles() -> None:
    busy = known(owned_usd(use(idle_w=10.0), price=PRICE, site=SITE))
    half = known(owned_usd(use(idle_w=10.0, utilisation=0.5), price=PRICE, site=SITE))
    # 10 W between queries of 100/s for as long as it works: 0.1 J each
    assert half.value - busy.value == pytest.approx(1000 / (YEAR_S * 100) + 0.1e-7)
    blind = known(owned_usd(use(utilisation=0.5), price=PRICE, site=SITE))
    assert "idle power between queries is unknown and not counted" in blind.reasons


def test_a_rented_inference_pays_the_cheapest_offer_for_every_second() -> None:
    found = known(rented_usd(use(utilisation=0.5), rents=[rent(3.6), rent(0.36, "B")]))
    assert found.value == pytest.approx(0.0001 / 50)
    assert "0.36 USD/h (B, 2026-11-09), the cheapest of 2 offers up to 3.6" in found.reasons[0]
    assert cheapest([]) is None


def test_carbon_is_the_stated_grid_times_the_energy() -> None:
    found = known(carbon_kg(use(), site=SITE))
    assert (found.value, found.unit) == (pytest.approx(0.4 / 3.6e6), "kg")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (owned_usd(use(), price=None, site=SITE), "no price"),
        (owned_usd(use(energy_j=NoData(reason="no TDP")), price=PRICE, site=SITE), "no TDP"),
        (rented_usd(use(), rents=[]), "no offer"),
        (carbon_kg(use(), site=Site()), "states no grid"),
        (carbon_kg(use(energy_j=NoData(reason="no TDP")), site=SITE), "no TDP"),
    ],
)
def test_what_is_unknown_is_no_data_with_its_reason(answer: Estimate | NoData, why: str) -> None:
    assert isinstance(answer, NoData)
    assert why in answer.reason


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1])
def test_a_share_of_time_lies_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="utilisation"):
        use(utilisation=share)


@given(
    per_s=st.floats(1e-3, 1e6),
    spread=st.floats(1, 10),
    share=st.floats(0.01, 1),
    price=st.floats(1, 1e6),
)
def test_a_dearer_device_never_costs_less_and_bands_hold_their_value(
    per_s: float, spread: float, share: float, price: float
) -> None:
    asked = use(rate_per_s=rate(per_s, spread), utilisation=share)
    cheap, dear = (
        known(owned_usd(asked, price=Fact(value=p, source="", confidence="A"), site=SITE))
        for p in (price, 2 * price)
    )
    assert cheap.value < dear.value
    assert 0 < cheap.low < cheap.value < cheap.high

"""One device for a contract: every way it could run the model, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from fitwright.perf.money import Use, carbon_kg, owned_usd, rented_usd
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import EXPECTED, Expected, Outlook, Prospect, Way
from fitwright.records.sheet import Rent, Sheet
from fitwright.select.asked import Asked
from fitwright.select.demand import TIMES, Demand
from fitwright.select.find import LOCAL
from fitwright.select.outlook import outlook, together
from fitwright.select.physics import capacity_bytes
from fitwright.select.predict import Forecast
from fitwright.select.serve import Service, serve

FIGURES = frozenset({*TIMES, "throughput", "peak_memory", "size", "energy"})
"""What is shown of a device beside money."""
STACKED = (8, 64)
"""Queries put into one run of an offline contract, beside one."""
COPIES = (2, 4)
"""Runs at the same time on a device whose time goes into starting kernels, beside one."""
PROCESS_BYTES = 100 << 20
"""Python, numpy and a backend with its thread pools: resident before any weight is loaded."""
IDLE_ENOUGH = 0.5
"""Share of the time that starting kernels takes from which copies are worth a look."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """One way on one device under the contract's traffic."""

    way: Way
    service: Service | None
    figures: dict[str, Estimate | NoData]
    outlooks: tuple[Outlook, ...]
    usd_per_s: float | None


def best_way(
    sheet: Sheet,
    ways: Sequence[Asked],
    demand: Demand,
    *,
    summary: ModelSummary,
    forecast: Forecast,
) -> tuple[Weighed, tuple[Way, ...]]:
    """What serves the contract best there, and the other ways, fastest first.

    A way that rounds (int8, float8 …) is taken only where it is expected to keep more than
    the ways that need no calibration: whether accuracy holds is for a measurement to say.
    """
    found = [forecast(sheet, asked) for asked in ways]
    fitting = [way for way in found if _fits(way, sheet)] or found
    varied = [v for way in fitting for v in _varied(way, sheet, demand, forecast)]
    decisive = frozenset({"cost", *(limit.figure for limit in demand.limits)})
    weighed = (weigh(way, sheet, demand, summary=summary, wanted=decisive) for way in varied)
    best = weigh(min(weighed, key=_preference).way, sheet, demand, summary=summary)
    others = [w for w in found if (w.dtype, w.runtime) != (best.way.dtype, best.way.runtime)]
    return best, tuple(sorted(others, key=_seconds))


def _fits(way: Way, sheet: Sheet) -> bool:
    held = capacity_bytes(sheet)
    size = way.memory_bytes
    return isinstance(size, NoData) or held is None or size.low <= held


def _varied(way: Way, sheet: Sheet, demand: Demand, forecast: Forecast) -> Iterator[Way]:
    """The way itself, with queries stacked, and in several copies, where that may pay."""
    yield way
    scenario = demand.traffic.scenario
    if isinstance(way.latency_s, NoData) or scenario not in ("server", "offline"):
        return
    asked = Asked(dtype=way.dtype, runtime=way.runtime)
    more: list[Asked] = []
    if scenario == "offline" and demand.is_batchable:
        more += [replace(asked, batch=batch) for batch in STACKED]
    elif sheet.kind == "gpu" and way.binds.get("overhead", 0.0) > IDLE_ENOUGH:
        more += [replace(asked, streams=streams) for streams in COPIES]
    yield from (w for a in more if _fits(w := forecast(sheet, a), sheet))


def _preference(weighed: Weighed) -> tuple[int, bool, float, float]:
    """Expected first, then without calibration, then cheap, then fast."""
    expected, _ = expectation(weighed)
    cost = weighed.figures["cost"]
    return (
        EXPECTED.index(expected),
        weighed.way.rounds,
        cost.value if isinstance(cost, Estimate) else -_rate(weighed),
        _seconds(weighed.way),
    )


def expectation(weighed: Weighed) -> tuple[Expected, float | None]:
    """Of all limits; unknown where not even the time is known."""
    expected, probability = together(weighed.outlooks)
    if weighed.service is None:
        return "unknown: measure first", None
    return expected, probability


def _rate(weighed: Weighed) -> float:
    """To order ways without a price: more per second on one device comes first."""
    return weighed.service.capacity_per_s.value if weighed.service else 0.0


def _seconds(way: Way) -> float:
    return way.latency_s.value if isinstance(way.latency_s, Estimate) else float("inf")


def weigh(
    way: Way,
    sheet: Sheet,
    demand: Demand,
    *,
    summary: ModelSummary,
    wanted: Collection[str] = FIGURES,
) -> Weighed:
    """Figures and outlooks of one way.

    Args:
        wanted: the figures that are made, those of money always: most ways are compared by
            what the contract limits alone, and never shown.
    """
    if isinstance(way.latency_s, NoData):
        figures = _unknown(way, way.latency_s)
        service, usd_per_s = None, None
    else:
        percents = [p for name, p in TIMES.items() if name in wanted]
        service = serve(way, demand, utilisation=1.0, percents=percents)
        made = _figures(way, service, sheet, demand, summary=summary)
        figures = {name: make() for name, make in made.items() if name in wanted}
        figures |= money_figures(way, service, sheet, demand)
        usd_per_s = _usd_per_s(figures["cost"], service)
    return Weighed(
        way=way,
        service=service,
        figures=figures,
        outlooks=tuple(
            outlook(limit, figures[limit.figure])
            for limit in demand.limits
            if limit.figure in figures
        ),
        usd_per_s=usd_per_s,
    )


def _unknown(way: Way, why: NoData) -> dict[str, Estimate | NoData]:
    names = (*TIMES, "throughput", "energy", "cost", "cost_rented", "cost_owned", "carbon", "size")
    return {**dict.fromkeys(names, why), "peak_memory": way.memory_bytes}


def _figures(
    way: Way, service: Service, sheet: Sheet, demand: Demand, *, summary: ModelSummary
) -> dict[str, Callable[[], Estimate | NoData]]:
    """All but those of money, each made when it is called."""
    return {
        **{name: partial(service.latencies.__getitem__, p) for name, p in TIMES.items()},
        "throughput": partial(_of_all, service, demand),
        "peak_memory": partial(_process, way.memory_bytes, sheet),
        "size": partial(_size, way, summary),
        "energy": lambda: way.energy_j,
    }


def _of_all(service: Service, demand: Demand) -> Estimate:
    """What all devices serve: what arrives, or all they can."""
    rate = service.capacity_per_s
    num = service.num_devices
    ends = [num * v for v in (rate.low, rate.value, rate.high)]
    if demand.traffic.rate_per_s is not None:
        arriving = demand.traffic.rate_per_s * demand.traffic.batch
        ends = [min(v, arriving) for v in ends]
    return rate.model_copy(update=dict(zip(("low", "value", "high"), ends, strict=True)))


def _process(model: Estimate | NoData, sheet: Sheet) -> Estimate | NoData:
    """With the process around the model, as the limit counts it."""
    if isinstance(model, NoData) or sheet.family.endswith("-mcu") or sheet.kind == "fpga":
        return model
    return Estimate(
        value=model.value + PROCESS_BYTES,
        low=model.low + PROCESS_BYTES / 2,
        high=model.high + 2 * PROCESS_BYTES,
        unit="bytes",
        rung=model.rung,
        reasons=(
            *model.reasons,
            f"and {PROCESS_BYTES >> 20} MiB for the process (assumed, within a factor of two)",
        ),
    )


def _size(way: Way, summary: ModelSummary) -> Estimate:
    """The files that ship: the model's, with the weights in the way's dtype."""
    bits = {"int8": 8, "float8": 8, "int4": 4, "float4": 4, "float16": 16, "bfloat16": 16}
    weights = summary.weight_bytes * bits.get(way.dtype, 32) / 32
    beside = max(summary.size_bytes - summary.weight_bytes, 0)
    value = max(weights + beside, 1.0)
    return Estimate(value=value, low=value / 1.1, high=value * 1.1, unit="bytes", rung="kind")


def money_figures(
    way: Way, service: Service, sheet: Sheet, demand: Demand
) -> dict[str, Estimate | NoData]:
    """Cost rented, cost owned, the lesser as ``cost``, and carbon, per inference."""
    rented_share, owned_share = service.utilisation, service.utilisation
    if demand.rate_per_s is None:
        owned_share = demand.site.utilisation
    rents = sheet.rents
    if sheet.id == LOCAL and demand.price_usd_per_s:
        rents = (
            Rent(
                usd_per_s=demand.price_usd_per_s, provider="contract", date="as stated", source=""
            ),
        )
    idle = sheet.idle_w.value if sheet.idle_w else None
    used = Use(
        rate_per_s=service.capacity_per_s,
        utilisation=owned_share,
        energy_j=way.energy_j,
        idle_w=idle,
    )
    rented = rented_usd(replace(used, utilisation=rented_share), rents=rents)
    owned = owned_usd(used, price=sheet.price_usd, site=demand.site)
    return {
        "cost": _paid(rented, owned, demand.pay),
        "cost_rented": rented,
        "cost_owned": owned,
        "carbon": carbon_kg(used, site=demand.site),
    }


def _paid(
    rented: Estimate | NoData, owned: Estimate | NoData, pay: Literal["rent", "buy"] | None
) -> Estimate | NoData:
    """As the contract asks for, or whichever is less."""
    if pay is None:
        return _lesser(rented, owned)
    return rented if pay == "rent" else owned


def _lesser(rented: Estimate | NoData, owned: Estimate | NoData) -> Estimate | NoData:
    known = [e for e in (rented, owned) if isinstance(e, Estimate)]
    if known:
        return min(known, key=lambda e: e.value)
    return NoData(reason="neither an offer to rent it nor a price to buy it is known")


def _usd_per_s(cost: Estimate | NoData, service: Service) -> float | None:
    """Of one device at this load."""
    if isinstance(cost, NoData):
        return None
    rate = service.capacity_per_s.value * service.utilisation
    return cost.value * rate


def prospect(
    sheet: Sheet,
    weighed: Weighed,
    *,
    demand: Demand,
    others: Sequence[Way],
    reasons: Sequence[str],
) -> Prospect:
    """As it is shown."""
    expected, probability = expectation(weighed)
    service = weighed.service
    return Prospect.model_validate(
        {
            "device_id": sheet.id,
            "name": sheet.name,
            "kind": sheet.kind,
            "way": weighed.way,
            "others": tuple(others),
            "num_devices": service.num_devices if service else 1,
            "utilisation": service.utilisation if service else 1.0,
            "figures": weighed.figures,
            "outlooks": weighed.outlooks,
            "expected": expected,
            "probability": probability,
            "unmeasured": demand.unmeasured(weighed.way),
            "usd_per_s": weighed.usd_per_s,
            "planned_per_s": service.planned_per_s if service else None,
            "reasons": tuple(reasons),
        }
    )

"""Step 2 over the catalogue: hard limits first, then a ranking by the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.records.estimate import Estimate
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import EXPECTED, Prospect, Way
from fitwright.records.selection import Refused, Selection
from fitwright.records.sheet import Sheet
from fitwright.select.claims import claims
from fitwright.select.concede import blocking, concessions, distance
from fitwright.select.demand import Demand
from fitwright.select.mix import mixes
from fitwright.select.outlook import cheapest_measurement, times
from fitwright.select.physics import Bare, bare, overfull, refusals
from fitwright.select.predict import Forecast
from fitwright.select.tell import reasons
from fitwright.select.ways import classes_of, ways_of
from fitwright.select.weigh import Weighed, best_way, prospect


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One device: refused, predicted, or both (refused by a limit that could be relaxed)."""

    sheet: Sheet
    refused: tuple[Refused, ...]
    prospect: Prospect | None = None


def survey(
    demand: Demand, summary: ModelSummary, sheets: Sequence[Sheet], *, forecast: Forecast
) -> Selection:
    """Every device for this model under this contract.

    Args:
        demand: limits, traffic, place.
        summary: the model.
        sheets: the devices.
        forecast: time, memory and energy of one way on one device.
    """
    model, classes = bare(summary), classes_of(summary)
    answers = [
        _answer(sheet, demand, summary, model=model, classes=classes, forecast=forecast)
        for sheet in sheets
    ]
    ranked = sorted((a.prospect for a in answers if a.prospect and not a.refused), key=rank)
    refused = sorted((max(a.refused, key=lambda r: r.gap) for a in answers if a.refused), key=_near)
    reachable = [a.prospect for a in answers if a.prospect]
    nobody = not any(p.expected == "likely meets" for p in ranked)
    return Selection(
        choices=(),
        refused=tuple(refused),
        prospects=tuple(ranked),
        mixes=mixes(ranked, rate_per_s=demand.rate_per_s),
        concessions=concessions(reachable) if nobody else (),
        claims=claims(summary, model, [(a.sheet, a.prospect) for a in answers]),
        model=summary.path,
        notes=(*_notes(summary, reachable if nobody else ()), *_cheaper_if_it_holds(ranked)),
    )


def rank(prospect: Prospect) -> tuple[int, bool, float, float, float, float]:
    """Expected first, then what needs no accuracy measured; cost, energy, margin and time."""
    return (
        EXPECTED.index(prospect.expected),
        prospect.way.rounds,
        _value(prospect, "cost"),
        _value(prospect, "energy"),
        max((o.gap for o in prospect.outlooks if o.gap is not None), default=1.0),
        _value(prospect, "latency_p50"),
    )


def _value(prospect: Prospect, figure: str) -> float:
    found = prospect.figures.get(figure)
    return found.value if isinstance(found, Estimate) else float("inf")


def _near(refused: Refused) -> tuple[float, str]:
    return refused.gap, refused.device_id


def _answer(
    sheet: Sheet,
    demand: Demand,
    summary: ModelSummary,
    *,
    model: Bare,
    classes: tuple[str, ...],
    forecast: Forecast,
) -> Answer:
    ways = ways_of(sheet, classes)
    if isinstance(ways, str):
        return Answer(
            sheet=sheet, refused=refusals(sheet, model, demand, dtypes=(), unsupported=ways)
        )
    dtypes = tuple(dict.fromkeys(w.dtype for w in ways))
    hard = refusals(sheet, model, demand, dtypes=dtypes)
    if any(r.limit == "device memory" for r in hard):
        return Answer(sheet=sheet, refused=hard)
    best, others = best_way(sheet, ways, demand, summary=summary, forecast=forecast)
    full = overfull(sheet, (best.way, *others))
    if full is not None:
        return Answer(sheet=sheet, refused=(*hard, full))
    return Answer(
        sheet=sheet,
        refused=hard,
        prospect=_prospect(sheet, best, others=others, demand=demand, summary=summary),
    )


def _prospect(
    sheet: Sheet, best: Weighed, *, others: Sequence[Way], demand: Demand, summary: ModelSummary
) -> Prospect:
    found = prospect(
        sheet,
        best,
        demand=demand,
        others=others,
        reasons=reasons(sheet, best, demand=demand, summary=summary),
    )
    if found.expected != "unknown: measure first":
        return found
    measurement = cheapest_measurement(sheet, found.outlooks)
    return found.model_copy(update={"measurement": measurement})


def _notes(summary: ModelSummary, reachable: Sequence[Prospect]) -> list[str]:
    notes = [
        f"{u.num_operators} x {u.domain or 'ai.onnx'}.{u.kind} has no rule ({u.reason}): every "
        "band is wider for it"
        for u in summary.uncounted
    ]
    block = blocking(reachable) if reachable else None
    if block is not None and block.gap is not None and block.expected != "likely meets":
        nearest = min(reachable, key=distance).device_id
        notes.append(
            f"no device is likely to meet the contract; {block.limit} blocks: the nearest device, "
            f"{nearest}, is predicted at {times(block.gap)} its bound"
        )
    return notes


def _cheaper_if_it_holds(ranked: Sequence[Prospect]) -> list[str]:
    """What is ranked behind for want of a measured accuracy, and would come first by cost."""
    likely = [p for p in ranked if p.expected == "likely meets"]
    if not likely or likely[0].way.rounds:
        return []
    cheapest = min(likely, key=lambda p: _value(p, "cost"))
    cost = cheapest.figures.get("cost")
    if not cheapest.way.rounds or not isinstance(cost, Estimate):
        return []
    price, (quality, *_) = units.usd_per_million(cost.value), cheapest.unmeasured
    return [
        f"{cheapest.device_id} would cost least, {price}, if {quality} holds in "
        f"{cheapest.way.dtype}: `fitwright fit` measures that here"
    ]

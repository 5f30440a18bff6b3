"""Why this device, in sentences with figures: one paragraph each."""

from __future__ import annotations

from collections.abc import Iterator

from fitwright import units
from fitwright.perf.operators.shapes import BITS
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import Way
from fitwright.records.sheet import Sheet
from fitwright.select.demand import Demand
from fitwright.select.floors import boundary_bytes
from fitwright.select.outlook import times, told
from fitwright.select.physics import capacity_bytes
from fitwright.select.serve import QUIET_TAIL, Service
from fitwright.select.weigh import Weighed

_BOUND_BY = {
    "compute": "arithmetic",
    "bandwidth": "memory traffic",
    "overhead": "starting kernels",
}


def reasons(
    sheet: Sheet, weighed: Weighed, *, demand: Demand, summary: ModelSummary
) -> tuple[str, ...]:
    """What the figures rest on, the most telling first."""
    way, service = weighed.way, weighed.service
    if service is None or isinstance(way.latency_s, NoData):
        why = way.latency_s.reason if isinstance(way.latency_s, NoData) else ""
        return (f"no prediction of its time: {why}", *_published(sheet, way))
    return (
        *(told(look) for look in weighed.outlooks),
        _time(way, way.latency_s),
        *_roofline(sheet, way, summary),
        *_binding(way),
        *_serving(service, way, demand),
        *_memory(sheet, way),
        *_figure_reasons(weighed),
        *_caveats(way, demand),
        "; ".join((f"evidence: {way.latency_s.rung}", *way.latency_s.reasons)),
        *_published(sheet, way),
    )


def _time(way: Way, time: Estimate) -> str:
    many = f"{way.batch} queries a run, " if way.batch > 1 else ""
    many += f"{way.streams} runs at once, " if way.streams > 1 else ""
    text = (
        f"{way.dtype} on {way.runtime}: {many}{units.seconds(time.value)} a run "
        f"({units.seconds(time.low)} to {units.seconds(time.high)})"
    )
    if way.roofline_s:
        floor = units.seconds(way.roofline_s)
        text += f", {times(time.value / way.roofline_s)} the {floor} that its published peaks allow"
    return text


def _roofline(sheet: Sheet, way: Way, summary: ModelSummary) -> Iterator[str]:
    """Where the model stands under this device's roof."""
    peak, bandwidth = sheet.peaks.get(way.dtype), sheet.bandwidth_bytes_per_s
    moved = boundary_bytes(summary, with_weights=True) * BITS.get(way.dtype, 32) / 32
    if peak is None or bandwidth is None or not moved or not summary.flops:
        return
    intensity, ridge = summary.flops / moved, peak.value / bandwidth.value
    roof = "arithmetic" if intensity >= ridge else "memory"
    yield (
        f"roofline: {intensity:.3g} FLOP per byte of weights, inputs and outputs, "
        f"{'above' if intensity >= ridge else 'below'} the ridge of {ridge:.3g} "
        f"({units.count(peak.value, 'FLOP/s')} over {units.count(bandwidth.value, 'B/s')}): "
        f"{roof} is the roof"
    )


def _binding(way: Way) -> Iterator[str]:
    if way.binds:
        shares = ", ".join(f"{_BOUND_BY[b]} {units.share(share)}" for b, share in way.binds.items())
        yield f"what binds, by share of the time: {shares}"
    if way.bottlenecks:
        named = ", ".join(
            f"{b.name} ({b.kind}, {units.share(b.share)}, {_BOUND_BY[b.binds]})"
            for b in way.bottlenecks
        )
        yield f"largest operators: {named}"


def _serving(service: Service, way: Way, demand: Demand) -> Iterator[str]:
    limited = [p for p in demand.latency_limits if QUIET_TAIL[p] > 1]
    for percent in limited:
        yield (
            f"p{percent} of one run is taken as {QUIET_TAIL[percent]:g}x its median (assumed: a "
            "device that does nothing else)"
        )
    rate = demand.rate_per_s
    if rate is None:
        return
    num = service.num_devices
    end = "the slow end of the band" if service.is_sized_for_slow_end else "the predicted value"
    text = (
        f"{num} device{'s' if num > 1 else ''} for {units.count(rate, '/s')}: one takes "
        f"{units.count(service.planned_per_s, '/s')} at {end}"
    )
    if demand.traffic.scenario == "server":
        text += f" with the limits on latency kept, and is busy {units.share(service.utilisation)}"
    elif way.batch == 1 and num > 1:
        text += ", each with its own stream of queries"
    yield text


def _memory(sheet: Sheet, way: Way) -> Iterator[str]:
    held, size = capacity_bytes(sheet), way.memory_bytes
    if isinstance(size, NoData):
        return
    has = f" of {units.bytes_(held)}" if held else "; no memory of its own is published"
    yield f"memory {units.bytes_(size.value)}{has} ({'; '.join(size.reasons)})"


def _figure_reasons(weighed: Weighed) -> Iterator[str]:
    """Energy, cost and carbon: the value and what it rests on, or why there is none."""
    for name in ("energy", "cost_rented", "cost_owned", "carbon"):
        figure = weighed.figures[name]
        title = name.replace("_", " ")
        if isinstance(figure, NoData):
            yield f"{title}: none, {figure.reason}"
        else:
            value = units.show(figure.value, figure.unit)
            each = " per inference" if figure.unit == "J" else ""
            yield f"{title} {value}{each}: {'; '.join(figure.reasons)}"


def _caveats(way: Way, demand: Demand) -> Iterator[str]:
    measured = "`fitwright fit` measures it on this machine, whatever device runs it later"
    for quality in demand.unmeasured(way):
        if way.rounds:
            yield f"{way.dtype} rounds: whether {quality} holds is not predicted; {measured}"
        else:
            yield f"whether the model reaches the floor of {quality} is not predicted; {measured}"
    if way.num_unruled:
        yield f"{way.num_unruled} kinds of operators have no rule: the band is wider for them"


def _published(sheet: Sheet, way: Way) -> Iterator[str]:
    """Facts that nobody read from a source, where the prediction uses them."""
    facts = {
        f"{way.dtype} peak": sheet.peaks.get(way.dtype),
        "bandwidth": sheet.bandwidth_bytes_per_s,
        "memory": sheet.memory_bytes,
        "TDP": sheet.tdp_w,
    }
    doubtful = [name for name, fact in facts.items() if fact and fact.confidence == "C"]
    if doubtful:
        yield f"read from no source (confidence C): {', '.join(doubtful)}"

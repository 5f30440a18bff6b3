"""Step 2: which devices can keep the contract, at what margin, and why not the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fitwright import units
from fitwright.perf.roofline import ModelFloor
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary
from fitwright.records.need import Limit, Need
from fitwright.records.selection import Choice, Refused, Selection
from fitwright.select.floors import floors, memory_floor, roofline_at

NUM_BOTTLENECKS = 3
# A machine that is busy while it is probed measures its own peaks too low; on a shared
# two-core machine they moved by a factor of two between probes.
PEAK_DOUBT = 2.0


def select(need: Need, summary: ModelSummary, *, devices: Sequence[Device]) -> Selection:
    """Devices ranked by their tightest margin, and the refused with the limit they break.

    A refusal is physics: it stands even if every later step worked perfectly.
    """
    answers = [_judge(need, summary, device) for device in devices]
    choices = [a for a in answers if isinstance(a, Choice)]
    return Selection(
        choices=tuple(sorted(choices, key=_rank)),
        refused=tuple(a for a in answers if isinstance(a, Refused)),
    )


def _rank(choice: Choice) -> tuple[float, float]:
    """Widest tightest margin first, then the lowest latency floor."""
    latency = choice.floors["latency_p50"].value
    return (
        -min(choice.margins.values(), default=0.0),
        float("inf") if latency is None else latency,
    )


def _judge(need: Need, summary: ModelSummary, device: Device) -> Choice | Refused:
    memory = _over_memory(summary, device)
    if memory is not None:
        return memory
    bests = floors(need, summary, device)
    broken = [r for limit in need.limits if (r := _broken(limit, bests, device)) is not None]
    if broken:
        return max(broken, key=lambda r: r.gap)
    return Choice(
        device=device,
        floors=bests,
        margins=dict(_margins(need.limits, bests)),
        reasons=(*_tight(need.limits, bests), *_reasons(summary, device, bests)),
    )


def _over_memory(summary: ModelSummary, device: Device) -> Refused | None:
    """The device's own memory is a limit whether or not the contract states one."""
    floor = memory_floor(summary)
    needed = floor.low or 0.0
    if needed <= device.memory_bytes:
        return None
    return Refused(
        device_id=device.id,
        limit="device memory",
        reason=f"weights and activations need {units.bytes_(needed)} even with int4 weights "
        f"and int8 activations; {device.id} has {units.bytes_(device.memory_bytes)}",
        gap=needed / device.memory_bytes,
    )


def _broken(limit: Limit, bests: Mapping[str, Figure], device: Device) -> Refused | None:
    """Refused when even the device's best end of the floor misses the bound, for sure."""
    best = bests.get(limit.figure)
    if best is None or best.value is None or best.low is None or best.high is None:
        return None
    gap = best.low / limit.bound if limit.sense == "at_most" else limit.bound / best.high
    if gap <= (1 if limit.figure == "peak_memory" else PEAK_DOUBT):
        return None
    reached = best.low if limit.sense == "at_most" else best.high
    word = "at least" if limit.sense == "at_most" else "at most"
    return Refused(
        device_id=device.id,
        limit=limit.name,
        reason=f"{limit.name} must be {limit.sense.replace('_', ' ')} "
        f"{units.show(limit.bound, best.unit)}; physics allows {word} "
        f"{units.show(reached, best.unit)} on {device.id} ({best.source})",
        gap=gap,
    )


def _tight(limits: Sequence[Limit], bests: Mapping[str, Figure]) -> Iterator[str]:
    """Limits beyond the measured peaks, but not by enough to refuse."""
    for name, margin in _margins(limits, bests):
        if margin < 1:
            yield (
                f"{name}: tight, the bound is {margin:.2g} of what the measured peaks allow; "
                f"kept because peaks are measured on a machine that may be busy, and recipes "
                f"can shrink the model"
            )


def _margins(limits: Sequence[Limit], bests: Mapping[str, Figure]) -> Iterator[tuple[str, float]]:
    """Bound over floor, or ceiling over bound; nothing where no floor is known."""
    for limit in limits:
        best = bests.get(limit.figure)
        if best is None or not best.value:
            continue
        at_most = limit.sense == "at_most"
        yield limit.name, limit.bound / best.value if at_most else best.value / limit.bound


def _reasons(summary: ModelSummary, device: Device, bests: Mapping[str, Figure]) -> Iterator[str]:
    """Why this device, in sentences with figures."""
    for dtype in device.peaks:
        floor = roofline_at(summary, device, dtype)
        if floor is None:
            yield f"{dtype}: no roofline, {_why_none(device, dtype)}"
            continue
        yield _roofline_sentence(summary, device, dtype, floor)
    plain = roofline_at(summary, device, "float32")
    if plain is not None and plain.operators:
        yield _bottleneck_sentence(plain)
    yield (
        f"memory: {units.bytes_(bests['peak_memory'].value or 0)} of weights and live "
        f"activations against {units.bytes_(device.memory_bytes)} on {device.id}"
    )
    for kind in summary.uncounted:
        yield (
            f"{kind.num_operators} operator(s) of kind {kind.kind} have no rule "
            f"({kind.reason}): the floors leave their FLOP out"
        )


def _why_none(device: Device, dtype: str) -> str:
    peak = device.peaks[dtype]
    return peak.source if peak.value is None else f"bandwidth: {device.bandwidth.source}"


def _roofline_sentence(summary: ModelSummary, device: Device, dtype: str, floor: ModelFloor) -> str:
    peak, bandwidth = device.peaks[dtype].value or 0.0, device.bandwidth.value or 0.0
    return (
        f"{dtype}: {units.count(summary.flops, 'FLOP')} at {units.count(peak, 'FLOP/s')} and "
        f"{units.count(bandwidth, 'B/s')} take {units.seconds(floor.graph_s)} at best as one "
        f"fused graph ({floor.binds} binds), {units.seconds(floor.operators_s)} operator by "
        f"operator, bytes as stored"
    )


def _bottleneck_sentence(floor: ModelFloor) -> str:
    named = ", ".join(
        f"{o.name or o.kind} ({o.kind}, {o.floor_s / floor.operators_s:.0%}, {o.binds})"
        for o in floor.slowest(NUM_BOTTLENECKS)
        if floor.operators_s > 0
    )
    return f"largest operator floors in float32: {named or 'none that moves or computes'}"

"""Hard limits of a device as published: what no tuning gets around, and by how much.

Every refusal gives the device every benefit: weights in 4 bits, activations in 8, convolutions
by Winograd, the fastest dtype that runs there, on-chip memory already full of weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fitwright import units
from fitwright.records.estimate import Estimate
from fitwright.records.model import CONVOLUTIONS, ModelSummary
from fitwright.records.prospect import Way
from fitwright.records.selection import Refused
from fitwright.records.sheet import Sheet
from fitwright.select.demand import TIMES, Demand
from fitwright.select.fabric import onchip_bytes
from fitwright.select.floors import WINOGRAD_GAIN, boundary_bytes, memory_floor, smallest_weights

FASTEST_FABRIC_HZ = 1e9
"""No design on an FPGA of the catalogue is clocked faster; taken where no clock is published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bare:
    """A model at its smallest: what every device has to do for one query at least.

    Attributes:
        memory_bytes: weights in 4 bits and activations in 8.
        moved_bytes: the same weights, inputs and outputs, once.
        weight_bytes: part of them.
        convolution_flops, other_flops: multiply-adds, 1 MAC = 2 FLOP.
    """

    memory_bytes: float
    moved_bytes: float
    weight_bytes: float
    convolution_flops: float
    other_flops: float


def bare(summary: ModelSummary) -> Bare:
    """Counted once for all devices."""
    convolutions = sum(o.flops or 0 for o in summary.operators if o.kind in CONVOLUTIONS)
    weights = smallest_weights(summary)
    return Bare(
        memory_bytes=memory_floor(summary).low or 0.0,
        moved_bytes=weights + boundary_bytes(summary, with_weights=False),
        weight_bytes=weights,
        convolution_flops=convolutions,
        other_flops=sum(o.flops or 0 for o in summary.operators) - convolutions,
    )


def refusals(
    sheet: Sheet, model: Bare, demand: Demand, *, dtypes: Sequence[str], unsupported: str = ""
) -> tuple[Refused, ...]:
    """Every hard limit that the device breaks.

    Args:
        dtypes: those in which something runs there.
        unsupported: why nothing runs there, when nothing does.
    """
    if unsupported:
        return (Refused(device_id=sheet.id, limit="support", reason=unsupported, gap=math.inf),)
    return tuple(_broken(sheet, model, demand, dtypes))


def _broken(sheet: Sheet, model: Bare, demand: Demand, dtypes: Sequence[str]) -> Iterator[Refused]:
    held = capacity_bytes(sheet)
    if held is not None and model.memory_bytes > held:
        yield _refused(
            sheet, "device memory", needed=model.memory_bytes, possible=held, unit="bytes",
            why="weights and activations need {needed} even with int4 weights and int8 "
            "activations; {device} has {possible}",
        )  # fmt: skip
    for limit in demand.limits:
        if limit.figure == "peak_memory" and model.memory_bytes > limit.bound:
            yield _refused(
                sheet, limit.name, needed=model.memory_bytes, possible=limit.bound, unit="bytes",
                why="weights and activations need {needed} at least, {possible} are allowed",
            )  # fmt: skip
    if demand.site.power_w and sheet.tdp_w and sheet.tdp_w.value > demand.site.power_w:
        yield _refused(
            sheet, "power", needed=sheet.tdp_w.value, possible=demand.site.power_w, unit="W",
            why="{device} may draw {needed}, the site feeds {possible}",
        )  # fmt: skip
    yield from _too_slow(sheet, model, demand, dtypes)


def _too_slow(
    sheet: Sheet, model: Bare, demand: Demand, dtypes: Sequence[str]
) -> Iterator[Refused]:
    """The latency limit that physics misses most."""
    bounds = [x for x in demand.limits if x.figure in TIMES]
    if not bounds or not (sheet.fabric or any(d in sheet.peaks for d in dtypes)):
        return
    tightest = min(bounds, key=lambda x: x.bound)
    floor = latency_floor_s(sheet, model, dtypes=dtypes)
    if floor > tightest.bound:
        yield _refused(
            sheet, tightest.name, needed=floor, possible=tightest.bound, unit="s",
            why=tightest.name + " must be at most {possible}; at its published peaks {device} "
            "takes {needed} at least",
        )  # fmt: skip


def latency_floor_s(sheet: Sheet, model: Bare, *, dtypes: Sequence[str]) -> float:
    """The roofline of one query at the fastest dtype, seconds."""
    rates = {d: sheet.peaks[d].value for d in dtypes if d in sheet.peaks}
    if not rates:
        return _fabric_floor_s(sheet, model)
    best = max(rates.values())
    convolution = max(best, rates.get("float32", 0.0) * WINOGRAD_GAIN)
    compute = model.other_flops / best + model.convolution_flops / convolution
    if sheet.bandwidth_bytes_per_s is None:
        return compute
    onchip = sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0
    return max(compute, (model.moved_bytes - onchip) / sheet.bandwidth_bytes_per_s.value)


def _fabric_floor_s(sheet: Sheet, model: Bare) -> float:
    """Logic at its very best: two products per multiplier and one per lookup table and cycle."""
    blocks = {name: fact.value for name, fact in sheet.fabric.items()}
    per_cycle = 2 * blocks.get("dsp", 0.0) + blocks.get("lut", 0.0)
    clock = sheet.clock_hz.value if sheet.clock_hz else FASTEST_FABRIC_HZ
    macs = (model.other_flops + model.convolution_flops / WINOGRAD_GAIN) / 2
    return macs / per_cycle / clock if per_cycle else 0.0


def capacity_bytes(sheet: Sheet) -> float | None:
    """Memory that a model can lie in; None where it comes over the host's link, or unknown.

    A microcontroller keeps weights in flash beside its memory; an FPGA without memory of its own
    keeps them in its blocks.
    """
    if sheet.memory_bytes is None:
        return (onchip_bytes(sheet) or None) if sheet.kind == "fpga" else None
    return sheet.memory_bytes.value + (sheet.flash_bytes.value if sheet.flash_bytes else 0.0)


def overfull(sheet: Sheet, ways: Sequence[Way]) -> Refused | None:
    """Refused when no dtype that runs there leaves the model small enough, as predicted.

    The low end of each band counts: what may fit is not refused.
    """
    held = capacity_bytes(sheet)
    sizes = [w.memory_bytes.low for w in ways if isinstance(w.memory_bytes, Estimate)]
    if held is None or not sizes or min(sizes) <= held:
        return None
    dtypes = ", ".join(dict.fromkeys(w.dtype for w in ways))
    return _refused(
        sheet, "device memory", needed=min(sizes), possible=held, unit="bytes",
        why="weights and activations need {needed} in the dtypes that run there (" + dtypes
        + "); {device} has {possible}",
    )  # fmt: skip


def _refused(
    sheet: Sheet, limit: str, *, needed: float, possible: float, unit: str, why: str
) -> Refused:
    gap = needed / possible
    words = why.format(
        needed=units.show(needed, unit), possible=units.show(possible, unit), device=sheet.id
    )
    short = units.show(needed - possible, unit)
    return Refused(
        device_id=sheet.id,
        limit=limit,
        reason=f"{words}: {gap:.3g}x, {short} too much",
        gap=gap,
        short_by=needed - possible,
        unit=unit,
    )

"""Time of a transformer in 32-bit arithmetic, run kernel by kernel.

    t = (FLOP / rate + bytes / bandwidth) / share * training + kernels * launch + messages

The products and the kernels between them never overlap, so their times add up. `rate` is the
peak, or what the device's power can feed where that is less: an inference card of 70 W holds
its boost clock for no more than moments. `share` is what is reached of that sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.ladder import estimate, nearest
from fitwright.perf.network.passes import Pass, filled, forward
from fitwright.perf.network.power import PICOJOULES_32, fed_rate
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer

WHAT = "transformer/eager"
LINK_SHARE = 0.75
"""Of a link's published rate that a large ring all-reduce reaches (NCCL sweeps: 0.7 to 0.8)."""
PASSES = 3.0
"""A training step is one forward pass and a backward pass of twice its work."""
DERIVED_SPREAD = 1.25
SPLIT_SPREAD = 1.2

Split = Literal["", "tp", "dp", "pp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What is run.

    Attributes:
        split: how several devices divide it: ``tp`` every matrix, ``dp`` the batch, ``pp`` the
            blocks, with as many micro-batches as sequences.
    """

    batch: int
    tokens: int
    training: bool = False
    fused: bool = False
    split: Split = ""
    num_devices: int = 1


def transformer_time(
    shape: Transformer, step: Step, sheet: Sheet, *, table: Sequence[Evidence]
) -> Estimate | NoData:
    """Seconds of one forward pass, or of one step of training without the optimiser."""
    peak, bandwidth = sheet.peaks.get("float32"), sheet.bandwidth_bytes_per_s
    if peak is None or bandwidth is None:
        lacking = "peak for float32" if peak is None else "memory bandwidth"
        return NoData(reason=f"{sheet.name} has no published {lacking}")
    found = nearest(table, sheet, what=WHAT, dtype="float32")
    if found is None:
        return NoData(reason=f"no transformer in float32 was measured on any {sheet.kind}")
    rate = fed_rate(peak.value, sheet, PICOJOULES_32)
    link = link_bytes_per_s(sheet)
    if step.num_devices > 1 and link is None:
        return NoData(reason=f"{sheet.name} has no published link to its neighbours")
    value = seconds(
        shape,
        step,
        rate=rate,
        bandwidth=bandwidth.value,
        link=link or 1.0,
        num_units=num_units_of(sheet),
        constants=found.constants,
    )
    reasons = [f"share of the roofline fitted to {found.source}"]
    if rate < peak.value:
        reasons.append("the power of the device feeds less than its peak")
    spread = found.spread * (SPLIT_SPREAD if step.num_devices > 1 else 1.0)
    spread *= found.constants.get("training_spread", 1.0) if step.training else 1.0
    if shape.derived:
        spread *= DERIVED_SPREAD
        reasons.append("the shape was derived from the number of parameters")
    return estimate(value, unit="s", rung=found.rung, spread=spread, reasons=reasons)


def num_units_of(sheet: Sheet) -> float:
    """What tiles are spread over; 1 where nobody says: no tile is ever left over."""
    return sheet.num_units.value if sheet.num_units else 1.0


def link_bytes_per_s(sheet: Sheet) -> float | None:
    """One direction, to the neighbour or by way of the host."""
    fact = sheet.link_bytes_per_s or sheet.host_bytes_per_s
    return None if fact is None else fact.value


def seconds(
    shape: Transformer,
    step: Step,
    *,
    rate: float,
    bandwidth: float,
    link: float,
    num_units: float,
    constants: Mapping[str, float],
) -> float:
    """One pass or step; with one device never under the roofline of its work."""
    parts = step.num_devices
    batch = step.batch / parts if step.split == "dp" else step.batch
    work = forward(shape, batch=batch, tokens=step.tokens, fused=step.fused)
    sum_s = _divided(work, step, rate=rate, bandwidth=bandwidth, num_units=num_units)
    factor = (constants["experts"] if shape.num_experts > 1 else 1.0) / constants["share"]
    factor *= PASSES * constants["training"] if step.training else 1.0
    launches = work.num_kernels * (PASSES if step.training else 1.0)
    busy_s = sum_s * factor + launches * constants["launch_s"]
    if step.split == "pp":
        busy_s *= (step.batch + parts - 1) / (step.batch * parts)
    return busy_s + messages_s(shape, step, link=link)


def _divided(work: Pass, step: Step, *, rate: float, bandwidth: float, num_units: float) -> float:
    """Products and the kernels between them, of one device of a tensor-parallel group.

    What is inside attention and the feed-forward part is divided; the hidden state, about a
    third of the bytes, is kept whole on each.
    """
    parts = step.num_devices if step.split == "tp" else 1
    moved = work.bytes_moved * (1 / 3 + 2 / 3 / parts) + work.weight_bytes / parts
    flops = work.attention_flops + sum(
        p.flops / filled(p, num_units=num_units, parts=parts) for p in work.products
    )
    return flops / parts / rate + moved / bandwidth


def messages_s(shape: Transformer, step: Step, *, link: float) -> float:
    """Ring all-reduces: of each block's two sums (tp) or of the gradients (dp)."""
    parts = step.num_devices
    if parts < 2:
        return 0.0
    ring = 2 * (parts - 1) / parts / (link * LINK_SHARE)
    blocks = shape.num_layers + shape.num_encoder_layers
    hidden_bytes = 4 * step.batch * step.tokens * shape.hidden
    if step.split == "tp":
        return blocks * (4 if step.training else 2) * hidden_bytes * ring
    if step.split == "dp" and step.training:
        weights = forward(shape, batch=1, tokens=1).weight_bytes
        return weights * ring
    return (parts - 1) * hidden_bytes / max(1, step.batch) / (link * LINK_SHARE)

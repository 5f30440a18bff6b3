"""Devices whose time is known by the whole network and not operator by operator.

Microcontrollers take cycles per multiply-add, edge NPUs an engine behind a host's link, and
FPGAs the cycles of the logic that a tool builds for a chain of dense layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fitwright import units
from fitwright.perf.boards import fpga, microcontroller, npu
from fitwright.perf.fusion import is_depthwise, role
from fitwright.perf.ladder import estimate
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.model import CONVOLUTIONS, ModelSummary
from fitwright.records.sheet import Sheet
from fitwright.records.workload import Style
from fitwright.select.fabric import onchip_bytes

BITS: Mapping[str, int] = {"int8": 8, "int4": 4}
DEPTHWISE_SHARE = 0.02
"""Of the multiply-adds, from which the depthwise layers decide an engine's use."""
MEMORY_SPREAD = 1.3


def microcontroller_s(
    summary: ModelSummary, sheet: Sheet, table: Sequence[Evidence], dtype: str
) -> Estimate | NoData:
    """Seconds of one query on a microcontroller."""
    small = _small(summary, sheet)
    if isinstance(small, NoData) or dtype not in BITS:
        return small if isinstance(small, NoData) else NoData(reason="only int8 was measured")
    return microcontroller.latency(small, sheet=sheet, table=table)


def microcontroller_j(
    summary: ModelSummary, sheet: Sheet, table: Sequence[Evidence]
) -> Estimate | NoData:
    """Joules of one query, the board's supply included."""
    small = _small(summary, sheet)
    if isinstance(small, NoData):
        return small
    return microcontroller.energy(small, sheet=sheet, table=table)


def _small(summary: ModelSummary, sheet: Sheet) -> microcontroller.Small | NoData:
    macs = sum(o.flops or 0 for o in summary.operators) / 2
    if sheet.clock_hz is None or not macs:
        return NoData(reason=f"{sheet.id}: no clock is published, or nothing is to multiply")
    clock = sheet.clock_hz.value
    return microcontroller.Small(network="", macs=macs, framework="", clock_hz=clock)


def npu_s(
    summary: ModelSummary, sheet: Sheet, table: Sequence[Evidence], dtype: str
) -> Estimate | NoData:
    """Seconds of one query on an edge NPU."""
    flops = sum(o.flops or 0 for o in summary.operators)
    if dtype != "int8" or not flops:
        return NoData(reason="edge NPUs were measured in int8 alone")
    products = [o for o in summary.operators if o.flops]
    run = npu.Run(
        style=style_of(summary),
        ops=flops,
        weight_bytes=summary.num_parameters,
        activations=sum(o.activation_bytes for o in products) / 4,
        num_layers=len(products),
    )
    return npu.seconds(run, sheet=sheet, table=table)


def style_of(summary: ModelSummary) -> Style:
    """What kind of network an engine meets."""
    kinds = {o.kind for o in summary.operators}
    roles = {role(o) for o in summary.operators}
    if "recurrent" in roles:
        return "recurrent"
    if not kinds & CONVOLUTIONS:
        return "vit" if "Softmax" in kinds and len(summary.operators) > 20 else "dense"
    flops = sum(o.flops or 0 for o in summary.operators)
    narrow = sum(o.flops or 0 for o in summary.operators if is_depthwise(o))
    return "depthwise" if narrow > DEPTHWISE_SHARE * flops else "plain"


def fpga_s(
    summary: ModelSummary, sheet: Sheet, table: Sequence[Evidence], dtype: str
) -> Estimate | NoData:
    """Seconds of one query in logic of its own; of chains of dense layers only."""
    chain = _dense(summary, bits=BITS.get(dtype, 8))
    if isinstance(chain, NoData):
        return chain
    if sheet.clock_hz is None:
        return NoData(reason=f"the clock of designs on {sheet.id} is not published")
    weights, held = summary.num_parameters * chain.weight_bits / 8, onchip_bytes(sheet)
    if held and weights > held:
        return NoData(
            reason=f"weights of {units.bytes_(weights)} do not stay on the chip, which holds "
            f"{units.bytes_(held)}: such designs were not measured"
        )
    found = fpga.cycles(chain, sheet=sheet, table=table)
    if isinstance(found, NoData):
        return found
    clock = sheet.clock_hz.value
    ends = {"value": found.value / clock, "low": found.low / clock, "high": found.high / clock}
    return found.model_copy(update={**ends, "unit": "s"})


def _dense(summary: ModelSummary, *, bits: int) -> fpga.Dense | NoData:
    """The graph as a chain of dense layers, where it is one."""
    products = [o for o in summary.operators if role(o) == "product"]
    shapes = [o.product for o in products if o.product is not None and not o.product.kernel]
    one_row = all(p.m == 1 and p.num_products == 1 and p.has_weights for p in shapes)
    if not shapes or len(shapes) < len(products) or not one_row:
        return NoData(
            reason="logic on FPGAs is predicted for chains of dense layers alone; this graph "
            f"has {', '.join(sorted({o.kind for o in products})) or 'none'}"
        )
    widths = (shapes[0].k, *(p.n for p in shapes))
    return fpga.Dense(widths=widths, weight_bits=bits, activation_bits=bits)


def memory_bytes(summary: ModelSummary, dtype: str) -> Estimate:
    """Weights and live activations in that dtype."""
    share = BITS.get(dtype, 32) / 32
    value = max(share * (summary.weight_bytes + summary.peak_activation_bytes), 1.0)
    return estimate(
        value,
        unit="bytes",
        rung="kind",
        spread=MEMORY_SPREAD,
        reasons=("weights and live activations",),
    )


Whole = Callable[[ModelSummary, Sheet, Sequence[Evidence], str], Estimate | NoData]


def whole_network(sheet: Sheet) -> Whole | None:
    """The formula for such a device; None where operators answer."""
    if sheet.family.endswith("-mcu"):
        return microcontroller_s
    if sheet.kind == "fpga" and not sheet.peaks:
        return fpga_s
    if sheet.kind == "npu" and sheet.bandwidth_bytes_per_s is None:
        return npu_s
    return None

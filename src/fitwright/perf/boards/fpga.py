"""Dense networks on FPGAs as hls4ml builds them: clock cycles and fabric.

Two strategies. *Resource* (a reuse factor above 1): each layer has ``MAC/reuse`` multipliers and
takes `reuse` cycles; layers follow one another, so the latency is their sum and a few cycles
between. The tool rounds the reuse factor to the nearest one that divides the layer's work (its
rule is `valid_reuse`). Multipliers of more than `widest_in_luts` bits are DSP blocks. Lookup
tables and flip-flops hold the partial sums and the multiplexers, hence are linear in the widths
of the layers. *Latency* (reuse 1): every weight has its multiplier, zeros none; an addition tree
and an activation follow each layer. Without blocks, lookup tables equal the bit operations,
``LUT + 55*DSP = sum(bits of weight * bits of activation)`` (HGQ, arXiv 2405.00645).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.ladder import estimate, nearest
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Resource = Literal["lut", "ff", "dsp"]
RESOURCE, LATENCY, FOLDED = "fpga_resource", "fpga_latency", "fpga_folded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense:
    """A chain of fully connected layers.

    Attributes:
        widths: inputs, then the outputs of each layer.
        weight_bits, activation_bits: of one number.
        reuse: how often one multiplier works for one inference; 0: folded to fill the part.
        sparsity: share of weights that are zero, in [0, 1).
    """

    widths: tuple[int, ...]
    weight_bits: float
    activation_bits: float
    reuse: int = 0
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"a dense network has two widths or more, each 1 or more: {self}")
        if self.reuse < 0 or not 0 <= self.sparsity < 1:
            raise ValueError(f"reuse is 0 or more and sparsity lies in [0, 1): {self}")

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each layer."""
        return tuple(zip(self.widths, self.widths[1:], strict=False))

    @property
    def macs(self) -> float:
        """Multiplications of one inference that are not with zero."""
        return sum(i * o for i, o in self.layers) * (1 - self.sparsity)

    @property
    def strategy(self) -> str:
        """Which formula holds."""
        return {0: FOLDED, 1: LATENCY}.get(self.reuse, RESOURCE)


def valid_reuse(wanted: int, *, inputs: int, outputs: int) -> int:
    """The reuse factor of a layer that hls4ml takes instead of `wanted`: the nearest valid.

    Valid factors divide the layer's multiplications, and each multiplier serves whole columns
    (or whole rows above one pass over the inputs): hls4ml's check as remembered, and it
    reproduces the cycles of all 25 designs at hand.
    """
    work = inputs * outputs
    low = [r for r in range(1, math.isqrt(work) + 1) if work % r == 0]
    divisors = sorted({*low, *(work // r for r in low)})
    return min(
        (r for r in divisors if _serves_whole(r, inputs=inputs, outputs=outputs)),
        key=lambda r: (abs(r - wanted), r),
    )


def _serves_whole(reuse: int, *, inputs: int, outputs: int) -> bool:
    if reuse >= inputs:
        return reuse % inputs == 0
    return math.ceil(inputs * outputs / reuse) % outputs == 0


def reuses(net: Dense) -> tuple[int, ...]:
    """Of every layer, as built."""
    return tuple(valid_reuse(net.reuse, inputs=i, outputs=o) for i, o in net.layers)


def multipliers(net: Dense) -> int:
    """Of all layers in the resource strategy, each used in every cycle of its layer."""
    return sum(i * o // r for (i, o), r in zip(net.layers, reuses(net), strict=True))


def cycles(net: Dense, *, sheet: Sheet, table: Iterable[Evidence]) -> Estimate | NoData:
    """Clock cycles from the first input to the last output."""
    row = nearest(table, sheet, what=net.strategy)
    if row is None:
        return NoData(reason=f"nobody built dense layers on a {sheet.kind} in what was fitted")
    constants = row.constants
    if net.strategy == RESOURCE:
        between = constants["cycles_per_layer"] * len(net.layers) + constants["cycles"]
        return _answer(sum(reuses(net)) + between, row, "cycles", "the sum of valid reuse factors")
    if net.strategy == LATENCY:
        trees = sum(1 + math.log2(max(i, 2)) / constants["tree_levels"] for i, _ in net.layers)
        value = trees + constants["cycles_per_layer"] * len(net.layers) + constants["cycles"]
        return _answer(value, row, "cycles", "a multiplier for every weight, and adder trees")
    per_cycle = folded_macs_per_cycle(net, sheet, constants)
    if per_cycle is None:
        return NoData(reason=f"{sheet.id}: no lookup tables published, nor a reuse factor given")
    value = len(net.layers) * max(1.0, net.macs / per_cycle)
    return _answer(value, row, "cycles", "folded to fill the part: no reuse factor is given")


def area(
    net: Dense, *, resource: Resource, sheet: Sheet, table: Iterable[Evidence]
) -> Estimate | NoData:
    """How many lookup tables, flip-flops or DSP blocks the network takes."""
    row = nearest(table, sheet, what=net.strategy)
    if row is None:
        return NoData(reason=f"nobody built dense layers on a {sheet.kind} in what was fitted")
    if net.strategy == FOLDED:
        return _folded(resource, sheet, row)
    formula = _latency_area if net.strategy == LATENCY else _resource_area
    values = formula(net, row.constants)
    spread = row.constants.get(f"spread_{resource}", row.spread)
    return _answer(values[resource], row, resource, f"{net.strategy} formula", spread=spread)


def _resource_area(net: Dense, constants: Mapping[str, float]) -> dict[Resource, float]:
    first, *hidden, last = net.widths
    wide = net.weight_bits > constants["widest_in_luts"]
    written = sum(net.widths[1:])
    return {
        "lut": constants["lut_hidden"] * sum(hidden)
        + constants["lut_output"] * last
        + constants["lut_bit"] * net.weight_bits * written,
        "ff": constants["ff_input"] * first
        + constants["ff_hidden"] * sum(hidden)
        + constants["ff_output"] * last,
        "dsp": float(multipliers(net)) if wide else 0.0,
    }


def _latency_area(net: Dense, constants: Mapping[str, float]) -> dict[Resource, float]:
    wide = net.weight_bits > constants["widest_in_luts"]
    bits = net.macs * net.weight_bits * net.activation_bits
    sums = net.macs * (net.weight_bits + net.activation_bits) / 2
    return {
        "lut": sums if wide else bits * constants["lut_per_bit_operation"],
        "ff": constants["ff_per_lut"] * (sums if wide else bits),
        "dsp": net.macs if wide else 0.0,
    }


def folded_macs_per_cycle(net: Dense, sheet: Sheet, constants: Mapping[str, float]) -> float | None:
    """Multiply-adds a cycle of a design that fills the part (dataflow, as FINN builds it)."""
    tables = sheet.fabric.get("lut")
    if tables is None:
        return None
    bits = max(1.0, net.weight_bits * net.activation_bits)
    return constants["macs_per_lut"] * tables.value / bits


def _folded(resource: Resource, sheet: Sheet, row: Evidence) -> Estimate | NoData:
    part = sheet.fabric.get(resource)
    share = row.constants.get(f"share_{resource}")
    if part is None or share is None:
        return NoData(reason=f"{sheet.id}: no {resource} published, and no reuse factor given")
    reason = f"folded to {share:.0%} of the part: no reuse factor is given"
    return _answer(share * part.value, row, resource, reason)


def _answer(
    value: float, row: Evidence, unit: str, reason: str, *, spread: float | None = None
) -> Estimate:
    rung: Rung = row.rung
    return estimate(
        value,
        unit=unit,
        rung=rung,
        spread=spread if spread is not None else row.spread,
        reasons=(f"{reason} ({row.source})",),
    )

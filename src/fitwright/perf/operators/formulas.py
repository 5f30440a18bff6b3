"""The parts of an operator's time, as functions of its shape and the fitted constants.

``t = floor + extra + (compute^p + memory^p)^(1/p)``: with p large the slower of arithmetic and
traffic alone; a fitted p of 2 to 8 is how well a kernel hides one behind the other. Both parts
are at least what the published peaks allow, so that no time is under the roofline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fitwright.perf.operators.table import Column, Columns
from fitwright.perf.work import OperatorClass

Constants = Mapping[str, float]
Curve = Sequence[tuple[float, float]]

TILES = ((256, 128, 1.0), (128, 128, 1.0), (128, 64, 0.9), (64, 64, 0.75), (64, 16, 0.4))
"""Rows and columns of the blocks of a product that one unit computes at a time, and the share
of the largest block's rate that it reaches (operands are reused less in a smaller one).
Libraries choose the best of these; sizes as in CUTLASS' default configurations."""

FEW_ROWS = 16
"""Products of up to so many rows of activations only read weights."""

QUANTISE_BYTES = 3.0
"""Per activation, quantised from 16 bits to 8 on its way in: two read and one written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the formulas take from a device.

    Attributes:
        flop_per_s: peak of the dtype.
        num_units: what blocks are dealt to; 0 unknown.
        onchip_bytes: of the last cache or scratch memory; 0 unknown.
        clock_hz: of the units, boost; 0 unknown.
    """

    flop_per_s: float
    bandwidth_bytes_per_s: float
    num_units: float = 0.0
    onchip_bytes: float = 0.0
    clock_hz: float = 0.0

    def pace(self, constants: Constants) -> float:
        """By what factor times that are cycles of the units last longer here.

        Constants: ``at_hz``: the clock at which ``floor_s`` and ``block_s`` hold. Absent, or
        the clock here unknown: 1, seconds are seconds.
        """
        return constants["at_hz"] / self.clock_hz if constants.get("at_hz") and self.clock_hz else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The parts of the times of some operators, seconds.

    Attributes:
        floor_s: launch and scheduling, and passes before the operator proper.
        compute_s, memory_s: arithmetic and traffic, each at its share of the peak.
        softness: the exponent p; infinite: the slower one alone.
    """

    floor_s: Column
    compute_s: Column
    memory_s: Column
    softness: float

    def total_s(self) -> Column:
        """The time: the slower of arithmetic and traffic, and what is not hidden."""
        slower = np.maximum(np.maximum(self.compute_s, self.memory_s), 1e-30)
        faster = np.minimum(self.compute_s, self.memory_s)
        hidden: Column = (1 + (faster / slower) ** self.softness) ** (1 / self.softness)
        return self.floor_s + slower * hidden


FITS_ONCHIP = 0.5
"""Share of the on-chip memory that a working set may fill and still be found there."""


def bandwidths(columns: Columns, machine: Machine, constants: Constants) -> Column:
    """Bytes per second that each operator is fed at, before any share.

    Constants: ``onchip``: how many times the memory's bandwidth the chip's own memory gives; it
    counts where the working set is known (above 0) and fits: fills a share of at most
    ``onchip_fits``, else `FITS_ONCHIP`. Absent: never.
    """
    room = constants.get("onchip_fits", FITS_ONCHIP) * machine.onchip_bytes
    near = (columns.working_set_bytes > 0) & (columns.working_set_bytes <= room)
    times = np.where(near, max(constants.get("onchip", 1.0), 1.0), 1.0)
    found: Column = machine.bandwidth_bytes_per_s * times
    return found


def roofline_s(columns: Columns, machine: Machine, constants: Constants) -> Column:
    """What the peaks allow at best, seconds."""
    compute = columns.flops / machine.flop_per_s
    slower: Column = np.maximum(
        compute, columns.bytes_moved / bandwidths(columns, machine, constants)
    )
    return slower


def interpolated(curve: Curve, at: Column) -> Column:
    """The curve at some places, straight between its points and level outside."""
    x, y = zip(*curve, strict=True)
    found: Column = np.interp(at, x, y)
    return found


def block_waste(columns: Columns, *, num_units: float) -> Column:
    """Work that the units are kept busy for over work that is asked: 1 or more.

    Blocks are padded to whole blocks, and dealt to the units in whole waves.
    """
    best = np.zeros_like(columns.m)
    asked = columns.m * columns.n * columns.num_batches
    for rows, cols, rate in TILES:
        blocks = np.ceil(columns.m / rows) * np.ceil(columns.n / cols) * columns.num_batches
        waves = np.ceil(blocks / num_units)
        best = np.maximum(best, rate * asked / (waves * num_units * rows * cols))
    return 1 / np.clip(best, 0.01, 1.0)


def padding_waste(columns: Columns, constants: Constants) -> Column:
    """Padding of the three sides of a product to the width of the units: 1 or more."""
    waste = np.ones_like(columns.m)
    for side, width in (("m", "pad_m"), ("n", "pad_n"), ("k", "pad_k")):
        if step := constants.get(width):
            size = getattr(columns, side)
            waste = waste * np.ceil(size / step) * step / size
    return waste


def product_parts(columns: Columns, machine: Machine, constants: Constants, curve: Curve) -> Parts:
    """A matrix product, or what amounts to one.

    Constants: ``floor_s``, at ``at_hz``; ``compute_share`` (or the curve over log2 m) and
    ``bandwidth_share`` of the peaks; ``wave``: the power of the waste by blocks and waves
    that is felt (split k and stream k hide some); ``softness``; ``quantise``: passes over the
    activations at the bandwidth that quantise them first.
    """
    share = (
        interpolated(curve, np.log2(columns.m * columns.num_batches))
        if curve
        else np.full_like(columns.m, constants["compute_share"])
    )
    waste = padding_waste(columns, constants)
    if machine.num_units and constants.get("wave"):
        waste = waste * block_waste(columns, num_units=machine.num_units) ** constants["wave"]
    compute = columns.flops * waste / (machine.flop_per_s * share)
    bandwidth = bandwidths(columns, machine, constants)
    memory = columns.bytes_moved / (bandwidth * constants["bandwidth_share"])
    activations = columns.m * columns.k * columns.num_batches * QUANTISE_BYTES
    extra = constants.get("quantise", 0.0) * activations / bandwidth
    return Parts(
        floor_s=machine.pace(constants) * constants["floor_s"] * columns.num_steps + extra,
        compute_s=compute,
        memory_s=memory,
        softness=constants.get("softness", 64.0),
    )


def traffic_parts(columns: Columns, machine: Machine, constants: Constants, curve: Curve) -> Parts:
    """Operators whose bytes decide; the curve is the share of the bandwidth over log2 bytes."""
    share = (
        interpolated(curve, np.log2(np.maximum(columns.bytes_moved, 1.0)))
        if curve
        else np.full_like(columns.m, constants["bandwidth_share"])
    )
    compute_share = constants.get("compute_share", 1.0)
    return Parts(
        floor_s=machine.pace(constants) * constants["floor_s"] * columns.num_steps,
        compute_s=columns.flops / (machine.flop_per_s * compute_share),
        memory_s=columns.bytes_moved / (bandwidths(columns, machine, constants) * share),
        softness=constants.get("softness", 64.0),
    )


QUERY_BLOCK = 128
"""Queries that one unit attends for at a time (FlashAttention 2 and 3)."""


def prefill_parts(columns: Columns, machine: Machine, constants: Constants, curve: Curve) -> Parts:
    """Attention of many queries, by blocks: Dao, "FlashAttention-2", arXiv 2307.08691.

    Constants: as of `product_parts`, and ``diagonal``: keys per query that a block computes
    beyond what the mask lets through; ``quantise``: passes over the queries that bring them to
    the cache's 8 bits. Softness near 1: loading and arithmetic barely overlap. The curve is the
    share of the peak over log2 of the queries.
    """
    share = (
        interpolated(curve, np.log2(columns.m))
        if curve
        else np.full_like(columns.m, constants["compute_share"])
    )
    pairs = columns.flops / (4 * columns.k * columns.num_batches)
    waste = 1 + constants.get("diagonal", 0.0) * columns.m / np.maximum(pairs, 1.0)
    if machine.num_units and constants.get("wave"):
        blocks = np.ceil(columns.m / QUERY_BLOCK) * columns.num_batches
        waves = np.ceil(blocks / machine.num_units)
        waste = waste * (waves * machine.num_units / blocks) ** constants["wave"]
    bandwidth = bandwidths(columns, machine, constants)
    quantised = columns.m * columns.k * columns.num_batches * QUANTISE_BYTES
    extra = constants.get("quantise", 0.0) * quantised / bandwidth
    return Parts(
        floor_s=machine.pace(constants) * constants["floor_s"] + extra,
        compute_s=columns.flops * waste / (machine.flop_per_s * share),
        memory_s=columns.bytes_moved / (bandwidth * constants["bandwidth_share"]),
        softness=constants.get("softness", 64.0),
    )


TYPICAL_UNITS = 128.0
"""Where a sheet does not say how many units a device has."""


def decode_parts(columns: Columns, machine: Machine, constants: Constants, curve: Curve) -> Parts:
    """Attention of one query per sequence over its cache: the cache is read once.

    One block of work per sequence and key-value head. Constants: ``floor_s``,
    ``compute_share``, ``softness``; ``block_s``: what starting a block costs; ``starving``:
    blocks per unit at which half of the bandwidth is reached (kernels that split the context
    over units have little). The curve is the share of the bandwidth over log2 of the bytes per
    unit; without one, ``bandwidth_share``.
    """
    units = machine.num_units or TYPICAL_UNITS
    blocks = columns.num_batches / columns.heads_per_kv_head / units
    share = (
        interpolated(curve, np.log2(np.maximum(columns.bytes_moved / units, 1.0)))
        if curve
        else np.full_like(columns.m, constants["bandwidth_share"])
    )
    share = share * blocks / (blocks + constants.get("starving", 0.0))
    arithmetic = columns.flops / (machine.flop_per_s * constants["compute_share"])
    return Parts(
        floor_s=np.full_like(columns.m, machine.pace(constants) * constants["floor_s"]),
        compute_s=arithmetic + machine.pace(constants) * constants.get("block_s", 0.0) * blocks,
        memory_s=columns.bytes_moved / (bandwidths(columns, machine, constants) * share),
        softness=constants.get("softness", 64.0),
    )


Formula = Callable[[Columns, Machine, Constants, Curve], Parts]

FORMULAS: Mapping[OperatorClass, Formula] = {
    "gemm": product_parts,
    "grouped_gemm": product_parts,
    "conv": product_parts,
    "recurrent": product_parts,
    "attention_prefill": prefill_parts,
    "attention_decode": decode_parts,
    "depthwise": traffic_parts,
    "memory": traffic_parts,
}

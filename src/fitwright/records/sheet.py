"""A device as published: every value with its source and how far to trust it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fitwright.records.record import Record

Confidence = Literal["A", "B", "C"]
"""A: a data sheet or a submitted result was read; B: sourced second-hand; C: from memory."""
Kind = Literal["cpu", "gpu", "tpu", "npu", "fpga", "asic"]


class Fact(Record):
    """One published value in base units, with where it is from."""

    value: float
    source: str
    confidence: Confidence


class Rent(Record):
    """What one device costs by the hour, somewhere, on a day."""

    usd_per_s: float
    provider: str
    date: str
    source: str


class Sheet(Record):
    """One device of the catalogue; a missing value is unknown, never zero.

    Attributes:
        id: lower-case words joined by hyphens; unique in the catalogue.
        architecture: devices of one architecture share their kernels' behaviour (``Hopper``).
        family: vendor and line (``nvidia-gpu``, ``intel-cpu``, ``arm-mcu``); the next wider
            scope that evidence is taken from.
        num_units: what work is tiled over: SMs, compute units, cores, NPU cores.
        clock_hz: of the units, boost as published.
        simd_bits: width of the vector registers of one unit (CPUs).
        peaks: dtype (numpy name, ``float8``, ``int4``, ``float4``, ``tf32``) to FLOP/s or OP/s,
            dense, 1 MAC = 2; a dtype without a fast path is absent.
        bandwidth_bytes_per_s: of the memory, both directions together.
        onchip_bytes: last cache or scratch memory.
        flash_bytes: of microcontrollers: where weights and code lie.
        memory_type: ``HBM3e``, ``LPDDR5X``, ``MRDIMM``, ``CXL`` …; a field to explore;
            ``none``: nothing but `onchip_bytes`.
        link: name of the links between devices; `link_bytes_per_s` is one direction.
        host_bytes_per_s: to the host, one direction.
        fabric: of FPGAs: ``lut``, ``ff``, ``dsp``, ``bram36``, ``uram``; numbers of each.
        price_usd: to buy one.
        rents: dated offers.
        runs: names of backends that run here (see the support matrix).
        note: what a reader of the values should know.
    """

    id: str
    name: str
    kind: Kind
    vendor: str
    year: int | None = None
    architecture: str
    family: str
    num_units: Fact | None = None
    clock_hz: Fact | None = None
    simd_bits: Fact | None = None
    peaks: dict[str, Fact] = Field(default_factory=dict)
    memory_bytes: Fact | None = None
    flash_bytes: Fact | None = None
    memory_type: str = ""
    bandwidth_bytes_per_s: Fact | None = None
    onchip_bytes: Fact | None = None
    tdp_w: Fact | None = None
    idle_w: Fact | None = None
    link: str = ""
    link_bytes_per_s: Fact | None = None
    host_bytes_per_s: Fact | None = None
    fabric: dict[str, Fact] = Field(default_factory=dict)
    price_usd: Fact | None = None
    rents: tuple[Rent, ...] = ()
    runs: tuple[str, ...] = ()
    note: str = ""

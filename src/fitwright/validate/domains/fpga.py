"""Dense networks on FPGAs: cycles, seconds and fabric."""

from __future__ import annotations

import re
from typing import get_args

from fitwright.perf.boards import fpga
from fitwright.perf.boards.fpga import Dense, Resource
from fitwright.perf.ladder import estimate
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains import inputs as read

TOOL_CLOCK_HZ = 200e6
"""hls4ml's default period is 5 ns; a case that states a clock says so."""


BITS = ("precision", "quant", "dtype", "bits", "bit_width", "weight_bits")
LAYERS = ("layers", "widths", "layer_sizes", "architecture", "shape", "model")


def predict_fpga(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Latency, initiation interval or a resource of a chain of dense layers."""
    if knowledge.sheet.kind != "fpga":
        return NoData(reason=f"{knowledge.sheet.id} is no FPGA")
    net = dense_of(case.inputs)
    if net is None:
        layers = read.text(case.inputs, *LAYERS)
        if not layers:
            return NoData(reason="the case does not say its layers, as widths: 64-32-32-5")
        return NoData(reason=f"layers {layers!r} are not widths of dense layers (64-32-32-5)")
    metric = case.metric.lower()
    sheet, table = knowledge.sheet, knowledge.evidence
    for resource in get_args(Resource):
        if resource in re.split(r"[^a-z]+", metric):
            return fpga.area(net, resource=resource, sheet=sheet, table=table)
    if "bram" in metric or "uram" in metric:
        return NoData(reason="block memory depends on how weights are packed; not modelled")
    found = fpga.cycles(net, sheet=sheet, table=table)
    if isinstance(found, NoData):
        return found
    if "interval" in metric or "fps" in case.unit.lower() or "throughput" in metric:
        return _pace(found, net, case)
    if "cycle" in metric or "cycle" in case.unit.lower():
        return found
    return _scaled(found, 1 / _clock_hz(case), "s")


def dense_of(inputs: Inputs) -> Dense | None:
    """``64-32-32-5`` with its precision, reuse and sparsity; None: not a dense chain."""
    widths = re.fullmatch(
        r"\s*\d+(?:\s*(?:-|x|,|->|→)\s*\d+)+\s*",
        read.text(inputs, *LAYERS).strip("[]() "),
    )
    if widths is None:
        return None
    weight, activation = bits_of(read.text(inputs, *BITS))
    reuse = read.number(inputs, "reuse_factor", "reuse", "rf") or default_reuse(inputs)
    sparsity = read.number(inputs, "sparsity", "pruning") or 0.0
    return Dense(
        widths=tuple(int(w) for w in re.findall(r"\d+", widths[0])),
        weight_bits=weight,
        activation_bits=activation,
        reuse=max(0, round(reuse)),
        sparsity=min(0.99, sparsity / 100 if sparsity >= 1 else sparsity),
    )


def default_reuse(inputs: Inputs) -> int:
    """Where none is stated: 1 as in hls4ml; 0 (folded to fill the part) for FINN's ``w1a1``."""
    precision = read.text(inputs, *BITS).lower()
    return 0 if re.search(r"w\s*\d+\s*a\s*\d+|binary|ternary", precision) else 1


def bits_of(precision: str) -> tuple[float, float]:
    """Bits of weights and activations: ``12 bit``, ``ap_fixed<16,6>``, ``w2a4``; 16 unstated."""
    lower = precision.lower()
    if pair := re.search(r"w\s*(\d+)\s*a\s*(\d+)", lower):
        return float(pair[1]), float(pair[2])
    if "binary" in lower:
        return 1.0, 1.0
    if "ternary" in lower:
        return 2.0, 2.0
    first = re.search(r"fixed\s*<\s*(\d+)|(\d+)\s*-?\s*bit|int(\d+)|(\d+)", lower)
    bits = float(next(g for g in first.groups() if g)) if first else 16.0
    return bits, bits


def _clock_hz(case: Case) -> float:
    megahertz = read.number(case.inputs, "clock_MHz", "clock", "freq", "frequency")
    return megahertz * 1e6 if megahertz else TOOL_CLOCK_HZ


def _pace(found: Estimate, net: Dense, case: Case) -> Estimate:
    """Cycles between two inputs (the slowest layer), or inferences a second."""
    slowest = max(fpga.reuses(net)) if net.reuse > 1 else max(1.0, found.value / len(net.layers))
    interval = 1.0 if net.reuse == 1 else float(slowest)
    if "interval" in case.metric.lower():
        return _scaled(found, interval / found.value, "cycles")
    return _scaled(found, _clock_hz(case) / interval / found.value, "1/s")


def _scaled(found: Estimate, factor: float, unit: str) -> Estimate:
    spread = found.high / found.value
    return estimate(
        found.value * factor, unit=unit, rung=found.rung, spread=spread, reasons=found.reasons
    )

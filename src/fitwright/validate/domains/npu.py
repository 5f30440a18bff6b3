"""Whole networks on edge NPUs: frames a second and latency."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fitwright.catalog.networks import find_network
from fitwright.perf.boards import npu
from fitwright.perf.boards.npu import Host, Run, engine_style
from fitwright.perf.ladder import estimate
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.workload import Style, Workload
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains import inputs as read

STYLES: Sequence[tuple[str, Style]] = (
    (r"ssd|yolo|nanodet|centernet|retina|detr|mask|face|pose", "detector"),
    (r"mobilenet|efficientnet|mnasnet|shuffle|ghost|fastvit", "depthwise"),
    (r"vit|deit|clip|bert", "vit"),
    (r"swin|levit|cait", "window"),
    (r"dense|harden|inception|squeeze|googlenet|unet|dla", "dense"),
)
"""What a name gives away about a network whose totals the case states."""


def predict_npu(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one sample, or samples a second."""
    run = run_of(case.inputs, host=host_of(case))
    if isinstance(run, NoData):
        return run
    found = npu.seconds(run, sheet=knowledge.sheet, table=knowledge.evidence)
    if isinstance(found, NoData):
        return found
    if is_pace(case):
        return _with(found, 1 / found.value, "1/s")
    return _with(found, found.value * run.batch, "s")


def is_pace(case: Case) -> bool:
    """Whether the figure is a rate."""
    unit = case.unit.lower()
    return "fps" in unit or unit.endswith("/s") or "throughput" in case.metric


def host_of(case: Case) -> Host:
    """What the engine is plugged into, as far as the device's words or the inputs say."""
    said = f"{case.device_text} {read.text(case.inputs, 'host', 'note')}".lower()
    return "embedded" if "dev board" in said or "embedded" in said else "desktop"


def run_of(inputs: Inputs, *, host: Host = "desktop") -> Run | NoData:
    """The network's totals: as the case states them, else as published under its name."""
    name = read.text(inputs, "model", "benchmark", "network")
    network = find_network(name)
    side = read.number(inputs, "input", "side", "resolution")
    if network is not None and side:
        network = network.at_side(side)
    gops, millions = read.number(inputs, "gops"), read.number(inputs, "params_M", "params")
    if gops is None and (macs := read.number(inputs, "gmacs", "macs_G")):
        gops = 2 * macs
    ops = gops * 1e9 if gops else 2 * network.macs if network else 0.0
    weights = millions * 1e6 if millions else network.parameters if network else 0.0
    if ops <= 0:
        return NoData(reason=f"no network {name!r} in the catalogue, nor its gops in the case")
    return Run(
        style=engine_style(network.name, network.style) if network else style_of(name),
        ops=ops,
        weight_bytes=weights,
        activations=_activations(network, ops),
        num_layers=(network.num_layers or 0) if network else 0,
        batch=max(1, round(read.number(inputs, "batch", "batch_size") or 1)),
        network=network.name if network else "",
        host=host,
    )


def style_of(name: str) -> Style:
    """From the name alone; dense convolutions unless it says otherwise."""
    lower = name.lower()
    return next((style for pattern, style in STYLES if re.search(pattern, lower)), "plain")


def _activations(network: Workload | None, ops: float) -> float:
    """Of a network of that name, scaled where the case's totals are of a smaller image."""
    if network is None or network.activations is None:
        return 0.0
    return network.activations * min(1.0, ops / (2 * network.macs))


def _with(found: Estimate, value: float, unit: str) -> Estimate:
    spread = found.high / found.value
    return estimate(value, unit=unit, rung=found.rung, spread=spread, reasons=found.reasons)

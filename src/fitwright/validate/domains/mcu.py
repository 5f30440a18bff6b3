"""MLPerf Tiny on microcontrollers and small FPGAs: latency and energy."""

from __future__ import annotations

import re

from fitwright.catalog.tiny import find_tiny, load_tiny
from fitwright.perf.boards import microcontroller
from fitwright.perf.boards.microcontroller import Small, framework_of
from fitwright.perf.boards.overlay import tiny_latency
from fitwright.perf.ladder import estimate
from fitwright.records.benchmark import TinyNetwork
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains import inputs as read


def predict_mcu(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Latency, energy or pace of one inference."""
    found = network_of(case.inputs)
    if isinstance(found, NoData):
        return found
    name, macs = found
    if knowledge.sheet.kind == "fpga":
        return _on_fpga(case, knowledge, name=name, macs=macs)
    clock = clock_hz(
        read.text(case.inputs, "freq", "clock", "frequency", "clock_MHz", "freq_MHz", "MHz")
    )
    if clock is None:
        if knowledge.sheet.clock_hz is None:
            return NoData(reason=f"{knowledge.sheet.id} has no published clock; give `freq`")
        clock = knowledge.sheet.clock_hz.value
    words = read.text(case.inputs, *read.FRAMEWORK)
    small = Small(network=name, macs=macs, framework=framework_of(words), clock_hz=clock)
    ask = microcontroller.energy if "energy" in case.metric else microcontroller.latency
    answer = ask(small, sheet=knowledge.sheet, table=knowledge.evidence)
    return _as_pace(answer) if _is_pace(case) else answer


def network_of(inputs: Inputs) -> tuple[str, float] | NoData:
    """Name and multiply-adds of the network; the name is empty where only its size is given."""
    named = read.text(inputs, "benchmark", *read.MODEL)
    known: TinyNetwork | None = find_tiny(named)
    if known is not None:
        return known.name, known.macs
    if macs := read.number(inputs, "macs"):
        return "", macs
    if millions := read.number(inputs, "macs_M", "mmacs", "MMACs"):
        return "", millions * 1e6
    if gops := read.number(inputs, "gops"):
        return "", gops * 1e9 / 2
    names = ", ".join(t.name for t in load_tiny())
    return NoData(reason=f"no MLPerf Tiny network {named!r} (known: {names}), nor its macs")


def clock_hz(words: str) -> float | None:
    """``120 MHz``, ``1.0 GHz``, ``277.5M``; a bare number is megahertz. None: not stated."""
    found = re.search(r"([\d.]+)\s*([gmk]?)", words.lower())
    if found is None or not found[1].strip("."):
        return None
    value = float(found[1])
    factor = {"g": 1e9, "m": 1e6, "k": 1e3}.get(found[2], 1.0 if value > 1e5 else 1e6)
    return value * factor


def _on_fpga(case: Case, knowledge: Knowledge, *, name: str, macs: float) -> Estimate | NoData:
    if "energy" in case.metric:
        return NoData(reason="energy of small FPGA designs is not modelled")
    words = read.text(case.inputs, "framework", "flow").lower()
    named = read.text(case.inputs, "benchmark", "model").lower()
    variant = named.split("/", 1)[1] if "/" in named else ""
    answer = tiny_latency(
        network=name,
        variant=variant,
        macs=macs,
        flow="fpgaconvnet" if "convnet" in words else "finn",
        sheet=knowledge.sheet,
        table=knowledge.evidence,
    )
    return _as_pace(answer) if _is_pace(case) else answer


def _is_pace(case: Case) -> bool:
    return "throughput" in case.metric or case.unit.lower().endswith("/s")


def _as_pace(found: Estimate | NoData) -> Estimate | NoData:
    """Inferences a second, one after the other."""
    if isinstance(found, NoData):
        return found
    return estimate(
        1 / found.value,
        unit="1/s",
        rung=found.rung,
        spread=found.high / found.value,
        reasons=found.reasons,
    )

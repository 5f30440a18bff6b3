"""Small networks on the CPUs of edge boards: latency and energy."""

from __future__ import annotations

from fitwright.catalog.benchmarks import find_benchmark
from fitwright.perf.boards import edge
from fitwright.perf.ladder import estimate
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.mlperf import predict_mlperf
from fitwright.validate.domains.mobile_names import layers_of
from fitwright.validate.measures import measures


def predict_edge(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds or joules of one image on a board's CPU; other devices as MLPerf has them."""
    name = read.text(case.inputs, "benchmark", *read.MODEL)
    if knowledge.sheet.kind != "cpu":
        if find_benchmark(name) is None:
            return NoData(reason=f"{knowledge.sheet.id} is no CPU, and {name!r} not of MLPerf")
        return predict_mlperf(case, knowledge)
    framework = framework_of(read.text(case.inputs, *read.FRAMEWORK))
    if framework == "gpu":
        return NoData(reason="this run used the board's GPU, not its CPU")
    layers = layers_of(name, side=read.side(case.inputs))
    if layers is None:
        return NoData(reason=f"no network {name!r}: neither its layers nor its totals are known")
    on = edge.board(knowledge.sheet, knowledge.evidence)
    if isinstance(on, NoData):
        return on
    time = edge.latency(layers, on=on, framework=framework, dtype=dtype_of(case, name))
    if isinstance(time, NoData):
        return time
    if "energy" in case.metric:
        return edge.joules(time, on=on)
    if measures(case.unit) == "a power":
        return edge.watts(on)
    if case.unit.lower().endswith("/s") or "fps" in case.unit.lower():
        spread = time.high / time.value
        return estimate(
            1 / time.value, unit="1/s", rung=time.rung, spread=spread, reasons=time.reasons
        )
    return time


def framework_of(words: str) -> str:
    """``armnn``, ``tflite``, ``gpu`` or empty."""
    lower = words.lower()
    if "opencl" in lower or "gpu" in lower:
        return "gpu"
    if "armnn" in lower or "arm nn" in lower:
        return "armnn"
    known = ("tflite", "tensorflow lite", "ruy", "xnnpack", "litert")
    return "tflite" if any(w in lower for w in known) else ""


def dtype_of(case: Case, name: str) -> str:
    """Of the arithmetic: as said, else as the name says, else float32."""
    said = read.dtype(case.inputs, *read.DTYPE)
    if said:
        return said
    lower = name.lower()
    quantised = "quant" in lower and "non-quant" not in lower and "nonquant" not in lower
    return "int8" if quantised or "int8" in lower else "float32"

"""Whole networks known by their totals: images a second and the time of a batch."""

from __future__ import annotations

import re

from fitwright.catalog.networks import find_network
from fitwright.perf.network.character import style_of
from fitwright.perf.network.time import Mode, Runtime, Setting, evidence_for, network_time
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.workload import Workload
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read


def predict_inference(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Images a second (or the time of a batch) of one network on one device."""
    return _predict(case, knowledge, mode="infer")


def predict_training(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Images a second of training: forward, backward and the optimiser."""
    return _predict(case, knowledge, mode="train")


def _predict(case: Case, knowledge: Knowledge, *, mode: Mode) -> Estimate | NoData:
    workload = workload_of(case)
    if isinstance(workload, NoData):
        return workload
    setting = setting_of(case, knowledge, mode=mode)
    batch = network_time(workload, setting, knowledge.sheet, table=knowledge.evidence)
    if isinstance(batch, NoData):
        return batch
    return batch if asks_for_time(case) else per_second(batch, setting.batch)


def workload_of(case: Case) -> Workload | NoData:
    """The totals that the case states; what it leaves out is taken from the catalogue."""
    name = read.text(case.inputs, "model", "network", "benchmark")
    side = read.number(case.inputs, "img_size", "image_size", "input_size", "resolution") or 0.0
    known = find_network(name)
    known = known.at_side(side) if known and side else known
    macs, parameters = _macs(case), read.number(case.inputs, "params_M", "params_m", "mparams")
    if (macs is None or parameters is None) and known is None:
        return NoData(
            reason=f"the case does not state the multiply-adds and parameters of {name!r}, "
            "and the catalogue does not know it"
        )
    if macs is None and known is not None:
        return known
    written = read.number(case.inputs, "mactivations", "activations_M", "macts")
    return Workload(
        name=name,
        style=known.style if known else style_of(name),
        macs=macs or 0.0,
        parameters=parameters * 1e6 if parameters else (known.parameters if known else 0.0),
        activations=written * 1e6 if written else None,
        num_layers=known.num_layers if known else None,
        side=side or (known.side if known else 224.0),
        source="the case",
    )


def _macs(case: Case) -> float | None:
    """Multiply-adds of one sample; GFLOP and GOP count two for each."""
    gmacs = read.number(case.inputs, "gmacs", "gmac", "GMACs")
    twice = read.number(case.inputs, "gflops", "gops", "gflop")
    found = gmacs if gmacs else (twice / 2 if twice else None)
    return found * 1e9 if found and found > 0 else None


def setting_of(case: Case, knowledge: Knowledge, *, mode: Mode) -> Setting:
    """How it was run; a runtime that nobody states is the one measured on this device."""
    label = read.dtype(case.inputs, "dtype", "precision", "amp_dtype")
    if not label:
        label = "float16" if "amp" in read.text(case.inputs, "dtype").lower() else "float32"
    layout = read.text(case.inputs, "layout").lower()
    if not layout and read.text(case.inputs, "channels_last").lower() in ("true", "1"):
        layout = "nhwc"
    setting = Setting(
        dtype=label,
        batch=max(1, int(read.number(case.inputs, "batch", "batch_size") or 1)),
        mode=mode,
        runtime="eager",
        layout=layout,
    )
    stated = stated_runtime(case)
    return _with_runtime(setting, stated or _measured_runtime(setting, knowledge))


def stated_runtime(case: Case) -> Runtime | None:
    """``compile``, ``runtime``, ``framework`` in whatever words; None: nobody says."""
    said = read.text(case.inputs, "compile", "runtime", "framework", "backend", "mode").lower()
    if re.search(r"eager|false|none|^no$", said):
        return "eager"
    if re.search(r"compile|dynamo|inductor|true|tensorrt|trt|aot|graph", said):
        return "compiled"
    return "openvino" if "openvino" in said else None


def _measured_runtime(setting: Setting, knowledge: Knowledge) -> Runtime:
    """Eager, unless only compiled runs were measured on (or near) this device."""
    choices: tuple[Runtime, ...] = ("eager", "compiled")
    for runtime in choices:
        found = evidence_for(
            _with_runtime(setting, runtime), knowledge.sheet, table=knowledge.evidence
        )
        if found is not None:
            return runtime
    return "eager"


def _with_runtime(setting: Setting, runtime: Runtime) -> Setting:
    return Setting(
        dtype=setting.dtype,
        batch=setting.batch,
        mode=setting.mode,
        runtime=runtime,
        layout=setting.layout,
    )


def asks_for_time(case: Case) -> bool:
    """Whether the figure is a time; otherwise it is a rate."""
    return bool(re.search(r"time|latency|_ms$|_s_per|seconds", case.metric.lower())) or (
        case.unit.strip().lower() in ("ms", "s", "us")
    )


def per_second(batch: Estimate, num_samples: int) -> Estimate:
    """Samples a second from the time of a batch."""
    return Estimate(
        value=num_samples / batch.value,
        low=num_samples / batch.high,
        high=num_samples / batch.low,
        unit="1/s",
        rung=batch.rung,
        reasons=batch.reasons,
    )

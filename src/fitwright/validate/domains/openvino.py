"""OpenVINO's published table: samples a second, latency of one sample, tokens a second."""

from __future__ import annotations

from fitwright.perf.ladder import estimate, nearest
from fitwright.perf.network.character import backbone_style
from fitwright.perf.network.time import Setting, multiplies_in, network_time, peak_of
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.networks import per_second, workload_of
from fitwright.validate.domains.openvino_decode import predict_decode


def predict(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """By the unit: tokens a second, milliseconds of one sample, or samples a second."""
    if case.unit.lower().startswith("tok") or "llm" in case.metric.lower():
        return predict_decode(case, knowledge)
    workload = workload_of(case, knowledge.evidence)
    if isinstance(workload, NoData):
        return workload
    workload = workload.model_copy(update={"style": backbone_style(workload)})
    setting, reasons = setting_of(case, knowledge.sheet)
    one = network_time(workload, setting, knowledge.sheet, table=knowledge.evidence)
    if isinstance(one, NoData):
        return one
    one = one.model_copy(update={"reasons": (*one.reasons, *reasons)})
    if setting.mode == "latency":
        return one
    return _with_gpu(case, knowledge, per_second(one, 1))


def setting_of(case: Case, sheet: Sheet) -> tuple[Setting, tuple[str, ...]]:
    """The run as the table describes it, and what had to be assumed.

    CPUs without arithmetic in 16 bits run such models in 32; Xeon servers of the table have two
    processors (the float32 figures of one of them are 1.4 times its peak).
    """
    dtype, reasons = read.dtype(case.inputs, "dtype", "precision") or "float32", []
    if sheet.kind == "cpu" and dtype in ("float16", "bfloat16"):
        native = "bfloat16" if peak_of(sheet, "bfloat16") else "float32"
        if native != dtype:
            reasons.append(f"{dtype} runs as {native} on this CPU")
        dtype = native
    is_latency = case.unit.strip().lower() in ("ms", "s") or "latency" in case.metric.lower()
    is_server = sheet.kind == "cpu" and any(w in sheet.id for w in ("xeon", "epyc"))
    sockets = 2 if is_server and not is_latency else 1
    if sockets == 2:
        reasons.append("a server of two processors is assumed")
    setting = Setting(
        dtype=dtype,
        mode="latency" if is_latency else "infer",
        runtime="openvino",
        sockets=sockets,
        units=multiplies_in(sheet, dtype),
    )
    return setting, tuple(reasons)


def _with_gpu(case: Case, knowledge: Knowledge, alone: Estimate) -> Estimate | NoData:
    """The CPU together with the GPU beside it, where the note says so."""
    said = read.text(case.inputs, "note", "device", "config").lower()
    if knowledge.sheet.kind != "cpu" or not ("igpu" in said or "together" in said):
        return alone
    both = nearest(knowledge.evidence, knowledge.sheet, what="network/with_gpu/openvino")
    if both is None:
        return NoData(reason=f"nobody measured {knowledge.sheet.name} together with its GPU")
    reason = "the GPU of the same chip adds what it added on the one chip measured"
    return estimate(
        alone.value * both.constants["with_gpu"],
        unit=alone.unit,
        rung="family",
        spread=both.spread * alone.high / alone.value,
        reasons=(*alone.reasons, reason),
    )

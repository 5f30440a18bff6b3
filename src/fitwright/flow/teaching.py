"""What a run's trials teach the calibrated performance model of this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from fitwright.perf.fusion import Runtime
from fitwright.perf.graph_time import GraphTime, Prepared, graph_time, prepare
from fitwright.perf.local import local_sheet, refitted
from fitwright.ports import Tools
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.profile import Confronted, Profile
from fitwright.records.recipe import Adapted, FixShapes, Int8Static, Variant
from fitwright.records.trial import Trial
from fitwright.select.calibration.calibrate import keep_profile, stored_profile

RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "openvino")


def taught(
    trials: Sequence[Trial],
    *,
    summary: ModelSummary,
    device: Device,
    adapted: Adapted,
    tools: Tools,
) -> None:
    """Refit the kept profile by what was measured; nothing happens where there is none."""
    profile = stored_profile(device, cache=tools.cache)
    if profile is None:
        return
    rows = tuple(confronted(trials, profile, summary=summary, device=device, adapted=adapted))
    if rows and (why := keep_profile(refitted(profile, rows), cache=tools.cache)):
        tools.console.say(why)


def confronted(
    trials: Sequence[Trial],
    profile: Profile,
    *,
    summary: ModelSummary,
    device: Device,
    adapted: Adapted,
) -> Iterator[Confronted]:
    """Per backend and dtype the fastest plain trial, beside what the calibration predicts.

    Plain: the model as it came or in static int8, one query at a time on all cores.
    """
    variants = {v.id: v for v in adapted.variants}
    fastest: dict[tuple[Runtime, str], float] = {}
    for trial in trials:
        variant = variants.get(trial.candidate.variant_id)
        runtime = next((r for r in RUNTIMES if r == trial.candidate.backend), None)
        if variant is None or runtime is None or not _is_plain(trial, device):
            continue
        latency, dtype = trial.figures.get("latency_p50"), _dtype(variant, trial)
        if dtype and latency is not None and latency.value:
            known = fastest.get((runtime, dtype), latency.value)
            fastest[runtime, dtype] = min(known, latency.value)
    prepared: dict[Runtime, Prepared] = {r: prepare(summary, runtime=r) for r, _ in fastest}
    sheet, model = local_sheet(device, profile), _digest(summary)
    for (runtime, dtype), measured_s in fastest.items():
        found = graph_time(prepared[runtime], sheet, profile.rows, dtype=dtype)
        if isinstance(found, GraphTime):
            yield Confronted(
                model=model,
                runtime=runtime,
                dtype=dtype,
                predicted_s=found.latency.value,
                measured_s=measured_s,
            )


def _digest(summary: ModelSummary) -> str:
    """The file at its sizes: the same file at another batch is another model."""
    text = json.dumps([summary.sha256, summary.bindings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_plain(trial: Trial, device: Device) -> bool:
    """Whether it ran alone on all cores, as the probes did."""
    settings = trial.candidate.settings
    threads = settings.threads in (None, device.num_cores)
    whole = settings.batch == 1 and settings.parts == 1
    alone = whole and settings.instances == 1 and settings.streams in (None, 1)
    return threads and alone and settings.mode != "throughput" and trial.failure is None


def _dtype(variant: Variant, trial: Trial) -> str:
    """What its products were computed in; empty where the variant is none that is predicted."""
    changed = [r for r in variant.recipes if not isinstance(r, FixShapes)]
    if len(changed) == 1 and isinstance(changed[0], Int8Static):
        return "int8"
    if changed:
        return ""
    used = trial.facts.get("precision", "")
    return used if used in ("float32", "bfloat16") else "float32" if "model" in used else ""

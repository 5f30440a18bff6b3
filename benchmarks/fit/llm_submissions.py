"""What MLPerf submissions of language models reach of their simulation: by benchmark, device,
release of the suite and scenario; see `fitwright.validate.domains.llm_mlperf`.

A ridge regression of log (submitted / simulated) on the offline and server rows. Printed errors
are of offline rows: one row left out, one benchmark of the device, the device, its architecture
(then the simulation itself knows neither the device nor its architecture).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_priors import row
from llm_rows import mlperf_rows
from ridge import Design, Key, Model, quantile, say, total

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.llm_mlperf import (
    MLPERF,
    MLPERF_DEVICE,
    MLPERF_RELEASE,
    predict_mlperf_offline,
    release_of,
    scenario_of,
)

SOURCE = "MLPerf inference v4.1 and v5.1, offline and server (mlperf_best_per_device.csv)"
KINDS = ("gpu", "cpu", "npu", "tpu", "asic")
NOISE = 0.12
EXPECTED = {
    "all": 0.2,
    "task": 0.3,
    "device": 0.12,
    "release": 0.08,
    "server": 0.15,
    "server kind": 0.3,
}
"""How much an effect is expected to move the logarithm: tasks differ in how their lengths scatter
and how old their kernels are, devices in who submitted, software gains by the release, and under
a limit on each token processors lose more than GPUs."""
Table = tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Submission:
    """One row, and what it submitted over its simulation with and without evidence of its own
    architecture."""

    task: str
    case: Case
    off: float
    off_bare: float

    @property
    def sheet(self) -> Sheet:
        return find_sheet(self.case.device_id)


def features(found: Submission) -> dict[Key, float]:
    effects: dict[Key, float] = {
        ("all",): 1.0,
        ("task", found.task): 1.0,
        ("device", found.case.device_id): 1.0,
        ("release",): float(release_of(found.case)),
    }
    if scenario_of(found.case) == "server":
        effects["server",] = effects["server kind", found.sheet.kind] = 1.0
    return effects


def without_architecture(table: Table, sheet: Sheet) -> Table:
    """As if the architecture had been announced yesterday: nothing of it, nor of its family where
    this rests on no other (8 bits of NVIDIA: Hopper alone)."""
    return tuple(
        e
        for e in table
        if not (e.rung == "device" and find_sheet(e.scope).architecture == sheet.architecture)
        and not (e.rung == "architecture" and e.scope == sheet.architecture)
        and not (e.rung == "family" and e.scope == sheet.family and "8" in e.dtype)
    )


def submissions(data: Path, table: Table) -> list[Submission]:
    found = []
    for task, asked in mlperf_rows(data):
        sheet = find_sheet(asked.device_id)
        known, bare = (
            predict_mlperf_offline(asked, Knowledge(sheet=sheet, evidence=t))
            for t in (table, without_architecture(table, sheet))
        )
        assert isinstance(known, Estimate) and isinstance(bare, Estimate) and asked.measured
        off, off_bare = asked.measured / known.value, asked.measured / bare.value
        found.append(Submission(task=task, case=asked, off=off, off_bare=off_bare))
    return found


def mlperf_evidence(
    data: Path, rows: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rows of evidence, and the 80 % bands by rung."""
    table = (*(Evidence.model_validate(r) for r in rows), *evidence("collectives"))
    found = submissions(data, table)
    lines, log = [features(f) for f in found], [math.log(f.off) for f in found]
    design = Design(lines, log, expected=EXPECTED, noise=NOISE)
    bare = Design(lines, [math.log(f.off_bare) for f in found], expected=EXPECTED, noise=NOISE)
    groups = {
        "one row left out": (design, [(f.case.device_id, f.task, f.case.inputs["version"],
                                       f.case.inputs["scenario"]) for f in found]),
        "one run left out, both scenarios": (
            design, [(f.case.device_id, f.task, f.case.inputs["version"]) for f in found]),
        "benchmark of the device left out": (
            design, [(f.case.device_id, f.task) for f in found]),
        "device left out": (design, [f.case.device_id for f in found]),
        "architecture left out": (bare, [f.sheet.architecture for f in found]),
    }  # fmt: skip
    spreads = {}
    for name, (fitted, left_out) in groups.items():
        errors = fitted.held_out(left_out, total)
        for scenario in ("offline", "server"):
            of = [e for f, e in zip(found, errors, strict=True) if scenario_of(f.case) == scenario]
            say(f"MLPerf {scenario}, {name}", of)
        spreads[name] = quantile(errors)
    rows_found = _rows(design.fit_all(), found, spreads)
    return rows_found, _bands(spreads)


def _bands(spreads: dict[str, float]) -> dict[str, float]:
    """By rung, none narrower than on a nearer one."""
    near = spreads["benchmark of the device left out"]
    architecture = max(near, spreads["device left out"])
    family = max(architecture, spreads["architecture left out"])
    return {"measured": near, "device": near, "architecture": architecture, "family": family,
            "kind": family}  # fmt: skip


def _rows(
    model: Model, found: Sequence[Submission], spreads: dict[str, float]
) -> list[dict[str, Any]]:
    wide, own = spreads["device left out"], spreads["benchmark of the device left out"]
    rows = []
    for kind in KINDS:
        server = math.exp(min(0.0, model["server",] + model.get(("server kind", kind), 0.0)))
        shared = {
            "factor": math.exp(model["all",]),
            "per_release": max(1.0, math.exp(model["release",])),
            "server": server,
            "interactive": server,
        }
        rows.append(row(MLPERF_RELEASE, "", "kind", kind, shared, spread=wide,
                        num_points=len(found), source=SOURCE))  # fmt: skip
    for task in dict.fromkeys(f.task for f in found):
        count = sum(f.task == task for f in found)
        rows += [row(MLPERF, task, "kind", kind, {"factor": math.exp(model["task", task])},
                     spread=wide, num_points=count, source=SOURCE) for kind in KINDS]  # fmt: skip
    for device in dict.fromkeys(f.case.device_id for f in found):
        count = sum(f.case.device_id == device for f in found)
        rows.append(row(MLPERF_DEVICE, "", "device", device,
                        {"factor": math.exp(model["device", device])}, spread=own,
                        num_points=count, source=SOURCE))  # fmt: skip
    return rows

"""Predicts rows about the memory that training takes on one device."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from fitwright.perf.ladder import estimate, nearest
from fitwright.perf.training.memory import (
    activation_bytes,
    block_activation_bytes,
    peak_bytes,
    state_bytes,
)
from fitwright.perf.training.replay import reserved_bytes
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains.training_inputs import Ran, read

FORMULA_SPREAD = 1.05
"""Korthikanti et al.'s own bars (figures 1 and 7) lie within 0.5 % of their formulas; frameworks
differ in what they keep."""
KIN = {"megatron-2022": ("megatron",), "oneflow": ("megatron",), "megatron": ("oneflow",)}
"""Whose peaks stand for a software without measurements; torchtitan's for all others."""
FORMULA = "Korthikanti et al. 2022 (arXiv 2205.05198), formulas of section 4"

REPLAY = "allocations of a step of Megatron-LM (2021) in order, under PyTorch's caching allocator"


def predict_memory(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Activations, states or the peak of one device, in bytes; shares of activations in percent."""
    ran = read(case)
    if isinstance(ran, NoData):
        return ran
    metric = case.metric.lower()
    if "pct" in metric or "percent" in metric or "share" in metric:
        return _answer(_share(ran), ran, case)
    if "activation" in metric:
        return _answer(float(activation_bytes(ran.shape, ran.layout)), ran, case)
    if "param" in metric or "optimi" in metric or "state" in metric:
        return _answer(float(state_bytes(ran.shape, ran.layout)), ran, case)
    return _peak(ran, case, knowledge)


def _share(ran: Ran) -> float:
    """Activations against those of the same block with nothing recomputed nor split further."""
    plain = replace(ran.layout, recompute="none", sequence_parallel=False)
    kept = float(block_activation_bytes(ran.shape, ran.layout))
    return kept / float(block_activation_bytes(ran.shape, plain))


def _answer(value: float, ran: Ran, case: Case) -> Estimate:
    return estimate(
        value,
        unit=case.unit,
        rung="device",
        spread=FORMULA_SPREAD,
        reasons=(FORMULA, *ran.notes),
    )


def states(inputs: Inputs, usual: Mapping[str, float]) -> dict[str, float]:
    """Bytes per parameter: 8-bit and 4-bit optimisers, and training in bfloat16 throughout."""
    said = " ".join(str(v).lower() for v in inputs.values())
    names = ("weight_bytes", "gradient_bytes", "optimiser_bytes")
    found = {name: usual[name] for name in names}
    if "bf16 full" in said:
        found = dict.fromkeys(names, 2.0) | {"optimiser_bytes": 4.0}
    if "adam" in said and re.search(r"8-bit|fp8|float8|4-bit", said):
        found["optimiser_bytes"] = 1.0 if "4-bit" in said else 2.0
    return found


def _peak(ran: Ran, case: Case, knowledge: Knowledge) -> Estimate | NoData:
    found = None
    for software in (ran.software, *KIN.get(ran.software, ("titan",))):
        found = found or nearest(
            knowledge.evidence, knowledge.sheet, what=f"training/memory/{software}"
        )
    if found is None:
        return NoData(reason=f"no measured peak of memory in training on a {knowledge.sheet.kind}")
    c = found.constants
    if replays(ran):
        memory = knowledge.sheet.memory_bytes
        limit = memory.value - c["workspace_bytes"] if memory else float("inf")
        value = reserved_bytes(ran.shape, ran.layout, limit_bytes=limit) + c["workspace_bytes"]
    else:
        value = float(
            peak_bytes(
                ran.shape,
                ran.layout,
                **states(case.inputs, c),
                **{k: c[k] for k in ("embedding_copies", "boundary_copies")},
                **{k: c[k] for k in ("workspace_bytes", "logit_each", "slack")},
            )
        )
    return estimate(
        value,
        unit=case.unit,
        rung=found.rung,
        spread=found.spread,
        reasons=(
            REPLAY if replays(ran) else FORMULA,
            f"states and workspace from {found.source}",
            *ran.notes,
        ),
    )


def replays(ran: Ran) -> bool:
    """Whether the run is one whose allocations are known in order."""
    plain = ran.layout.recompute == "full" and not ran.layout.sequence_parallel
    return ran.software == "megatron" and plain and ran.layout.zero == 0 and ran.layout.ep == 1

"""Predicts rows about the memory that training takes on one device."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fitwright.perf.ladder import FLOOR_SPREAD, estimate, nearest
from fitwright.perf.training.memory import (
    activation_bytes,
    allocated_bytes,
    block_activation_bytes,
    peak_bytes,
    state_bytes,
)
from fitwright.perf.training.replay import reserved_bytes
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains.training_inputs import ZERO_NAMES, Ran, read

FORMULA_SPREAD = 1.05
"""Korthikanti et al.'s own bars (figures 1 and 7) lie within 0.5 % of their formulas; frameworks
differ in what they keep."""
MIXED_BYTES = {"weight_bytes": 4.0, "gradient_bytes": 4.0, "optimiser_bytes": 8.0}
ZERO_BYTES = {"weight_bytes": 2.0, "gradient_bytes": 2.0, "optimiser_bytes": 12.0}
"""Rajbhandari et al. 2020 (ZeRO, arXiv 1910.02054), section 3.1: ``2 + 2 + 12``."""
LOGIT_BYTES = 6.0
"""Logits in bfloat16 and once in float32, while the loss is computed."""
KIN = {"megatron-2022": ("megatron",), "oneflow": ("megatron",), "megatron": ("oneflow",)}
"""Whose peaks stand for a software without measurements; torchtitan's for all others."""
FORMULA = "Korthikanti et al. 2022 (arXiv 2205.05198), formulas of section 4"

NF4_BYTES = 0.516
"""4 bits and 0.127 for its scales, quantised twice (Dettmers et al. 2023, QLoRA, section 3)."""
ALLOCATED_SPREAD = 1.1
"""Of peaks of one device: torchao's twelve rows (`benchmarks/fit/training_memory_fit.py`)."""
ELSEWHERE_SPREAD = 1.2
"""What another software's constants, or a mode without measurements, add to the band."""
REPLAY = "allocations of a step of Megatron-LM (2021) in order, under PyTorch's caching allocator"


def predict_memory(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Activations, states or the peak of one device, in bytes; shares of activations in percent."""
    ran = read(case)
    if isinstance(ran, NoData):
        return ran
    if ran.layout.ep > 1:
        return NoData(reason="no measured memory of training with experts spread over devices")
    metric = case.metric.lower()
    if "pct" in metric or "percent" in metric or "share" in metric:
        return _answer(_share(ran), ran, case)
    if "activation" in metric:
        return _answer(float(activation_bytes(ran.shape, ran.layout)), ran, case)
    if "param" in metric or "optimi" in metric or "state" in metric:
        return _answer(_states(ran, case.inputs), ran, case)
    return _peak(ran, case, knowledge)


def _share(ran: Ran) -> float:
    """Activations against those of the same block with nothing recomputed nor split further."""
    plain = replace(ran.layout, recompute="none", sequence_parallel=False)
    kept = float(block_activation_bytes(ran.shape, ran.layout))
    return kept / float(block_activation_bytes(ran.shape, plain))


def counted(
    value: float, *, unit: str, rung: Rung, spread: float, reasons: tuple[str, ...]
) -> Estimate:
    """A peak with the band of its software's held-out errors, on whatever device: bytes are
    counted there, not timed, so that a wider rung adds nothing."""
    band = max(spread, FLOOR_SPREAD["device"])
    return Estimate(
        value=value, low=value / band, high=value * band, unit=unit, rung=rung, reasons=reasons
    )


def _states(ran: Ran, inputs: Inputs) -> float:
    """Of the blocks, as Korthikanti et al. draw them; of all parameters where ZeRO is asked for."""
    if not shared_out(inputs):
        return float(state_bytes(ran.shape, ran.layout))
    copies = 2.0 if ran.shape.ffn_matrices == 3 else 1.0  # gated models rarely tie their two
    found = states(inputs, ZERO_BYTES)
    return float(state_bytes(ran.shape, ran.layout, embedding_copies=copies, **found))


def shared_out(inputs: Inputs) -> bool:
    """Whether a row asks for a stage of ZeRO."""
    return any(name in ZERO_NAMES for name in map(str.lower, inputs))


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
    every = [str(v).lower() for v in inputs.values()]
    said = " ".join(every)
    names = ("weight_bytes", "gradient_bytes", "optimiser_bytes")
    found = {name: (ZERO_BYTES if shared_out(inputs) else usual)[name] for name in names}
    if narrow(every):
        found = dict.fromkeys(names, 2.0) | {"optimiser_bytes": 4.0}
    if "int8 qt" in said:  # quantised training: weights in int8, gradients and moments not
        found = {"weight_bytes": 1.0, "gradient_bytes": 2.0, "optimiser_bytes": 4.0}
    if "adam" in said and re.search(r"8-?bit|fp8|float8|4-?bit", said):
        found["optimiser_bytes"] = 1.0 if re.search(r"4-?bit", said) else 2.0
    if "lora" in said or "lora_rank" in inputs:
        found["weight_bytes"] = NF4_BYTES if re.search(r"qlora|nf4|4-?bit", said) else 2.0
    return found


def narrow(said: Sequence[str]) -> bool:
    """Whether weights, gradients and moments are all bfloat16: said so, or without AMP."""
    pattern = re.compile(r"bf16 full|full bf16|pure[ _]bf16|^bf16 (eager|compile)")
    return any(pattern.search(value) for value in said)


def _peak(ran: Ran, case: Case, knowledge: Knowledge) -> Estimate | NoData:
    if ran.alone:
        return _alone(ran, case)
    found, near = None, 1.0
    for software in (ran.software, *KIN.get(ran.software, ("titan",))):
        if found is None:
            what = f"training/memory/{software}"
            found = nearest(knowledge.evidence, knowledge.sheet, what=what)
            near = 1.0 if software == ran.software else ELSEWHERE_SPREAD
    if found is None:
        return NoData(reason=f"no measured peak of memory in training on a {knowledge.sheet.kind}")
    c = dict(found.constants)
    if ran.software == "megatron-2022":  # it sums gradients in float32 from the start
        c["gradient_bytes"] = MIXED_BYTES["gradient_bytes"]
    if replays(ran):
        memory = knowledge.sheet.memory_bytes
        limit = memory.value - c["workspace_bytes"] if memory else float("inf")
        value = reserved_bytes(ran.shape, ran.layout, limit_bytes=limit) + c["workspace_bytes"]
    else:
        if ran.software == "megatron":
            near = ELSEWHERE_SPREAD
        value = float(
            peak_bytes(
                ran.shape,
                ran.layout,
                **states(case.inputs, c),
                **{k: c[k] for k in ("embedding_copies", "boundary_copies")},
                **{k: c[k] for k in ("workspace_bytes", "logit_each", "slack")},
            )
        )
    return counted(
        value,
        unit=case.unit,
        rung=found.rung,
        spread=found.spread * near,
        reasons=(
            REPLAY if replays(ran) else FORMULA,
            f"states and workspace from {found.source}",
            *ran.notes,
        ),
    )


def _alone(ran: Ran, case: Case) -> Estimate:
    """One device under plain PyTorch: what is allocated, libraries not counted."""
    said = " ".join(str(v).lower() for v in case.inputs.values())
    value = allocated(ran, case.inputs, amp=bool(re.search(r"\bamp", said)))
    return counted(
        value,
        unit=case.unit,
        rung="kind",
        spread=ALLOCATED_SPREAD * (ELSEWHERE_SPREAD if ran.layout.adapter_rank else 1.0),
        reasons=(FORMULA, "allocated, without libraries and gaps", *ran.notes),
    )


def allocated(ran: Ran, inputs: Inputs, *, amp: bool) -> float:
    """Peak of one device, bytes; under AMP the float32 weights have bfloat16 copies, and sums of
    the residual stream stay float32."""
    layout = ran.layout
    return float(
        allocated_bytes(
            ran.shape,
            layout,
            **states(inputs, MIXED_BYTES),
            logit_each=LOGIT_BYTES,
            cast_bytes=layout.value_bytes if amp else 0.0,
            residual_bytes=4.0 if amp else layout.value_bytes,
        )
    )


def replays(ran: Ran) -> bool:
    """Whether the run is one whose allocations are known in order."""
    plain = ran.layout.recompute == "full" and not ran.layout.sequence_parallel
    return ran.software == "megatron" and plain and ran.layout.zero == 0 and ran.layout.ep == 1

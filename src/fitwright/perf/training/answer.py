"""A training step as an estimate: evidence and sheet to constants, seconds to a band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.collective import DEVICES_PER_NODE, Network, Operation, Pace, network, pace
from fitwright.perf.ladder import nearest
from fitwright.perf.training.layout import Layout, Shape
from fitwright.perf.training.step import Efficiency, Machine, StepTime, step_time
from fitwright.records.estimate import NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Software = Literal["megatron", "megatron-2022", "oneflow", "fsdp", "titan", "eager"]
"""Whose kernels and schedule: Megatron-LM of 2021 and of 2022; OneFlow; FSDP as in llm-foundry
(eager, Triton attention); torchtitan and torchao (compiled FSDP2); plain PyTorch."""
RIDGE_EXPONENT = 0.5
"""Shares fall with the root of the ridge (FLOP per byte of the device): a step is part compute,
part traffic, so its pace goes with the geometric mean of peak and bandwidth."""
OWN_RIDGE_EXPONENT = 0.15
"""Within one architecture a faster memory alone changes less: llm-foundry's runs on A100 with
1.56 and 2.04 TB/s reach the same share of the peak within 5 %."""
NEAR: tuple[Rung, ...] = ("measured", "device", "architecture")
TWIN_SPREAD = 1.12
"""What the other software of a schedule adds to the band: llm-foundry and torchtitan on H100."""
_TWINS = {
    "titan": "fsdp",
    "fsdp": "titan",
    "megatron": "megatron-2022",
    "megatron-2022": "megatron",
}
_OPERATIONS: tuple[Operation, ...] = ("all_reduce", "all_gather", "reduce_scatter", "send")
_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "oneflow": ("megatron",),
    "titan": ("fsdp",),
    "fsdp": ("titan",),
    "eager": ("megatron",),
    "megatron": ("megatron-2022", "fsdp"),
    "megatron-2022": ("megatron", "fsdp"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Footing:
    """All that a step's time on a device rests on."""

    efficiency: Efficiency
    machine: Machine
    rung: Rung
    spread: float
    source: str


def footing(
    sheet: Sheet,
    table: Iterable[Evidence],
    *,
    software: Software,
    dtype: str,
    layout: Layout,
    joined: Network | None = None,
    node: int | None = None,
) -> Footing | NoData:
    """The constants for one software and dtype on a device.

    Args:
        dtype: of the arithmetic; float8 products are asked for besides, by the layout.
        joined: network between nodes; as usual for the device by default.
        node: devices of one node; as usual for the device by default.
    """
    rows = tuple(table)
    narrow = "float8" if layout.float8 else dtype
    peak, fast = sheet.peaks.get(dtype), sheet.peaks.get(narrow)
    if peak is None or fast is None:
        return NoData(reason=f"{sheet.id} has no fast path for {dtype if peak is None else narrow}")
    if sheet.bandwidth_bytes_per_s is None:
        return NoData(reason=f"the memory bandwidth of {sheet.id} is unknown")
    found = _evidence(rows, sheet, software=software, dtype=dtype)
    if found is None:
        return NoData(reason=f"no measured {dtype} training on any {sheet.kind} like {sheet.id}")
    joined = joined or network(sheet, rows)
    paces = {o: pace(o, sheet=sheet, table=rows, ranks=8) for o in _OPERATIONS}
    return Footing(
        efficiency=efficiency(
            found.constants, sheet, dtype=dtype, layout=layout, exponent=exponent(found.rung)
        ),
        machine=Machine(
            flop_per_s=fast.value,
            wide_flop_per_s=peak.value,
            bytes_per_s=sheet.bandwidth_bytes_per_s.value,
            paces={o: p for o, p in paces.items() if isinstance(p, Pace)},
            network=joined,
            node=node or (joined.node if joined else DEVICES_PER_NODE),
        ),
        rung=found.rung,
        spread=found.spread,
        source=found.source,
    )


def efficiency(
    c: Mapping[str, float],
    sheet: Sheet,
    *,
    dtype: str,
    layout: Layout,
    exponent: float = RIDGE_EXPONENT,
) -> Efficiency:
    """Constants moved to the device's ridge; exact where the evidence is of the device.

    ``float8_tensorwise`` and ``float8_rowwise`` multiply the share of the float8 peak, ``eager``
    the traffic where elementwise operators are not fused.
    """
    ridge = sheet.peaks[dtype].value / sheet.bandwidth_bytes_per_s.value  # type: ignore[union-attr]
    moved = (c["ridge"] / ridge) ** exponent
    share = c["share"] * (c[f"float8_{layout.float8}"] if layout.float8 else 1.0)
    return Efficiency(
        share=min(share * moved, 1.0),
        size=c["size"],
        attention_share=min(c["attention_share"] * moved, 1.0),
        traffic=c["traffic"] * (1.0 if layout.compiled else c["eager"]),
        block_s=c["block_s"],
        step_s=c["step_s"],
        alone_s=c.get("alone_s", c["step_s"]),
        overlap=c["overlap"],
        contention=c["contention"],
        selective=c.get("selective", 0.0),
        cast_bytes=c.get("float8_cast", 0.0),
    )


def exponent(rung: Rung) -> float:
    """How shares move with the ridge, by how near the evidence is."""
    return OWN_RIDGE_EXPONENT if rung in NEAR else RIDGE_EXPONENT


def step_on(shape: Shape, layout: Layout, found: Footing) -> StepTime | NoData:
    """The parts of a step's time; no data where the layout needs links that nobody knows."""
    alone = not found.machine.paces
    if alone and layout.devices > 1:
        return NoData(reason="the layout needs several devices and their link is unknown")
    return step_time(shape, layout, found.efficiency, found.machine)


def _evidence(
    rows: tuple[Evidence, ...], sheet: Sheet, *, software: str, dtype: str
) -> Evidence | None:
    """Of the software itself; else of its nearest kin, float16 and bfloat16 as one.

    A twin, of the same schedule, on this very architecture says more than the software itself on
    another: FSDP on A100 as llm-foundry runs it, for torchtitan there.
    """
    own = _of(rows, sheet, software, dtype)
    if own is not None and own.rung in NEAR:
        return own
    twin = _of(rows, sheet, _TWINS.get(software, software), dtype)
    if twin is not None and twin.rung in NEAR:
        return twin.model_copy(update={"spread": twin.spread * TWIN_SPREAD})
    others = (_of(rows, sheet, name, dtype) for name in _ELSEWHERE.get(software, ()))
    return own or next((e for e in others if e is not None), None)


def _of(rows: tuple[Evidence, ...], sheet: Sheet, software: str, dtype: str) -> Evidence | None:
    kin = {"float16": ("float16", "bfloat16"), "bfloat16": ("bfloat16", "float16")}
    for said in kin.get(dtype, (dtype,)):
        found = nearest(rows, sheet, what=f"training/{software}", dtype=said)
        if found is not None:
            return found
    return None

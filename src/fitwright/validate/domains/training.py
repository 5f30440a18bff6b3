"""Predicts rows about training steps: their time, in whatever way the row states it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from fitwright.perf.ladder import estimate
from fitwright.perf.training.answer import Footing, footing, step_on
from fitwright.perf.training.flops import megatron_flop, model_flop
from fitwright.perf.training.layout import Layout, Shape
from fitwright.perf.training.memory import peak_bytes
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.training_inputs import Ran, read
from fitwright.validate.domains.training_memory import predict_memory

FREE_MICRO_BATCHES = (1, 2, 4, 8, 16)
DERIVED_SPREAD = 1.25
"""What a shape derived from a size adds to the band (widths of one size differ so much), and what
adapters add: no run with them is measured."""


def predict_training(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Step time, throughput, FLOP/s or memory of one training run."""
    if re.search(r"mem|activations?_|optimi[sz]er|gib|mib", case.metric.lower()):
        return predict_memory(case, knowledge)
    ran = read(case)
    if isinstance(ran, NoData):
        return ran
    if ran.layout.ep > 1:
        return NoData(reason="no measured training with experts spread over devices")
    found = footing(
        knowledge.sheet,
        knowledge.evidence,
        software=ran.software,
        dtype=ran.dtype,
        layout=ran.layout,
    )
    if isinstance(found, NoData):
        return found
    layout = chosen(ran, found, knowledge.sheet) if ran.free else ran.layout
    time = step_on(ran.shape, layout, found)
    if isinstance(time, NoData):
        return time
    value = stated(float(time.total_s), ran.shape, layout, case, peak=found.machine.flop_per_s)
    if isinstance(value, NoData):
        return value
    unsure = any("derived" in note or "adapters" in note for note in ran.notes)
    return estimate(
        value,
        unit=case.unit,
        rung=found.rung,
        spread=found.spread * (DERIVED_SPREAD if unsure else 1.0),
        reasons=(f"constants from {found.source}", *ran.notes, *_choice(ran, layout)),
    )


def stated(
    step_s: float, shape: Shape, layout: Layout, case: Case, *, peak: float
) -> float | NoData:
    """The step in the row's metric, in base units.

    Args:
        peak: of the products' dtype, FLOP/s: what shares of a peak (MFU, HFU) are stated of.
    """
    metric, unit = case.metric.lower(), case.unit.lower()
    sequences, devices = float(layout.global_batch()), float(layout.devices)
    each = "per_gpu" in metric or "per gpu" in unit or "/gpu" in unit or "per_chip" in metric
    over = devices * step_s if each else step_s
    if "mfu" in metric or "hfu" in metric:
        again = 4 / 3 if "hfu" in metric and layout.recompute == "full" else 1.0
        return again * float(model_flop(shape)) * sequences / (devices * step_s * peak)
    if re.search(r"flop|pct_of_peak|percent_of_peak|peak_pct", metric):
        total = _counted_flop(shape, layout) * sequences / step_s
        if "peak" in metric:
            return total / (devices * peak)
        return total if "aggregate" in metric or "total" in metric else total / devices
    if "tok" in metric or unit.startswith("tok"):
        return sequences * float(shape.seq_len) / over
    if re.search(r"sample|seq_per|sequences|images|img", f"{metric} {unit}"):
        return sequences / over
    if re.search(r"iter|step|e2e|latency|time|_ms|_s$", metric):
        return step_s
    return NoData(reason=f"no training quantity is called {case.metric!r}")


def _counted_flop(shape: Shape, layout: Layout) -> float:
    """Of one sequence as the authors count: Megatron-LM a recomputation where there is one."""
    if shape.dropout is not True:
        return float(model_flop(shape))
    return float(megatron_flop(shape)) * (1.0 if layout.recompute == "full" else 0.75)


def chosen(ran: Ran, found: Footing, sheet: Sheet) -> Layout:
    """The fastest micro batch and interleaving that fit: what a careful author would have taken."""
    layouts = [a for a in _variants(ran) if _fits(ran.shape, a, sheet)] or [ran.layout]
    return min(layouts, key=lambda a: _seconds(ran.shape, a, found))


def _seconds(shape: Shape, layout: Layout, found: Footing) -> float:
    time = step_on(shape, layout, found)
    return float("inf") if isinstance(time, NoData) else float(time.total_s)


def _variants(ran: Ran) -> Iterator[Layout]:
    base = ran.layout
    per_rank = int(base.micro_batch * base.micro_batches)
    stage = int(ran.shape.layers) // max(int(base.pp), 1)
    for micro in FREE_MICRO_BATCHES:
        count = per_rank // micro
        if per_rank % micro:
            continue
        yield replace(base, micro_batch=micro, micro_batches=count)
        # an interleaved schedule of the fewest pieces; it needs whole rounds of micro batches
        fewest = next((v for v in range(2, stage + 1) if stage % v == 0), 1)
        if base.pp > 1 and fewest > 1 and count % int(base.pp) == 0:
            yield replace(base, micro_batch=micro, micro_batches=count, interleave=fewest)


def _fits(shape: Shape, layout: Layout, sheet: Sheet) -> bool:
    if sheet.memory_bytes is None:
        return True
    return float(peak_bytes(shape, layout, embedding_copies=1)) <= sheet.memory_bytes.value


def _choice(ran: Ran, layout: Layout) -> tuple[str, ...]:
    if not ran.free:
        return ()
    return (
        f"micro batch {layout.micro_batch} and {layout.interleave} pieces per stage taken as the "
        "fastest that fit, since the row states neither",
    )

"""`fitwright analyze`, `select` and `design`: the first three steps on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitwright import units
from fitwright.cli.output import Json, Target, answer, lines, progress, table
from fitwright.start import open_target

if TYPE_CHECKING:
    from fitwright.records.model import ModelSummary, OperatorCost, TensorInfo

NUM_SHOWN = 12  # operators in the terminal's table; --json has them all


def analyze(target: Target, json: Json = False) -> None:
    """Step 1: what must hold, and what the model costs, operator by operator."""
    from fitwright.flow.steps import analyze_step, model_line
    from fitwright.start import local_tools

    contract, folder = open_target(target)
    with progress(quiet=json) as console:
        analysis = analyze_step(contract, folder=folder, tools=local_tools(console)).analysis
    if json:
        return answer(analysis.model_dump(mode="json"))
    summary = analysis.summary
    lines(model_line(summary))
    lines(f"inputs  {_tensors(summary.inputs)}", f"outputs {_tensors(summary.outputs)}")
    lines(f"activations at peak {units.bytes_(summary.peak_activation_bytes)}")
    _operators(summary)
    limits = [
        (x.name, "≤" if x.sense == "at_most" else "≥", units.show(x.bound, x.unit))
        for x in analysis.need.limits
    ]
    table("What must hold", ("limit", "", "bound"), limits)
    lines(*analysis.need.notes)
    return None


def design(target: Target, json: Json = False) -> None:
    """Step 3: placement, memory plan and the runtime settings worth trying."""
    from fitwright.flow.steps import analyze_step, design_step, select_step
    from fitwright.start import local_tools

    contract, folder = open_target(target)
    with progress(quiet=json) as console:
        tools = local_tools(console)
        analyzed = analyze_step(contract, folder=folder, tools=tools)
        _, device = select_step(analyzed, tools=tools)
        plan = design_step(analyzed, device, tools=tools)
    if json:
        return answer(plan.model_dump(mode="json"))
    rows = [(b.backend, s.describe()) for b in plan.backends for s in b.settings]
    table("Settings worth trying", ("backend", "settings"), rows)
    memory = plan.memory
    lines(
        f"memory plan: {len(memory.buffers)} activations in {units.bytes_(memory.arena_bytes)} "
        f"({memory.method}; lower bound {units.bytes_(memory.lower_bound_bytes)})",
        *plan.notes,
    )
    return None


def _tensors(tensors: tuple[TensorInfo, ...]) -> str:
    return ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in tensors)


def _all_flops(operator: OperatorCost) -> int:
    """Matmul-like and elementwise, as the arithmetic intensity beside it counts them."""
    return (operator.flops or 0) + (operator.elementwise_flops or 0)


def _operators(summary: ModelSummary) -> None:
    ranked = sorted(summary.operators, key=_all_flops, reverse=True)[:NUM_SHOWN]
    rows = [
        (
            o.name[:40],
            o.kind,
            "no rule" if o.flops is None else units.count(_all_flops(o), "FLOP"),
            units.bytes_(o.bytes_read + o.bytes_written),
            "" if o.arithmetic_intensity is None else f"{o.arithmetic_intensity:.1f}",
        )
        for o in ranked
    ]
    title = f"The {len(rows)} largest of {len(summary.operators)} operators"
    table(title, ("name", "kind", "FLOP", "bytes", "FLOP/byte"), rows)
    for u in summary.uncounted:
        lines(f"not counted: {u.num_operators} x {u.domain or 'ai.onnx'}.{u.kind}: {u.reason}")

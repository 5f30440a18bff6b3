"""Steps 1 to 3 wired to their tools: need, hardware, plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fitwright import units
from fitwright.adapt.buckets import computed, planned
from fitwright.adapt.propose import agenda
from fitwright.analyze.analyze import Analyzed, analyze
from fitwright.bench.agreement import is_trained_classifier, score
from fitwright.bench.metrics import Metric, metric_from
from fitwright.bench.padding import own_lengths, without_padding
from fitwright.design.plan import design
from fitwright.executors.loadgen import check_loadgen
from fitwright.ports import ChildLimits, Tools
from fitwright.records.agenda import Agenda
from fitwright.records.contract import Contract, Limits
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Plan
from fitwright.records.recipe import Recipe
from fitwright.records.selection import Selection
from fitwright.select.find import check_measurable
from fitwright.select.local import local_device
from fitwright.select.select import select

READ_LIMITS = ChildLimits(wall_s=60.0, memory_bytes=8 << 30)
_CHILD_SHARE = 0.4  # candidate and incumbent run at once, and the parent needs room too


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What steps 1 to 3 found: all that a search needs to begin."""

    contract: Contract
    analyzed: Analyzed
    device: Device
    selection: Selection
    plan: Plan
    agenda: Agenda

    @property
    def has_limits(self) -> bool:
        """Whether the contract itself states a limit; agreement with the original always holds."""
        return self.contract.limits != Limits()


def walk(contract: Contract, *, folder: Path, tools: Tools) -> Walk:
    """Analyze the need, select the hardware, design the execution.

    Raises:
        BackendMissing: the contract asks for LoadGen, which is not installed.
        ContractError: it names a device that nobody knows, or this machine is not among them.
    """
    if contract.traffic.scheduler == "loadgen":
        check_loadgen()
    check_measurable(contract.devices, folder=folder)
    analyzed = analyze_step(contract, folder=folder, tools=tools)
    selection, device = select_step(analyzed, tools=tools)
    if len(contract.devices) > 1:
        tools.console.say("only local is measured; `fitwright select` compares the other devices")
    plan = design_step(analyzed, device, tools=tools)
    worthwhile = agenda(
        analyzed.analysis.summary,
        device,
        backends=tuple(tools.runtimes),
        constant_inputs=contract.constant_inputs,
        shorter=padding_step(analyzed, tools=tools),
    )
    return Walk(
        contract=contract,
        analyzed=analyzed,
        device=device,
        selection=selection,
        plan=plan,
        agenda=worthwhile,
    )


def analyze_step(contract: Contract, *, folder: Path, tools: Tools) -> Analyzed:
    """Step 1: what must hold, and what the model costs."""
    tools.console.step(f"1 analyze  {contract.model}")
    analyzed = analyze(
        contract,
        folder=folder,
        executor=tools.executor,
        runtime=next(iter(tools.runtimes.values())),
        limits=READ_LIMITS,
        classifier_check=is_trained_classifier,
    )
    tools.console.say(model_line(analyzed.analysis.summary))
    metric, labels = metric_of(analyzed, contract), analyzed.split.evaluation.labels
    if metric is not None and labels is not None:
        inputs, padding = analyzed.split.evaluation.inputs, analyzed.analysis.need.padding
        reference = without_padding(analyzed.reference, inputs, padding)
        reached = score(reference, labels, metric=metric)
        tools.console.say(f"{metric.name} of the original: {reached:.4g} on {len(labels)} samples")
    return analyzed


def metric_of(analyzed: Analyzed, contract: Contract) -> Metric | None:
    """What accuracy means in this run; None without labels."""
    output = contract.data.output if contract.data else None
    return metric_from(analyzed.metric, name=analyzed.analysis.need.metric, output=output)


def select_step(analyzed: Analyzed, *, tools: Tools) -> tuple[Selection, Device]:
    """Step 2 for a run: whether this machine can do it, at what margin."""
    tools.console.step("2 select")
    device = local_device(
        executor=tools.executor, runtimes=tuple(tools.runtimes.values()), cache=tools.cache
    )
    analysis = analyzed.analysis
    selection = select(analysis.need, analysis.summary, devices=(device,))
    tools.console.say(device_line(device))
    for refused in selection.refused:
        tools.console.say(f"physics says no: {refused.reason}")
    return selection, device


def padding_step(analyzed: Analyzed, *, tools: Tools) -> tuple[Recipe, ...]:
    """What would spare the padding of queries, by the lengths of those set apart."""
    padding = analyzed.analysis.need.padding
    if padding is None:
        return ()
    lengths = own_lengths(analyzed.split.calibration.inputs[padding.mask]).tolist()
    longest = padding.longest
    found = planned(lengths, longest=longest, mask=padding.mask, symbol=padding.symbol)
    said = f"queries of {min(lengths)} to {max(lengths)} tokens, padded to {longest}: "
    if found is None:
        tools.console.say(said + "no shorter length would save much")
        return ()
    buckets, _ = found
    share = computed(lengths, buckets.lengths) / (longest * len(lengths))
    listed = ", ".join(map(str, buckets.lengths))
    tools.console.say(said + f"lengths {listed} compute {share:.0%} of the tokens")
    return found


def design_step(analyzed: Analyzed, device: Device, *, tools: Tools) -> Plan:
    """Step 3: how it should run there."""
    tools.console.step("3 design")
    analysis = analyzed.analysis
    plan = design(analysis.need, analysis.summary, device, backends=tuple(tools.runtimes))
    tools.console.say(
        f"activations need {units.bytes_(plan.memory.arena_bytes)}; backends: "
        + ", ".join(b.backend for b in plan.backends)
    )
    return plan


def trial_limits(device: Device, *, wall_s: float) -> ChildLimits:
    """Clock and memory for one child of a trial or a pass."""
    return ChildLimits(wall_s=wall_s, memory_bytes=int(device.memory_bytes * _CHILD_SHARE))


def model_line(summary: ModelSummary) -> str:
    """One line about a model, for progress and for people."""
    num = len(summary.operators)
    text = (
        f"{num} operator{'' if num == 1 else 's'}, {units.count(summary.flops, 'FLOP')} a query, "
        f"{summary.num_parameters:,} parameters, {units.bytes_(summary.size_bytes)}"
    )
    if summary.uncounted:
        kinds = ", ".join(sorted({u.kind for u in summary.uncounted}))
        text += f"; not counted: {kinds}"
    return text


def device_line(device: Device) -> str:
    """One line about a device."""
    peaks = ", ".join(
        f"{dtype} {units.count(figure.value, 'FLOP/s')}"
        for dtype, figure in device.peaks.items()
        if figure.value is not None
    )
    return f"{device.name}, {device.num_cores} cores, {peaks or 'peaks unknown'}"

"""Rules of thumb about kinds of devices, each held against the figures of this model."""

from __future__ import annotations

from collections.abc import Sequence

from fitwright import units
from fitwright.records.estimate import Estimate
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import Claim, Holds, Prospect
from fitwright.records.sheet import Kind, Sheet
from fitwright.select.fabric import onchip_bytes
from fitwright.select.physics import Bare

Looked = Sequence[tuple[Sheet, Prospect | None]]
TRAINING_BYTES = 16.0
"""Per parameter: bfloat16 weights and gradients, float32 master weights and two moments of
Adam (Rajbhandari et al., "ZeRO", SC 2020, section 3.1)."""
CLEARLY = 1.25
"""How much better one kind must be than another; less refutes a claim, and more supports it where
the bands of both stay apart."""
_STRONGEST: Sequence[Holds] = ("supported", "undecided", "refuted")
DESIGN_OVER_FLOOR = 10.0
"""Time of a built FPGA design over that of its multipliers all busy at the published clock: an
assumption, on the safe side of published designs (hls4ml, FINN: 3x to 10x)."""


def claims(summary: ModelSummary, model: Bare, looked: Looked) -> tuple[Claim, ...]:
    """The four rules that people ask about; what decides each stands beside it."""
    return (
        _gpu(looked),
        _tpu(summary, looked),
        _fpga(model, looked),
        _fixed(looked),
    )


def _best(looked: Looked, kinds: Sequence[Kind], figure: str) -> tuple[Estimate, Prospect] | None:
    """The lowest predicted figure among those kinds."""
    found = [
        (known, p)
        for sheet, p in looked
        if p is not None
        and sheet.kind in kinds
        and isinstance(known := p.figures.get(figure), Estimate)
    ]
    return min(found, key=lambda pair: pair[0].value, default=None)


def _better(one: Estimate, other: Estimate) -> Holds:
    """Whether the first figure is clearly below the second."""
    if other.value <= CLEARLY * one.value:
        return "refuted"
    return "supported" if one.high < other.low else "undecided"


def _gpu(looked: Looked) -> Claim:
    """Parallel work pays on a GPU where one is clearly faster, or clearly cheaper a query."""
    text = "a GPU suits highly parallel compute"
    gpu, cpu = _best(looked, ["gpu"], "latency_p50"), _best(looked, ["cpu"], "latency_p50")
    if gpu is None or cpu is None:
        return _undecided(text, "a GPU and a CPU with a predicted time", looked)
    busy = 1 - gpu[1].way.binds.get("overhead", 0.0)
    gain = cpu[0].value / gpu[0].value
    reasons = [
        f"fastest GPU {gpu[1].device_id} {units.seconds(gpu[0].value)}, fastest CPU "
        f"{cpu[1].device_id} {units.seconds(cpu[0].value)}: {gain:.3g}x",
        f"starting kernels binds {units.share(1 - busy)} of the time on {gpu[1].device_id}"
        + ("" if busy > 0.5 else ": the model is too small to fill it"),
        *_money(looked, "gpu", "cpu"),
    ]
    found = {_better(gpu[0], cpu[0]), _cheaper(looked)}
    return _judged(text, next(h for h in _STRONGEST if h in found), reasons)


def _cheaper(looked: Looked) -> Holds:
    """Whether the cheapest GPU is cheaper than the cheapest CPU; refuted where one is unpriced."""
    gpu, cpu = _best(looked, ["gpu"], "cost"), _best(looked, ["cpu"], "cost")
    return _better(gpu[0], cpu[0]) if gpu and cpu else "refuted"


def _judged(text: str, holds: Holds, reasons: Sequence[str]) -> Claim:
    """A claim; where it is open, that bands overlap is the reason."""
    open_ = ("the bands of the two overlap: measure one",) if holds == "undecided" else ()
    return Claim(text=text, holds=holds, reasons=(*reasons, *open_))


def _money(looked: Looked, one: Kind, other: Kind) -> list[str]:
    """The cheapest of either kind per million inferences, where both are priced."""
    here, there = _best(looked, [one], "cost"), _best(looked, [other], "cost")
    if here is None or there is None:
        return []
    return [
        f"cheapest {one.upper()} {here[1].device_id} {units.usd_per_million(here[0].value)}, "
        f"cheapest {other.upper()} {there[1].device_id} "
        f"{units.usd_per_million(there[0].value)}"
    ]


def _tpu(summary: ModelSummary, looked: Looked) -> Claim:
    """Training is large-scale when its state does not fit one accelerator."""
    text = "a TPU suits large-scale distributed training"
    need = TRAINING_BYTES * summary.num_parameters
    tpus = [s for s, _ in looked if s.kind == "tpu" and s.memory_bytes]
    if not tpus:
        return _undecided(text, "a TPU", looked)
    largest = max(tpus, key=lambda s: s.memory_bytes.value if s.memory_bytes else 0.0)
    has = largest.memory_bytes.value if largest.memory_bytes else 0.0
    reason = (
        f"training state of {summary.num_parameters:,} parameters: {units.bytes_(need)} at "
        f"{TRAINING_BYTES:g} bytes each; one {largest.id} holds {units.bytes_(has)}"
    )
    if need <= has:
        why = "it fits one device, so that nothing has to be distributed for memory's sake"
        return Claim(text=text, holds="refuted", reasons=(reason, why))
    link = largest.link_bytes_per_s
    over = f" over {largest.link} at {units.count(link.value, 'B/s')} each way" if link else ""
    num = -(-int(need) // int(has))
    why = f"at least {num} of them have to share it{over}; activations come on top"
    return Claim(text=text, holds="supported", reasons=(reason, why))


def _fpga(model: Bare, looked: Looked) -> Claim:
    """Custom logic is fast when the weights stay beside it on the chip."""
    text = "an FPGA suits custom low-latency logic"
    fpgas = [(onchip_bytes(s), s) for s, _ in looked if s.kind == "fpga"]
    largest, sheet = max(fpgas, key=lambda pair: pair[0], default=(0.0, None))
    if sheet is None or not largest:
        return _undecided(text, "an FPGA with published memory blocks", looked)
    macs = (model.convolution_flops + model.other_flops) / 2
    dsp = sheet.fabric["dsp"].value if "dsp" in sheet.fabric else 0.0
    reasons = [
        f"weights at 4 bits {units.bytes_(model.weight_bytes)}; the largest FPGA here, {sheet.id}, "
        f"holds {units.bytes_(largest)} on the chip",
    ]
    if dsp:
        reasons.append(
            f"{units.count(macs)} multiply-adds a query over {dsp:,.0f} multipliers: each is used "
            f"{max(macs / dsp, 1):,.0f} times a query at least"
        )
    if model.weight_bytes > largest:
        reasons.append("weights would stream from outside, and bandwidth binds as on any device")
        return Claim(text=text, holds="refuted", reasons=tuple(reasons))
    return _against_others(text, sheet, macs, dsp, looked, reasons)


def _against_others(
    text: str, sheet: Sheet, macs: float, dsp: float, looked: Looked, reasons: list[str]
) -> Claim:
    """The time that the multipliers alone take, against the fastest CPU or GPU."""
    others = _best(looked, ["cpu", "gpu"], "latency_p50")
    if others is None or not dsp or sheet.clock_hz is None:
        return Claim(text=text, holds="undecided", reasons=tuple(reasons))
    floor = max(macs / dsp, 1.0) / sheet.clock_hz.value
    seconds, fastest = others[0].value, others[1]
    reasons.append(
        f"its multipliers alone take {units.seconds(floor)}; the fastest CPU or GPU, "
        f"{fastest.device_id}, is predicted at {units.seconds(seconds)}"
    )
    if floor >= seconds:
        return Claim(text=text, holds="refuted", reasons=tuple(reasons))
    reasons.append(
        f"real designs take some {DESIGN_OVER_FLOOR:g}x the floor, as clocks and use fall short"
    )
    holds = floor * DESIGN_OVER_FLOOR < seconds
    return Claim(text=text, holds="supported" if holds else "undecided", reasons=tuple(reasons))


def _fixed(looked: Looked) -> Claim:
    """A chip for one workload earns its place by energy."""
    text = "an ASIC or NPU suits one fixed workload"
    fixed = _best(looked, ["npu", "asic", "tpu"], "energy")
    other = _best(looked, ["cpu", "gpu"], "energy")
    if fixed is None or other is None:
        return _undecided(text, "a predicted energy of an NPU and of a CPU or GPU", looked)
    gain = other[0].value / fixed[0].value
    refused = [s.id for s, p in looked if s.kind in ("npu", "asic", "tpu") and p is None]
    reasons = [
        f"least energy: {fixed[1].device_id} {units.joules(fixed[0].value)}, "
        f"{other[1].device_id} {units.joules(other[0].value)}: {gain:.3g}x",
    ]
    if refused:
        num = sum(s.kind in ("npu", "asic", "tpu") for s, _ in looked)
        reasons.append(f"{len(refused)} of {num} such chips cannot hold or run this model")
    return _judged(text, _better(fixed[0], other[0]), reasons)


def _undecided(text: str, lacking: str, looked: Looked) -> Claim:
    why = f"not among the {len(looked)} devices looked at: {lacking}"
    return Claim(text=text, holds="undecided", reasons=(why,))

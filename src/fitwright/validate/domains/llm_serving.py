"""Language models under load: time per token, time to first token, and MLPerf's offline runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from statistics import fmean

from fitwright.perf.ladder import nearest
from fitwright.perf.llm.engines import ENGINES, Engine, engine_named
from fitwright.perf.llm.formats import Format
from fitwright.perf.llm.offline import offline, with_cache
from fitwright.perf.llm.serving import Outcome, Request, simulate
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    Setup,
    answered,
    format_of,
    parallel_of,
    precision_of,
    set_up,
    shape_of,
)

ROUNDS = 4
"""So often each client of a closed loop asks."""


def _closed_loop(case: Case, knowledge: Knowledge) -> tuple[Outcome, Setup] | NoData:
    shape = shape_of(case)
    if isinstance(shape, NoData):
        return shape
    engine = engine_named(read.text(case.inputs, "backend", "engine", "framework"))
    engine = engine or ENGINES["vllm"]
    form = format_of(precision_of(case), float8_cache=engine.float8_cache)
    if isinstance(form, NoData):
        return form
    tp, pp = parallel_of(case)
    setup = set_up(shape, form, knowledge, engine=engine.software, tp=tp, pp=pp)
    if isinstance(setup, NoData):
        return setup
    policy = with_cache(setup.model, engine)
    if isinstance(policy, NoData):
        return policy
    clients = int(read.number(case.inputs, "concurrency", "max_batch", "batch") or 1)
    one = Request(
        arrival_s=0.0,
        input_tokens=int(read.number(case.inputs, "isl", "input_len") or 1024),
        output_tokens=int(read.number(case.inputs, "osl", "output_len") or 128),
    )
    run = simulate(setup.model, [one] * (ROUNDS * clients), policy, concurrency=clients)
    return run, setup


def predict_tpot(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Mean seconds between the tokens of a request, with so many clients in a closed loop."""
    found = _closed_loop(case, knowledge)
    if isinstance(found, NoData):
        return found
    run, setup = found
    value = fmean(s.tpot_s for s in run.served)
    return answered(value, setup, knowledge, unit="s", about="tpot")


def predict_ttft(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Mean seconds until the first token, waiting included."""
    found = _closed_loop(case, knowledge)
    if isinstance(found, NoData):
        return found
    run, setup = found
    value = fmean(s.ttft_s for s in run.served)
    return answered(value, setup, knowledge, unit="s", about="ttft")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """Mean tokens of a benchmark's prompts and answers.

    Attributes:
        beams: answers searched side by side; each is a sequence, one is counted.
    """

    input_tokens: int
    output_tokens: int
    beams: int = 1


_TASKS = {
    "gptj": _Task(input_tokens=870, output_tokens=69, beams=4),
    "llama2-70b": _Task(input_tokens=294, output_tokens=294),
    "mixtral-8x7b": _Task(input_tokens=300, output_tokens=145),
    "llama3.1-405b": _Task(input_tokens=9428, output_tokens=685),
    "llama3.1-8b": _Task(input_tokens=778, output_tokens=128),
    "deepseek-r1": _Task(input_tokens=800, output_tokens=3880),
}
"""MLPerf inference: CNN/DailyMail, OpenOrca, OpenOrca with GSM8K and MBXP, LongBench with RULER,
CNN/DailyMail, and mathematics with code; lengths as the reference implementations report."""


MLPERF, MLPERF_DEVICE = "llm/mlperf", "llm/mlperf-device"
"""Evidence of how far submissions stay from the simulator: factor of a benchmark (its lengths
scatter, its answers end early), and of a device on top."""
CHIPS_PER_DEVICE = {"arc-pro-b60": 2}
"""Chips on what the submissions of a chip count as one device (the dual card of the B60)."""


def _task(name: str) -> tuple[str, _Task] | None:
    key = re.sub(r"_", ".", name.lower())
    return next(((n, t) for n, t in _TASKS.items() if key.startswith(n)), None)


def really_run(sheet: Sheet, label: str) -> str:
    """The precision that a submission of MLPerf runs in, whatever its label says.

    NVIDIA's entries for language models run the narrowest float that the device has a fast path
    for (8 bits on Hopper and Ada, 4 on Blackwell); `fp16` there is what the file was made from.
    Modules of Jetson take weights of 4 bits, Intel's GPUs multiply these in 8. Elsewhere the
    label counts.
    """
    label = label.lower()
    if sheet.vendor.lower() == "nvidia" and label in ("", "fp16", "bf16", "fp8", "fp32"):
        if "float4" in sheet.peaks and label != "fp8":
            return "fp4"
        return "fp8" if "float8" in sheet.peaks else "int4 g128" if "jetson" in sheet.id else "fp16"
    if "int4" in label and sheet.vendor.lower() == "intel" and sheet.kind == "gpu":
        return "w4a8"
    return label


def predict_mlperf_offline(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens, or samples, a second and device, with a full queue."""
    shape = shape_of(case)
    name = read.text(case.inputs, "benchmark", "model")
    found = _task(name)
    if isinstance(shape, NoData):
        return shape
    if found is None:
        return NoData(reason=f"the prompts of the benchmark {name!r} are not known")
    benchmark, task = found
    label = read.text(case.inputs, "weight_dtype", "precision", "dtype")
    form = format_of(really_run(knowledge.sheet, label), float8_cache=True)
    if isinstance(form, NoData):
        return form
    chips = CHIPS_PER_DEVICE.get(knowledge.sheet.id, 1)
    devices = chips * int(read.number(case.inputs, "n_devices") or 8)
    best = _best_split(shape, form, case, knowledge, task=task, devices=devices)
    if isinstance(best, NoData):
        return best
    per_chip, setup = best
    samples = per_chip * chips * _submitted(knowledge, benchmark)
    per_sample = re.search(r"sample|quer", f"{case.unit} {case.metric}".lower())
    value = samples if per_sample and "tok" not in case.unit else samples * task.output_tokens
    split = f"{setup.model.tp} devices a copy"
    return answered(value, setup, knowledge, unit="1/s", about="mlperf", reasons=(split,))


def _submitted(knowledge: Knowledge, benchmark: str) -> float:
    """Submissions over simulations: of the benchmark, times of the device."""
    rows = (
        nearest(knowledge.evidence, knowledge.sheet, what=MLPERF, dtype=benchmark),
        nearest(knowledge.evidence, knowledge.sheet, what=MLPERF_DEVICE),
    )
    return prod(row.constants["factor"] for row in rows if row is not None)


def _best_split(
    shape: Transformer,
    form: Format,
    case: Case,
    knowledge: Knowledge,
    *,
    task: _Task,
    devices: int,
) -> tuple[float, Setup] | NoData:
    """Samples a second and chip with the number of chips a copy that gives most."""
    engine = _engine(case, knowledge.sheet)
    best: tuple[float, Setup] | None = None
    why = NoData(reason="no way to split the model over these devices was tried")
    for tp in (n for n in (1, 2, 4, 8) if n <= max(1, devices)):
        setup = set_up(shape, form, knowledge, engine=engine.software, tp=tp)
        rate = setup if isinstance(setup, NoData) else _rate(setup, engine, task)
        if isinstance(rate, NoData):
            why = rate
        elif not isinstance(setup, NoData) and (best is None or rate / tp > best[0]):
            best = rate / tp, setup
    return best or why


def _engine(case: Case, sheet: Sheet) -> Engine:
    named = engine_named(read.text(case.inputs, "framework", "backend"))
    if named is not None:
        return named
    engine = ENGINES["trtllm" if sheet.vendor.lower() == "nvidia" else "vllm"]
    # submissions are tuned: as many sequences as fit
    return replace(engine, policy=replace(engine.policy, max_batch=2048))


def _rate(setup: Setup, engine: Engine, task: _Task) -> float | NoData:
    """Samples a second of the group; each beam is a sequence of its own."""
    policy = with_cache(setup.model, engine)
    if isinstance(policy, NoData):
        return policy
    run = offline(
        setup.model,
        policy,
        input_tokens=task.input_tokens,
        output_tokens=task.output_tokens,
    )
    if task.beams == 1:
        return run.requests_per_s
    # the prompt is read once for all beams, every token is generated in each
    alone = offline(setup.model, policy, input_tokens=task.input_tokens, output_tokens=1)
    generating = max(1 / run.requests_per_s - 1 / alone.requests_per_s, 0.0)
    return 1 / (1 / alone.requests_per_s + task.beams * generating)

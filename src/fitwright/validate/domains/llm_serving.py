"""Language models under load: time per token, time to first token, and MLPerf's offline runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from statistics import fmean

from fitwright.perf.llm.engines import ENGINES, Engine, engine_named
from fitwright.perf.llm.offline import offline, with_cache
from fitwright.perf.llm.serving import Outcome, Request, simulate
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    Setup,
    answered,
    format_of,
    parallel_of,
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
    precision = read.text(case.inputs, "precision", "dtype", "weight_dtype")
    form = format_of(precision, float8_cache=engine.float8_cache)
    if isinstance(form, NoData):
        return form
    tp, pp = parallel_of(case)
    setup = set_up(shape, form, knowledge, engine=engine.software, tp=tp, pp=pp)
    if isinstance(setup, NoData):
        return setup
    policy = with_cache(setup.model, engine.policy, share=engine.memory_share)
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


def _task(name: str) -> _Task | None:
    key = re.sub(r"_", ".", name.lower())
    return next((t for prefix, t in _TASKS.items() if key.startswith(prefix)), None)


def really_run(sheet: Sheet, label: str) -> str:
    """The precision that a submission of MLPerf runs in, whatever its label says.

    NVIDIA's entries for language models run the narrowest float that the device has a fast path
    for (8 bits on Hopper and Ada, 4 on Blackwell); `fp16` there is what the file was made from.
    Elsewhere the label counts.
    """
    label = label.lower()
    if sheet.vendor.lower() == "nvidia" and label in ("", "fp16", "bf16", "fp8", "fp32"):
        if "float4" in sheet.peaks and label != "fp8":
            return "fp4"
        return "fp8" if "float8" in sheet.peaks else "int4 g128" if _small(sheet) else "fp16"
    return label


def _small(sheet: Sheet) -> bool:
    """Under 80 GB on a module: entries are made with weights of 4 bits (Jetson)."""
    return "jetson" in sheet.id


def predict_mlperf_offline(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens, or samples, a second and device, with a full queue."""
    shape = shape_of(case)
    name = read.text(case.inputs, "benchmark", "model")
    task = _task(name)
    if isinstance(shape, NoData):
        return shape
    if task is None:
        return NoData(reason=f"the prompts of the benchmark {name!r} are not known")
    label = read.text(case.inputs, "weight_dtype", "precision", "dtype")
    form = format_of(really_run(knowledge.sheet, label), float8_cache=True)
    if isinstance(form, NoData):
        return form
    engine = _engine(case, knowledge.sheet)
    devices = int(read.number(case.inputs, "n_devices") or 8)
    best: tuple[float, Setup] | None = None
    why = NoData(reason="no way to split the model over these devices was tried")
    for tp in (1, 2, 4, 8):
        if tp > max(1, devices):
            break
        setup = set_up(shape, form, knowledge, engine=engine.software, tp=tp)
        rate = setup if isinstance(setup, NoData) else _rate(setup, engine, task)
        if isinstance(rate, NoData):
            why = rate
        elif not isinstance(setup, NoData) and (best is None or rate / tp > best[0]):
            best = rate / tp, setup
    if best is None:
        return why
    samples = best[0]
    per_sample = re.search(r"sample|quer", f"{case.unit} {case.metric}".lower())
    value = samples if per_sample and "tok" not in case.unit else samples * task.output_tokens
    split = f"{best[1].model.tp} devices a copy"
    return answered(value, best[1], knowledge, unit="1/s", about="throughput", reasons=(split,))


def _engine(case: Case, sheet: Sheet) -> Engine:
    named = engine_named(read.text(case.inputs, "framework", "backend"))
    if named is not None:
        return named
    engine = ENGINES["trtllm" if sheet.vendor.lower() == "nvidia" else "vllm"]
    # submissions are tuned: as many sequences as fit
    return replace(engine, policy=replace(engine.policy, max_batch=2048))


def _rate(setup: Setup, engine: Engine, task: _Task) -> float | NoData:
    """Samples a second of the group; each beam is a sequence of its own."""
    policy = with_cache(setup.model, engine.policy, share=engine.memory_share)
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

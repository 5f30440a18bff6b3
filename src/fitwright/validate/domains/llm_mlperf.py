"""Language models in MLPerf inference: full queues, queues with a limit on each token, one query.

A submission is simulated with the split over devices that serves most, and corrected by what
submissions were found to reach of that: by benchmark, device and release of the suite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fitwright.perf.ladder import nearest
from fitwright.perf.llm.engines import ENGINES, Engine, engine_named
from fitwright.perf.llm.formats import Format
from fitwright.perf.llm.offline import steady_within, with_cache
from fitwright.perf.llm.step import Pass
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    Setup,
    answered,
    format_of,
    set_up,
    shape_of,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A benchmark: mean tokens of its prompts and answers, and what its users wait at most.

    Attributes:
        beams: answers searched side by side; each is a sequence, one is counted.
        server_s, interactive_s: limit on the 99th percentile of the time per token.
    """

    input_tokens: int
    output_tokens: int
    beams: int = 1
    server_s: float = 0.2
    interactive_s: float = 0.04


TASKS = {
    "gptj": Task(input_tokens=870, output_tokens=69, beams=4, server_s=0.25),
    "llama2-70b": Task(input_tokens=294, output_tokens=294),
    "mixtral-8x7b": Task(input_tokens=380, output_tokens=145),
    "llama3.1-405b": Task(input_tokens=9428, output_tokens=642, server_s=0.175, interactive_s=0.08),
    "llama3.1-8b": Task(input_tokens=778, output_tokens=128, server_s=0.1, interactive_s=0.03),
    "deepseek-r1": Task(input_tokens=800, output_tokens=3880, server_s=0.08, interactive_s=0.015),
}
"""CNN/DailyMail, OpenOrca, OpenOrca with GSM8K and MBXP, LongBench with RULER, CNN/DailyMail, and
mathematics with code. Lengths as the reference implementations report them, answers of the 405B
as submissions count them (tokens over samples); limits of the rules of MLPerf inference (GPT-J:
20 s for a whole answer). A third of Mixtral's prompts are of GSM8K with worked examples: the
reference (`standalone_infer/hf_eval_all.py`) shows one of 662 tokens."""
MLPERF, MLPERF_DEVICE, MLPERF_RELEASE = "llm/mlperf", "llm/mlperf-device", "llm/mlperf-release"
"""Evidence of how far submissions stay from the simulator: factor of a benchmark (its lengths
scatter, its answers end early), of a device on top, and of each release and scenario."""
FIRST_RELEASE, LAST_RELEASE = 3.1, 5.1
RELEASES = (3.1, 4.0, 4.1, 5.0, 5.1)
"""Two a year; language models entered with 3.1 (GPT-J)."""
CHIPS_PER_DEVICE = {"arc-pro-b60": 2}
"""Chips on what the submissions of a chip count as one device (the dual card of the B60)."""
SPLITS = tuple((tp, pp) for tp in (1, 2, 4, 8) for pp in (1, 2, 4, 8) if tp * pp <= 16)
PIPELINE = 0.85
"""Of the pace of equal stages that submissions in pipelines reach: passes with prompts and without
alternate, and the stages wait for the longer ones. Chosen among four values on these rows."""
PERCENTILE_90 = 1.15
"""Answers scatter in length: the slowest tenth of queries takes this much longer than the mean."""


def task_named(name: str) -> tuple[str, Task] | None:
    """By the name of a benchmark: ``llama2-70b-99.9``, ``llama3_1-8b``, ``llama3.1-8b-edge`` …"""
    key = re.sub(r"[_\s]+", ".", name.strip().lower().rsplit("/", 1)[-1])
    key = re.sub(r"^(gpt)-(j)|^(llama|mixtral|deepseek)[-.](?=[\dr])", _joined, key)
    return next(((n, t) for n, t in TASKS.items() if key.startswith(n)), None)


def _joined(found: re.Match[str]) -> str:
    """``gpt-j`` -> gptj, ``llama-2-70b`` -> llama2-70b; the other names keep their hyphen."""
    if found[1]:
        return "gptj"
    return found[3] + ("" if found[3] == "llama" else "-")


def release_of(case: Case) -> int:
    """Releases since language models entered the suite; the latest where the case says none."""
    said = read.number(case.inputs, "version", "round", "release")
    wanted = min(max(said or LAST_RELEASE, FIRST_RELEASE), LAST_RELEASE)
    return max(i for i, release in enumerate(RELEASES) if release <= wanted + 1e-6)


def really_run(sheet: Sheet, label: str) -> str:
    """The precision that a submission of MLPerf runs in, whatever its label says.

    NVIDIA's entries for language models run the narrowest float that the device has a fast path
    for (8 bits on Hopper and Ada, 4 on Blackwell); `fp16` there is what the file was made from.
    Modules of Jetson take weights of 4 bits, Intel's GPUs multiply these in 8. Elsewhere the
    label counts, and where there is none the narrowest that is common on the device.
    """
    label = label.lower()
    if sheet.vendor.lower() == "nvidia" and label in ("", "fp16", "bf16", "fp8", "fp32"):
        if "float4" in sheet.peaks and label != "fp8":
            return "fp4"
        return "fp8" if "float8" in sheet.peaks else "int4 g128" if "jetson" in sheet.id else "fp16"
    if "int4" in label and sheet.vendor.lower() == "intel" and sheet.kind == "gpu":
        return "w4a8"
    if not label:
        names = {"float4": "fp4", "float8": "fp8", "int8": "w8a8"}
        return next((name for dtype, name in names.items() if dtype in sheet.peaks), "bf16")
    return label


def predict_mlperf_offline(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Tokens, or samples, a second and device; seconds of one query in the single stream."""
    shape = shape_of(case)
    name = read.text(case.inputs, "benchmark", "model")
    found = task_named(name)
    if isinstance(shape, NoData):
        return shape
    if found is None:
        return NoData(reason=f"the prompts of the benchmark {name!r} are not known")
    benchmark, task = found
    label = read.text(case.inputs, "weight_dtype", "precision", "dtype")
    form = format_of(really_run(knowledge.sheet, label), sheet=knowledge.sheet, float8_cache=True)
    if isinstance(form, NoData):
        return form
    run = _Run(case=case, task=task, shape=shape, form=form, scenario=scenario_of(case))
    best = _best_split(run, knowledge)
    if isinstance(best, NoData):
        return best
    samples_per_s, setup = best
    factor = submitted(knowledge, benchmark, release=release_of(case), scenario=run.scenario)
    value, unit = _in_words_of(case, samples_per_s * factor, run)
    model = setup.model
    split = f"{model.form.name}, a copy on {model.tp * model.pp} devices (pipeline of {model.pp})"
    return answered(value, setup, knowledge, unit=unit, about="mlperf", reasons=(split,))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """What is submitted."""

    case: Case
    task: Task
    shape: Transformer
    form: Format
    scenario: str

    @property
    def limit_s(self) -> float:
        """On the time per token."""
        limits = {"server": self.task.server_s, "interactive": self.task.interactive_s}
        return limits.get(self.scenario, math.inf)


def scenario_of(case: Case) -> str:
    """``offline``, ``server``, ``interactive`` or ``singlestream``; from the unit if need be."""
    said = re.sub(r"[^a-z]", "", read.text(case.inputs, "scenario").lower())
    if "interactive" in read.text(case.inputs, "benchmark", "model").lower() and said != "offline":
        return "interactive"
    if said:
        return said
    unit = case.unit.strip().lower()
    return "singlestream" if unit == "s" or unit.startswith("ms") else "offline"


def _in_words_of(case: Case, samples_per_s: float, run: _Run) -> tuple[float, str]:
    if run.scenario == "singlestream":
        return PERCENTILE_90 / samples_per_s, "s"
    per_sample = re.search(r"sample|quer", f"{case.unit} {case.metric}".lower())
    if per_sample and "tok" not in case.unit:
        return samples_per_s, "1/s"
    return samples_per_s * run.task.output_tokens, "1/s"


def submitted(knowledge: Knowledge, benchmark: str, *, release: int, scenario: str) -> float:
    """Submissions over simulations: of the benchmark, the device, the release, the scenario."""
    table, sheet = knowledge.evidence, knowledge.sheet
    total = 1.0
    for what, dtype in ((MLPERF, benchmark), (MLPERF_DEVICE, "")):
        row = nearest(table, sheet, what=what, dtype=dtype)
        total *= row.constants["factor"] if row else 1.0
    shared = nearest(table, sheet, what=MLPERF_RELEASE)
    if shared is not None:
        total *= shared.constants["factor"] * shared.constants["per_release"] ** release
        total *= shared.constants.get(scenario, 1.0)
    return total


def _best_split(run: _Run, knowledge: Knowledge) -> tuple[float, Setup] | NoData:
    """Samples a second and device, with the number of chips a copy that gives most."""
    sheet = knowledge.sheet
    chips = CHIPS_PER_DEVICE.get(sheet.id, 1)
    devices = chips * max(1, int(read.number(run.case.inputs, "n_devices") or 8))
    engine = engine_of(run.case, sheet)
    best: tuple[float, Setup] | None = None
    why = NoData(reason="no way to split the model over these devices was tried")
    for tp, pp in _splits(run, devices):
        own = run.shape.kv_rank > 0 and tp > 1
        setup = set_up(
            run.shape, run.form, knowledge, engine=engine.software, tp=tp, pp=pp, own_sequences=own
        )
        rate = setup if isinstance(setup, NoData) else _samples_per_s(setup, engine, run)
        if isinstance(rate, NoData):
            why = rate
            continue
        assert isinstance(setup, Setup)
        each = rate if run.scenario == "singlestream" else rate * chips / (tp * pp)
        if best is None or each > best[0]:
            best = each, setup
    return best or why


def _splits(run: _Run, devices: int) -> Iterator[tuple[int, int]]:
    """Tensor-parallel devices and stages; a stage needs a block, and nobody cuts what one query
    passes through into stages."""
    for tp, pp in SPLITS:
        fits = tp * pp <= devices and pp <= run.shape.num_layers
        if fits and (pp == 1 or run.scenario != "singlestream"):
            yield tp, pp


def engine_of(case: Case, sheet: Sheet) -> Engine:
    """As the case says, else TensorRT-LLM on NVIDIA and vLLM elsewhere; tuned, as submissions
    are: as many sequences as fit."""
    engine = engine_named(read.text(case.inputs, "framework", "backend"))
    if engine is None:
        engine = ENGINES["trtllm" if sheet.vendor.lower() == "nvidia" else "vllm"]
    return replace(engine, policy=replace(engine.policy, max_batch=2048))


def _samples_per_s(setup: Setup, engine: Engine, run: _Run) -> float | NoData:
    """Of the group."""
    task, model = run.task, setup.model
    policy = with_cache(model, engine)
    if isinstance(policy, NoData):
        return policy
    if run.scenario == "singlestream":
        context = task.input_tokens + task.beams * task.output_tokens / 2
        each = model.cost(Pass(decode=task.beams, context=context)).time_s
        return 1 / (model.prefill_s(task.input_tokens) + task.output_tokens * each)
    tokens_per_s = steady_within(
        model,
        policy,
        input_tokens=task.input_tokens,
        output_tokens=task.output_tokens,
        beams=task.beams,
        token_s=run.limit_s,
    )
    reached = PIPELINE if model.pp > 1 else 1.0
    return reached * tokens_per_s / task.output_tokens

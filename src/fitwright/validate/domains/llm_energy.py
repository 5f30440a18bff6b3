"""Energy of one request to a language model: board power of all its devices over its share."""

from __future__ import annotations

from fitwright.perf.energy import evidence_for, power_w
from fitwright.perf.ladder import nearest
from fitwright.perf.llm.engines import ENGINES
from fitwright.perf.llm.offline import with_cache
from fitwright.perf.llm.serving import Outcome, Policy, Request, simulate
from fitwright.records.estimate import RUNGS, Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    Setup,
    answered,
    as_software_sees,
    format_of,
    parallel_of,
    precision_of,
    set_up,
    shape_of,
)

POWER = "llm/power"
PROMPT_TOKENS = 250
"""Of a chat or a programming task; cases that say it differently give ``input_len``."""
PICTURE_TOKENS = {
    "chameleon": 1024,
    "llava-next": 2000,
    "llava-v1.6": 2000,
    "llava": 576,
    "vision": 1500,
    "vl": 1000,
}
"""Tokens of the picture in the prompts of models that take one, as their authors state them."""
ROUNDS = 3


def _prompt(case: Case) -> int:
    said = read.number(case.inputs, "input_len", "isl", "avg_input_tokens", "avg_prompt_tokens")
    if said:
        return int(said)
    name = read.text(case.inputs, "model").lower()
    picture = next((n for word, n in PICTURE_TOKENS.items() if word in name), 0)
    return PROMPT_TOKENS + picture


def watts(run: Outcome, setup: Setup, sheet: Sheet, knowledge: Knowledge) -> float | None:
    """Mean board power of one device over a run; None: TDP or peak unpublished."""
    dtype = _arithmetic(setup, sheet)
    rows = (
        nearest(knowledge.evidence, sheet, what=POWER),
        evidence_for(knowledge.evidence, sheet, dtype=dtype),
    )
    row = min(filter(None, rows), key=lambda r: RUNGS.index(r.rung), default=None)
    if row is None:
        return None
    return power_w(
        flop_per_s=run.flops / run.duration_s,
        bytes_per_s=run.bytes_moved / run.duration_s,
        sheet=sheet,
        dtype=dtype,
        row=row,
    )


def _arithmetic(setup: Setup, sheet: Sheet) -> str:
    """The name that the sheet gives the format's arithmetic."""
    wanted = setup.model.form.arithmetic
    if wanted != "float16":
        return wanted
    return next((d for d in ("bfloat16", "float16") if d in sheet.peaks), "float32")


def _loaded(case: Case, knowledge: Knowledge) -> tuple[Setup, Policy, str] | NoData:
    """The model in its precision, and how it is served; in 8 bits where nothing is said and 16
    do not fit (Llama 3.1 405B on eight H100 was run so)."""
    shape = shape_of(case)
    if isinstance(shape, NoData):
        return shape
    batched = read.number(case.inputs, "max_batch", "avg_batch", "batch")
    tp, pp = parallel_of(case)
    said = precision_of(case)
    why = NoData(reason="no precision was tried")
    for precision in (said,) if said else ("bf16", "fp8"):
        form = format_of(precision, sheet=knowledge.sheet)
        if isinstance(form, NoData):
            return form
        engine = "vllm-v0" if batched else "eager"
        setup = set_up(shape, form, knowledge, engine=engine, tp=tp, pp=pp)
        policy = setup if isinstance(setup, NoData) else with_cache(setup.model, ENGINES["vllm-v0"])
        if not isinstance(policy, NoData) and not isinstance(setup, NoData):
            return setup, policy, precision
        why = policy if isinstance(policy, NoData) and why.reason.startswith("no prec") else why
    return why


def predict_energy(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Joules of all devices of the group for one request."""
    loaded = _loaded(case, knowledge)
    if isinstance(loaded, NoData):
        return loaded
    setup, policy, precision = loaded
    clients = max(1, round(read.number(case.inputs, "avg_batch", "max_batch", "batch") or 1))
    answer = read.number(case.inputs, "avg_output_tokens", "response_length", "output_len")
    one = Request(
        arrival_s=0.0, input_tokens=_prompt(case), output_tokens=max(1, round(answer or 250))
    )
    run = simulate(setup.model, [one] * (ROUNDS * clients), policy, concurrency=clients)
    power = watts(run, setup, as_software_sees(knowledge.sheet), knowledge)
    if power is None:
        return NoData(reason=f"{knowledge.sheet.id} has no published TDP, or nobody metered it")
    joules = power * setup.model.tp * setup.model.pp / run.requests_per_s
    prompt = f"{precision}, prompts of {one.input_tokens} tokens, {power:.0f} W a device"
    about = "energy/1" if setup.reached.software == "eager" else "energy"
    return answered(joules, setup, knowledge, unit="J", about=about, reasons=(prompt,))

"""Language models under load: time per token, and time to the first token."""

from __future__ import annotations

from statistics import fmean

from fitwright.perf.llm.engines import ENGINES, engine_named
from fitwright.perf.llm.offline import with_cache
from fitwright.perf.llm.serving import Outcome, Request, simulate
from fitwright.records.estimate import Estimate, NoData
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
    form = format_of(precision_of(case), sheet=knowledge.sheet, float8_cache=engine.float8_cache)
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

"""A language model on a device in one call: what a contract asks about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from fitwright.perf.ladder import estimate
from fitwright.perf.llm.engines import ENGINES, Engine
from fitwright.perf.llm.formats import Format
from fitwright.perf.llm.machine import Reached, reach
from fitwright.perf.llm.memory import Memory, serving_memory
from fitwright.perf.llm.serving import Outcome, Request, simulate
from fitwright.perf.llm.step import StepModel
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer

ROUNDS = 4
_WIDER = {"ttft": 1.3, "tpot": 1.1, "throughput": 1.0}
"""Waiting adds to what is uncertain: bands of the time to the first token are wider."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Serving of one model by one group of devices under a steady load.

    Attributes:
        ttft_s, ttft_p99_s, tpot_s, tpot_p99_s: means, and the 99th percentiles over requests.
        tokens_per_s: answers' tokens of the whole group.
        requests_per_s: of the whole group.
        memory: of each device.
        flops, bytes_moved, time_s: of each device over the run, for its energy.
    """

    ttft_s: Estimate
    ttft_p99_s: Estimate
    tpot_s: Estimate
    tpot_p99_s: Estimate
    tokens_per_s: Estimate
    requests_per_s: Estimate
    memory: Memory
    flops: float
    bytes_moved: float
    time_s: float


def percentile(values: Sequence[float], percent: int) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, ceil(percent * len(values) / 100) - 1)]


def summary(
    shape: Transformer,
    form: Format,
    *,
    sheet: Sheet,
    table: Iterable[Evidence],
    tp: int = 1,
    input_tokens: int = 512,
    output_tokens: int = 256,
    concurrency: int = 1,
    engine: Engine = ENGINES["vllm"],
) -> Summary | NoData:
    """What users see of a model on a device, or why it cannot be served there.

    Args:
        shape: of the model, see `catalog.transformers.find_transformer`.
        form: of its weights, see `formats.read_format`.
        tp: devices that hold one copy.
        input_tokens, output_tokens: of each request.
        concurrency: requests in flight; each client asks again once it is answered.
        engine: see `ENGINES`.
    """
    reached = reach(sheet, table, form=form, engine=engine.software, tp=tp)
    if isinstance(reached, NoData):
        return reached
    model = StepModel(shape, form, reached.machine, tp=tp)
    memory = serving_memory(
        model,
        tokens=engine.policy.max_tokens,
        share=engine.memory_share,
        cache_share=engine.cache_share,
    )
    if isinstance(memory, NoData):
        return memory
    policy = replace(engine.policy, cache_tokens=memory.cache_tokens)
    one = Request(arrival_s=0.0, input_tokens=input_tokens, output_tokens=output_tokens)
    run = simulate(model, [one] * (ROUNDS * concurrency), policy, concurrency=concurrency)
    return _summed(run, reached, memory, shape)


def _summed(run: Outcome, reached: Reached, memory: Memory, shape: Transformer) -> Summary:
    def said(value: float, unit: str, about: str) -> Estimate:
        return estimate(
            value,
            unit=unit,
            rung=reached.rung,
            spread=reached.spread * _WIDER[about] * (1.25 if shape.derived else 1.0),
            reasons=reached.reasons,
        )

    first = [s.ttft_s for s in run.served]
    each = [s.tpot_s for s in run.served]
    return Summary(
        ttft_s=said(sum(first) / len(first), "s", "ttft"),
        ttft_p99_s=said(percentile(first, 99), "s", "ttft"),
        tpot_s=said(sum(each) / len(each), "s", "tpot"),
        tpot_p99_s=said(percentile(each, 99), "s", "tpot"),
        tokens_per_s=said(run.output_tokens_per_s, "1/s", "throughput"),
        requests_per_s=said(run.requests_per_s, "1/s", "throughput"),
        memory=memory,
        flops=run.flops,
        bytes_moved=run.bytes_moved,
        time_s=run.duration_s,
    )

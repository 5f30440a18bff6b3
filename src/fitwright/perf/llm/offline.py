"""Throughput with a queue that never empties, as benchmarks call offline."""

from __future__ import annotations

from dataclasses import replace

from fitwright.perf.llm.engines import Engine
from fitwright.perf.llm.memory import serving_memory
from fitwright.perf.llm.serving import Outcome, Policy, Request, simulate
from fitwright.perf.llm.step import Pass, StepModel
from fitwright.records.estimate import NoData

WAVES = 2
"""So many times the batch that fits is served: more changes the rate by under 2 %."""


def with_cache(model: StepModel, engine: Engine) -> Policy | NoData:
    """The engine's policy with as much cache as the weights leave."""
    memory = serving_memory(
        model,
        tokens=engine.policy.max_tokens,
        share=engine.memory_share,
        cache_share=engine.cache_share,
    )
    if isinstance(memory, NoData):
        return memory
    return replace(engine.policy, cache_tokens=memory.cache_tokens)


def offline(
    model: StepModel,
    policy: Policy,
    *,
    input_tokens: int,
    output_tokens: int,
    num_requests: int | None = None,
) -> Outcome:
    """All requests alike, all there from the start.

    Args:
        num_requests: of the run; by default whole waves of the batch that fits.
    """
    fits = int(policy.cache_tokens // (input_tokens + output_tokens))
    batch = max(1, min(policy.max_batch, fits))
    one = Request(arrival_s=0.0, input_tokens=input_tokens, output_tokens=output_tokens)
    return simulate(model, [one] * (num_requests or WAVES * batch), policy)


def steady_tokens_per_s(
    model: StepModel, policy: Policy, *, input_tokens: float, output_tokens: float
) -> float:
    """Output tokens a second once the queue has run in, in closed form.

    In balance every pass ends ``b / output`` of the b running sequences, whose places are taken
    by as many prompts; these come in full passes (`max_tokens`), so a share f of the passes
    carries prompts and the others decode alone. Agrees with `offline` to a few per cent where
    the engine reserves the cache, and is what fits use: two passes instead of thousands.
    """
    length = input_tokens + output_tokens
    seats = min(float(policy.max_batch), max(1.0, policy.cache_tokens // length))
    per_pass = input_tokens / output_tokens  # prompt tokens that one sequence asks for in a pass
    running = min(seats, policy.max_tokens / (1 + per_pass))
    room = max(policy.max_tokens - running, 1.0)
    prompts = min(room, running * input_tokens)
    share = min(1.0, running * per_pass / prompts)
    context = running * (input_tokens + output_tokens / 2)
    past = max(0.0, input_tokens - prompts) / 2
    pairs = prompts * (past + min(prompts, input_tokens) / 2)
    alone = model.cost(Pass(decode=running, context=context)).time_s
    full = model.cost(
        Pass(
            prefill_tokens=prompts,
            prefill_pairs=pairs,
            decode=running,
            context=context,
            finished_prompts=prompts / input_tokens,
        )
    ).time_s
    return running / ((1 - share) * alone + share * full)

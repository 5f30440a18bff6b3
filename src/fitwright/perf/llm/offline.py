"""Throughput with a queue that never empties, as benchmarks call offline."""

from __future__ import annotations

import math
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
    model: StepModel,
    policy: Policy,
    *,
    input_tokens: float,
    output_tokens: float,
    beams: int = 1,
) -> float:
    """Output tokens a second once the queue has run in, in closed form.

    In balance every pass ends ``b / output`` of the b running requests, whose places are taken
    by as many prompts; these come in full passes (`max_tokens`), so a share f of the passes
    carries prompts and the others decode alone. Agrees with `offline` to a few per cent where
    the engine reserves the cache, and is what fits use: two passes instead of thousands.

    Args:
        beams: answers searched side by side: sequences that share one prompt in the cache, which
            is read once for them all; the tokens of one are counted.
    """
    length = input_tokens + beams * output_tokens
    seats = max(1.0, min(policy.max_batch / beams, policy.cache_tokens // length))
    per_pass = input_tokens / output_tokens  # prompt tokens that one request asks for in a pass
    running = min(seats, policy.max_tokens / (beams + per_pass))
    room = max(policy.max_tokens - beams * running, 1.0)
    prompts = min(room, running * input_tokens)
    share = min(1.0, running * per_pass / prompts)
    context = running * (input_tokens + beams * output_tokens / 2)
    past = max(0.0, input_tokens - prompts) / 2
    pairs = prompts * (past + min(prompts, input_tokens) / 2)
    alone = model.cost(Pass(decode=beams * running, context=context)).time_s
    full = model.cost(
        Pass(
            prefill_tokens=prompts,
            prefill_pairs=pairs,
            decode=beams * running,
            context=context,
            finished_prompts=prompts / input_tokens,
        )
    ).time_s
    return running / ((1 - share) * alone + share * full)


def steady_within(
    model: StepModel,
    policy: Policy,
    *,
    input_tokens: float,
    output_tokens: float,
    beams: int = 1,
    token_s: float,
) -> float:
    """As `steady_tokens_per_s`, with as many requests at once as keep the mean time of a token
    below `token_s`; with a single one where even that takes longer."""

    def rate(requests: int) -> float:
        limited = replace(policy, max_batch=requests * beams)
        return steady_tokens_per_s(
            model, limited, input_tokens=input_tokens, output_tokens=output_tokens, beams=beams
        )

    most = max(1, policy.max_batch // beams)
    most = min(most, max(1, int(policy.cache_tokens // (input_tokens + beams * output_tokens))))
    low, high = 1, most
    if token_s == math.inf or most / rate(most) <= token_s:
        return rate(most)
    while high - low > 1:  # each token takes longer the more there are
        middle = (low + high) // 2
        low, high = (middle, high) if middle / rate(middle) <= token_s else (low, middle)
    return rate(low)

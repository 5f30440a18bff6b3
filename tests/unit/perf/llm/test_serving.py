"""Serving as events: nothing is lost, and one client sees the step model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import counted_calls
from fitwright.perf.llm.engines import Engine
from fitwright.perf.llm.formats import read_format
from fitwright.perf.llm.memory import serving_memory, weights_fit
from fitwright.perf.llm.offline import offline, steady_tokens_per_s, with_cache
from fitwright.perf.llm.serving import Order, Policy, Request, simulate
from fitwright.perf.llm.step import Machine, StepModel
from fitwright.records.estimate import NoData
from fitwright.records.transformer import Transformer

LLAMA = Transformer(
    name="Llama-3-8B",
    hidden=4096,
    num_layers=32,
    num_heads=32,
    num_kv_heads=8,
    head_size=128,
    ffn=14336,
    num_ffn_matrices=3,
    vocab=128256,
)
MACHINE = Machine(
    flop_per_s=700e12,
    attention_flop_per_s=400e12,
    weight_bytes_per_s=2.5e12,
    kv_bytes_per_s=2.4e12,
    step_s=1e-3,
    memory_bytes=80e9,
)
FORM = read_format("bf16")
assert FORM is not None
MODEL = StepModel(LLAMA, FORM, MACHINE)
ORDERS: tuple[Order, ...] = ("prefill_first", "mixed", "chunked")
requests = st.lists(
    st.builds(
        Request,
        arrival_s=st.floats(0, 2),
        input_tokens=st.integers(1, 3000),
        output_tokens=st.integers(1, 300),
    ),
    min_size=1,
    max_size=30,
).map(lambda rs: sorted(rs, key=lambda r: r.arrival_s))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("reserves", [True, False])
@given(asked=requests, cache=st.sampled_from([3400, 20_000, 10**9]))
@settings(max_examples=25, deadline=None)
def test_every_token_asked_for_is_given_once(
    order: Order, reserves: bool, asked: list[Request], cache: int
) -> None:
    policy = Policy(order=order, max_batch=8, max_tokens=2048, cache_tokens=cache,
                    reserves=reserves)  # fmt: skip
    run = simulate(MODEL, asked, policy)
    assert sorted(s.request.output_tokens for s in run.served) == sorted(
        r.output_tokens for r in asked
    )
    assert run.output_tokens == sum(r.output_tokens for r in asked)
    for served in run.served:
        assert served.request.arrival_s <= served.first_s <= served.end_s
    assert run.mean_batch <= 8


@given(asked=requests, factor=st.floats(1.0, 8.0))
@settings(max_examples=25, deadline=None)
def test_more_bandwidth_never_serves_a_full_queue_slower(
    asked: list[Request], factor: float
) -> None:
    at_once = [replace(r, arrival_s=0.0) for r in asked]
    wider = replace(MACHINE, weight_bytes_per_s=2.5e12 * factor, kv_bytes_per_s=2.4e12 * factor)
    policy = Policy(max_batch=8)
    slow = simulate(MODEL, at_once, policy)
    fast = simulate(StepModel(LLAMA, FORM, wider), at_once, policy)
    assert fast.duration_s <= slow.duration_s * (1 + 1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_a_single_client_sees_the_step_model(order: Order) -> None:
    one = Request(arrival_s=0, input_tokens=1000, output_tokens=101)
    run = simulate(MODEL, [one] * 3, Policy(order=order), concurrency=1)
    for served in run.served:
        assert served.ttft_s == pytest.approx(MODEL.prefill_s(1000))
        # contexts 1001 to 1100: the cost is linear in it, so the middle stands for all
        assert served.tpot_s == pytest.approx(MODEL.decode_s(context=1050.5))


def test_a_full_cache_throws_out_the_youngest_who_is_computed_again() -> None:
    asked = [Request(arrival_s=0, input_tokens=100, output_tokens=200)] * 4
    run = simulate(MODEL, asked, Policy(cache_tokens=800))
    assert run.recomputed_tokens > 0
    assert run.output_tokens == 800


def test_who_reserves_never_throws_out() -> None:
    asked = [Request(arrival_s=0, input_tokens=100, output_tokens=200)] * 4
    run = simulate(MODEL, asked, Policy(cache_tokens=800, reserves=True))
    assert run.recomputed_tokens == 0
    assert run.mean_batch <= 2


def test_late_arrivals_wait_for_nobody_on_an_idle_machine() -> None:
    asked = [Request(arrival_s=t, input_tokens=100, output_tokens=10) for t in (0.0, 50.0)]
    run = simulate(MODEL, asked, Policy())
    assert run.served[1].ttft_s == pytest.approx(MODEL.prefill_s(100))


def test_prompts_first_makes_the_running_wait() -> None:
    asked = [Request(arrival_s=0, input_tokens=2000, output_tokens=100)] * 40

    def tpot_s(order: Order) -> float:
        run = simulate(MODEL, asked, Policy(order=order, max_tokens=2000), concurrency=40)
        return max(s.tpot_s for s in run.served)

    # the first one waits for 39 prompts of the others
    assert tpot_s("prefill_first") == pytest.approx(
        (39 * MODEL.prefill_s(2000)) / 99 + MODEL.decode_s(batch=40, context=2050), rel=0.05
    )


@pytest.mark.parametrize(("asked", "given"), [(128, 128), (128, 2048), (2048, 128), (5000, 500)])
def test_the_closed_form_of_a_full_queue_agrees_with_the_events(asked: int, given: int) -> None:
    policy = with_cache(
        MODEL, Engine(software="any", policy=Policy(order="mixed", max_batch=512, reserves=True))
    )
    assert not isinstance(policy, NoData)
    run = offline(MODEL, policy, input_tokens=asked, output_tokens=given)
    closed = steady_tokens_per_s(MODEL, policy, input_tokens=asked, output_tokens=given)
    # running in and out of two waves of requests costs up to some per cent
    assert run.output_tokens_per_s == pytest.approx(closed, rel=0.06)


def test_a_token_costs_far_less_than_an_event() -> None:
    asked = [Request(arrival_s=0.01 * i, input_tokens=500, output_tokens=1000) for i in range(1000)]
    with counted_calls(at_most=250_000):  # some 60,000
        run = simulate(MODEL, asked, Policy(cache_tokens=300_000))
    assert run.output_tokens == 1_000_000


def test_a_model_that_does_not_fit_says_by_how_much() -> None:
    small = StepModel(LLAMA, FORM, replace(MACHINE, memory_bytes=8e9))
    for answer in (serving_memory(small), weights_fit(small)):
        assert isinstance(answer, NoData)
        assert "short by" in answer.reason
    assert weights_fit(MODEL) is None


def test_answers_searched_side_by_side_read_their_prompt_once() -> None:
    """A machine that does nothing but read the cache: four beams over a long prompt take little
    more than one, where four sequences of their own would take four times as long."""
    reads = replace(
        MACHINE, flop_per_s=1e30, attention_flop_per_s=1e30, weight_bytes_per_s=1e30,
        step_s=0.0, sequence_s=0.0, layer_s=0.0,
    )  # fmt: skip
    policy = Policy(order="mixed", max_batch=64, max_tokens=8192, cache_tokens=10**6)
    one, four = (
        steady_tokens_per_s(
            replace(MODEL, machine=reads, _sums={}), replace(policy, max_batch=16 * beams),
            input_tokens=2000, output_tokens=20, beams=beams,
        )
        for beams in (1, 4)
    )  # fmt: skip
    # contexts: 2,000 + 20/2 alone, 2,000 + 4 times 20/2 for four answers
    assert one / four == pytest.approx(2040 / 2010, rel=0.02)

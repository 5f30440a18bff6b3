"""What holds for any language model on any device with any engine: monotone, never too fast."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import load_sheets
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.llm import ENGINES, counts, llama_cpp_format, read_format
from fitwright.perf.llm.formats import Format
from fitwright.perf.llm.machine import peak_flop_per_s, reach
from fitwright.perf.llm.offline import steady_tokens_per_s, steady_within
from fitwright.perf.llm.serving import Order, Policy, Request, simulate
from fitwright.perf.llm.step import Machine, StepModel
from fitwright.records.estimate import NoData
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer

TABLE = (*evidence("llm"), *evidence("collectives"))
SHEETS = [s for s in load_sheets().values() if s.kind in ("gpu", "cpu", "tpu", "npu", "asic")]
NAMES = ("Llama-3-8B", "Llama-3-70B", "Mixtral-8x7B", "Gemma-2-9B", "DeepSeek-V3", "Falcon-7B",
         "Qwen3-30B-A3B", "Qwen3-0.6B")  # fmt: skip
PRECISIONS = ("bf16", "fp8", "int8", "w8a8", "int4 g128", "nvfp4")
SOFTWARE = ("trtllm", "vllm", "vllm-v0", "sglang", "torch-compile", "eager", "llama.cpp")
batches = st.integers(1, 256)
lengths = st.integers(1, 32768)


def shape_of(name: str) -> Transformer:
    found = find_transformer(name)
    assert found is not None
    return found


def form_of(name: str) -> Format:
    found = read_format(name)
    assert found is not None
    return found


@st.composite
def served(draw: st.DrawFn) -> tuple[StepModel, Sheet, str]:
    sheet, engine = draw(st.sampled_from(SHEETS)), draw(st.sampled_from(SOFTWARE))
    form, tp = form_of(draw(st.sampled_from(PRECISIONS))), draw(st.sampled_from((1, 2, 4, 8)))
    reached = reach(sheet, TABLE, form=form, engine=engine, tp=tp)
    assume(not isinstance(reached, NoData))
    assert not isinstance(reached, NoData)
    shape = shape_of(draw(st.sampled_from(NAMES)))
    return StepModel(shape, form, reached.machine, tp=tp), sheet, engine


@settings(max_examples=60, deadline=None)
@given(served(), batches, batches, lengths)
def test_a_larger_batch_never_gives_fewer_tokens(
    on: tuple[StepModel, Sheet, str], a: int, b: int, context: int
) -> None:
    few, many = sorted((a, b))
    rates = [n / on[0].decode_s(batch=n, context=context) for n in (few, many)]
    assert rates[0] <= rates[1] * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(served(), batches, lengths, lengths)
def test_a_longer_context_or_prompt_is_never_faster(
    on: tuple[StepModel, Sheet, str], batch: int, a: int, b: int
) -> None:
    short, long = sorted((a, b))
    model = on[0]
    at_short, at_long = (model.decode_s(batch=batch, context=n) for n in (short, long))
    assert at_short <= at_long * (1 + 1e-9)
    assert model.prefill_s(short) <= model.prefill_s(long) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(served(), batches, lengths)
def test_no_pass_is_faster_than_the_roofline(
    on: tuple[StepModel, Sheet, str], batch: int, context: int
) -> None:
    model, sheet, engine = on
    peak = peak_flop_per_s(sheet, model.form, engine=engine)
    assert peak is not None and sheet.bandwidth_bytes_per_s is not None
    weights = counts.touched_block_parameters(model.shape, batch) * model.form.bits / 8 / model.tp
    cache = batch * context * counts.attended_share(model.shape, context) * model.kv_bytes_per_token
    per_token = 2 * counts.active_block_parameters(model.shape) / model.tp / peak
    reading = (weights + cache) / sheet.bandwidth_bytes_per_s.value
    assert model.decode_s(batch=batch, context=context) >= max(reading, per_token * batch)
    assert model.prefill_s(context) >= per_token * context


@settings(max_examples=60, deadline=None)
@given(served(), batches, lengths)
def test_more_devices_are_never_slower_but_for_their_collectives(
    on: tuple[StepModel, Sheet, str], batch: int, context: int
) -> None:
    model = replace(on[0], tp=1, machine=replace(on[0].machine, reduce_s=None))
    more = replace(model, tp=2)
    # fewer heads of keys and values on each device may read slower by the power `kv_order` < 1
    assert more.decode_s(batch=batch, context=context) <= model.decode_s(
        batch=batch, context=context
    ) * (1 + 1e-9)


MACHINE = Machine(flop_per_s=700e12, attention_flop_per_s=400e12, weight_bytes_per_s=2.5e12,
                  kv_bytes_per_s=2.4e12, step_s=1e-3, memory_bytes=80e9)  # fmt: skip
MODEL = StepModel(shape_of("Llama-3-8B"), form_of("bf16"), MACHINE)
ORDERS: tuple[Order, ...] = ("prefill_first", "mixed", "chunked")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("expects", [0.0, 0.4])
def test_a_cache_that_is_too_small_for_its_clients_slows_but_does_not_stall(
    order: Order, expects: float
) -> None:
    policy = Policy(order=order, cache_tokens=20_000, expects=expects)
    one = Request(arrival_s=0, input_tokens=1024, output_tokens=128)
    rates = [
        simulate(MODEL, [one] * (4 * clients), policy, concurrency=clients).output_tokens_per_s
        for clients in (8, 16, 32, 64, 128)
    ]
    assert min(rates[1:]) > 0.8 * max(rates)


@pytest.mark.parametrize("engine", ENGINES)
def test_more_clients_wait_longer_and_together_get_more(engine: str) -> None:
    one = Request(arrival_s=0, input_tokens=512, output_tokens=128)
    runs = [
        simulate(MODEL, [one] * (4 * n), ENGINES[engine].policy, concurrency=n)
        for n in (1, 4, 16, 64)
    ]
    rates = [r.output_tokens_per_s for r in runs]
    each = [fmean(s.tpot_s for s in r.served) for r in runs]
    assert rates == sorted(rates)
    assert each == sorted(each)
    assert all(s.ttft_s >= MODEL.prefill_s(512) * 0.9999 for r in runs for s in r.served)


def test_a_pipeline_is_no_faster_for_one_sequence_and_serves_many() -> None:
    alone = MODEL.decode_s(batch=1, context=8000)
    piped = replace(MODEL, pp=4)
    assert piped.decode_s(batch=1, context=8000) == pytest.approx(alone)
    assert piped.prefill_s(8000) == pytest.approx(MODEL.prefill_s(8000))
    assert piped.decode_s(batch=256, context=8000) < MODEL.decode_s(batch=256, context=8000)


def test_a_limit_on_the_token_costs_throughput_and_none_costs_nothing() -> None:
    policy = Policy(order="mixed", max_batch=2048, cache_tokens=400_000, reserves=True)
    free = steady_tokens_per_s(MODEL, policy, input_tokens=300, output_tokens=300)
    rates = [
        steady_within(MODEL, policy, input_tokens=300, output_tokens=300, token_s=limit)
        for limit in (0.005, 0.01, 0.02, 10.0, float("inf"))
    ]
    assert rates == sorted(rates)
    assert rates[0] < 0.8 * free
    assert rates[-1] == pytest.approx(free)


def test_beams_share_a_prompt_but_each_is_a_sequence() -> None:
    policy = Policy(order="mixed", max_batch=1024, cache_tokens=100_000, reserves=True)
    one, four = (
        steady_tokens_per_s(MODEL, policy, input_tokens=900, output_tokens=70, beams=n)
        for n in (1, 4)
    )
    assert one / 4 < four < one


@pytest.mark.parametrize(
    ("words", "bits"),
    [("Q4_K - Medium", 4.85), ("mostly Q4_0", 4.55), ("IQ4_XS - 4.25 bpw", 4.25),
     ("Q4_K_M.gguf", 4.85), ("UD-Q4_K_XL", 4.85), ("Q4_0_4_8", 4.55), ("all F32", 32.0),
     ("MXFP4 MoE", 4.25), ("Q6_K_L", 6.5625), ("Q2_K_S", 3.0), ("int8", 8.5)],
)  # fmt: skip
def test_file_types_are_read_as_tables_and_tools_print_them(words: str, bits: float) -> None:
    found = llama_cpp_format(words)
    assert found is not None
    assert found.bits == bits


@pytest.mark.parametrize(
    ("words", "bits", "group"),
    [("GPTQ-Int8", 8, "int8w"), ("gptq-int4", 4.25, "int4w"), ("AWQ", 4.25, "int4w"),
     ("nf4", 4.25, "int4w"), ("FP8-dynamic", 8, "float8"), ("Q4_K_M", 4.85, "int4w"),
     ("W8A8", 8, "int8"), ("OCP MXFP4", 4.5, "float4")],
)  # fmt: skip
def test_precisions_are_read_as_their_tools_call_them(words: str, bits: float, group: str) -> None:
    found = read_format(words)
    assert found is not None
    assert (found.bits, found.group) == (bits, group)


@pytest.mark.parametrize("words", ["int3", "fp6", "q9_z", "marlin", "TQ1_0"])
def test_precisions_that_nobody_counted_are_not_guessed(words: str) -> None:
    assert read_format(words) is None
    assert llama_cpp_format(words) is None

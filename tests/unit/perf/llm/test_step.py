"""The time of a pass: over the roofline, monotone in the machine, additive over blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.llm import counts
from fitwright.perf.llm.formats import llama_cpp_format, read_format
from fitwright.perf.llm.step import EXPERT_PACE, Machine, Pass, StepModel
from fitwright.records.transformer import Transformer

LLAMA = Transformer(
    name="Llama-2-7B",
    hidden=4096,
    num_layers=32,
    num_heads=32,
    num_kv_heads=32,
    head_size=128,
    ffn=11008,
    num_ffn_matrices=3,
    vocab=32000,
)
MIXTRAL = LLAMA.model_copy(
    update={"num_kv_heads": 8, "ffn": 14336, "num_experts": 8, "num_active_experts": 2}
)
FAST = Machine(
    flop_per_s=700e12,
    attention_flop_per_s=400e12,
    weight_bytes_per_s=2.5e12,
    kv_bytes_per_s=2.4e12,
    kv_order=0.3,
    step_s=1e-3,
    sequence_s=1e-5,
    layer_s=3e-5,
    memory_bytes=80e9,
)
FORM = read_format("bf16")
assert FORM is not None
MODEL = StepModel(LLAMA, FORM, FAST)
passes = st.builds(
    lambda prompt, batch, length: Pass(
        prefill_tokens=prompt,
        prefill_pairs=counts.prefill_pairs(new=prompt),
        decode=batch,
        context=batch * length,
        finished_prompts=1 if prompt else 0,
    ),
    st.integers(0, 8192),
    st.integers(1, 512),
    st.integers(1, 8192),
)


@given(asked=passes)
def test_no_pass_is_under_the_roofline(asked: Pass) -> None:
    cost = MODEL.cost(asked)
    # each share of a peak is at most 1, so the peaks themselves bound the time
    assert cost.time_s >= cost.flops / 989e12
    assert cost.time_s >= cost.bytes_moved / 3.35e12


@given(asked=passes, factor=st.floats(1.0, 10.0))
@pytest.mark.parametrize(
    "better", ["flop_per_s", "attention_flop_per_s", "weight_bytes_per_s", "kv_bytes_per_s"]
)
def test_a_better_machine_is_never_slower(better: str, asked: Pass, factor: float) -> None:
    improved = replace(FAST, **{better: getattr(FAST, better) * factor})
    slower, faster = MODEL.cost(asked), StepModel(LLAMA, FORM, improved).cost(asked)
    assert faster.time_s <= slower.time_s * (1 + 1e-12)  # rounding of one division


@given(asked=passes)
def test_blocks_add_up(asked: Pass) -> None:
    def with_blocks(number: int) -> float:
        shape = LLAMA.model_copy(update={"num_layers": number})
        # without overlap between arithmetic and traffic of the output projection
        machine = replace(FAST, flop_per_s=1e30)
        return StepModel(shape, FORM, machine).cost(asked).time_s

    one, two, three = with_blocks(1), with_blocks(2), with_blocks(3)
    assert three - two == pytest.approx(two - one, rel=1e-6)


@given(asked=passes)
def test_more_work_never_takes_less_time(asked: Pass) -> None:
    more = replace(asked, decode=asked.decode + 1, context=asked.context * 1.1 + 1)
    assert MODEL.cost(more).time_s >= MODEL.cost(asked).time_s * (1 - 1e-12)


def test_a_token_reads_every_weight_but_the_input_embeddings() -> None:
    cost = MODEL.cost(Pass(decode=1, context=1))
    read = LLAMA.parameters - LLAMA.vocab * LLAMA.hidden
    cache = counts.kv_bytes_per_token(LLAMA, FORM)
    assert cost.bytes_moved == pytest.approx(2 * read + cache)


def test_few_tokens_touch_few_experts_and_many_touch_all() -> None:
    assert counts.touched_experts(MIXTRAL, 1) == pytest.approx(2)
    assert counts.touched_experts(MIXTRAL, 1000) == pytest.approx(8)


def test_a_window_bounds_what_is_read() -> None:
    gemma = LLAMA.model_copy(update={"window": 1000, "num_full_layers": 16})
    assert counts.attended_share(gemma, 500) == 1
    assert counts.attended_share(gemma, 2000) == pytest.approx(0.75)  # half the blocks read half


def test_latent_attention_keeps_one_vector_a_token() -> None:
    deepseek = LLAMA.model_copy(
        update={"kv_rank": 512, "rope_size": 64, "q_rank": 1536, "num_layers": 61}
    )
    assert counts.kv_bytes_per_token(deepseek, FORM) == 61 * 576 * 2


def test_devices_of_a_group_share_the_weights_and_pay_for_the_sums() -> None:
    alone = MODEL.decode_s()
    free = StepModel(LLAMA, FORM, FAST, tp=4).decode_s()
    paid = StepModel(LLAMA, FORM, replace(FAST, reduce_s=lambda _: 1e-5), tp=4).decode_s()
    assert free < alone
    assert paid - free == pytest.approx(2 * 32 * 1e-5)


@pytest.mark.parametrize(
    ("text", "bits", "group"),
    [
        ("bf16", 16, "float16"),
        (None, 16, "float16"),
        ("int8 weight-only", 8, "int8w"),
        ("int4 g32", 5, "int4w"),
        ("int4 weight-only g64", 4.5, "int4w"),
        ("fp8_block", 8, "float8"),
        ("float8", 8, "float8"),
        ("nvfp4", 4.5, "float4"),
        ("int8 dynamic act+weight", 8, "int8"),
        ("UINT4", 4.25, "int4w"),
        ("fp32", 32, "float32"),
    ],
)
def test_a_precision_is_read_with_its_scales(text: str | None, bits: float, group: str) -> None:
    form = read_format(text)
    assert form is not None
    assert (form.bits, form.group) == (bits, group)


def test_file_types_of_llama_cpp_are_known_and_unknown_ones_are_not_guessed() -> None:
    q8 = llama_cpp_format("Q8_0")
    assert q8 is not None
    assert q8.bits == 8.5  # 32 weights of 8 bits and a 16-bit scale
    assert llama_cpp_format("q9_z") is None
    assert read_format("thirteen bits") is None


def test_experts_cost_more_than_their_arithmetic_where_that_binds_and_nothing_else() -> None:
    fast = replace(FAST, weight_bytes_per_s=1e30, kv_bytes_per_s=1e30, layer_s=0.0, step_s=0.0)
    dense = MIXTRAL.model_copy(update={"num_experts": 1, "num_active_experts": 1, "ffn": 2 * 14336})
    assert counts.active_block_parameters(dense) == counts.active_block_parameters(MIXTRAL)
    asked = Pass(prefill_tokens=4096, finished_prompts=1)
    slower = StepModel(MIXTRAL, FORM, fast).cost(asked).time_s
    ideal = StepModel(dense, FORM, fast).cost(asked).time_s
    experts = 32 * 2 * MIXTRAL.ffn_parameters * 2 * 4096 / fast.flop_per_s
    assert slower - ideal == pytest.approx(experts * (1 / EXPERT_PACE - 1))
    reading = replace(FAST, flop_per_s=1e30, attention_flop_per_s=1e30)
    one = Pass(decode=1, context=1)
    assert StepModel(MIXTRAL, FORM, reading).cost(one).time_s == pytest.approx(
        StepModel(dense, FORM, reading).cost(one).time_s, rel=1e-6
    )

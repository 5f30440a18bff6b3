"""Latent attention by counting: DeepSeek-V2 (arXiv:2405.04434), section 2.1 and table 1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.catalog.transformers import find_transformer
from fitwright.perf.llm import counts
from fitwright.perf.llm.formats import read_format
from fitwright.perf.llm.step import Machine, Pass, StepModel
from fitwright.perf.operators import latent_decode_work, latent_prefill_work, prefill_work
from fitwright.records.transformer import Transformer

MACHINE = Machine(
    flop_per_s=700e12, attention_flop_per_s=400e12, weight_bytes_per_s=2.5e12,
    kv_bytes_per_s=2.5e12, memory_bytes=141e9,
)  # fmt: skip


@pytest.fixture
def v3() -> Transformer:
    found = find_transformer("deepseek-ai/DeepSeek-V3")
    assert found is not None
    return found


def model(shape: Transformer, *, tp: int = 1, own: bool = False) -> StepModel:
    form = read_format("fp8")
    assert form is not None
    return StepModel(shape, form, MACHINE, tp=tp, own_sequences=own)


def test_a_token_leaves_one_latent_vector_in_each_block(v3: Transformer) -> None:
    form = read_format("bf16")
    assert form is not None
    assert counts.kv_bytes_per_token(v3, form) == 61 * (512 + 64) * 2


def test_prompts_expand_heads_and_answers_absorb_them(v3: Transformer) -> None:
    # scores over 128 + 64 dimensions and sums over 128; absorbed: over 576 and over 512
    assert counts.attention_flops(v3, 10) == 61 * 128 * 2 * (192 + 128) * 10
    assert counts.absorbed_flops(v3, 10) == 61 * 128 * 2 * (576 + 512) * 10


def test_absorbing_costs_no_more_flop_in_the_projections(v3: Transformer) -> None:
    """Queries times W_UK and sums times W_UV have as many weights as expanding one token."""
    absorbed = 128 * 512 * 128 * 2
    rest = 7168 * (1536 + 512 + 64) + 1536 * 128 * (128 + 64) + 128 * 128 * 7168
    assert v3.attention_parameters == rest + absorbed


def test_one_token_passes_the_shared_expert_beside_the_chosen_ones(v3: Transformer) -> None:
    # 37 thousand million active of 671, as the authors of DeepSeek-V3 state
    assert v3.active_parameters == pytest.approx(37e9, rel=0.03)
    one_expert = 3 * 7168 * 2048
    assert v3.shared_ffn_parameters == one_expert
    dense = 3 * 3 * 7168 * 18432
    block = 61 * v3.attention_parameters + dense + 58 * 9 * one_expert
    assert counts.active_block_parameters(v3) == block


def test_splitting_heads_leaves_the_whole_cache_on_each_device(v3: Transformer) -> None:
    assert model(v3, tp=8).kv_bytes_per_token == model(v3).kv_bytes_per_token
    own = model(v3, tp=8, own=True)
    assert own.kv_bytes_per_token == model(v3).kv_bytes_per_token / 8
    attention = 61 * v3.attention_parameters
    assert own.weight_bytes - model(v3, tp=8).weight_bytes == pytest.approx(attention * 7 / 8)


def test_long_answers_of_many_users_wait_for_arithmetic_and_not_for_the_cache(
    v3: Transformer,
) -> None:
    asked = Pass(decode=256, context=256 * 8000)
    short = model(v3).cost(Pass(decode=256, context=256)).time_s
    added = model(v3).cost(asked).time_s - short
    flops = counts.absorbed_flops(v3, 256 * 7999)
    # 1,088 FLOP for each of 128 heads and 576 bytes: 242 FLOP a byte times two at 8 bits
    assert added == pytest.approx(flops / MACHINE.attention_flop_per_s)
    faster = replace(MACHINE, kv_bytes_per_s=1e15)
    assert StepModel(v3, model(v3).form, faster).cost(asked).time_s == pytest.approx(
        model(v3).cost(asked).time_s
    )


def test_the_operator_reads_one_vector_for_all_heads() -> None:
    work = latent_decode_work(
        batch=4, context=1000, num_heads=128, kv_rank=512, rope_dim=64, dtype="bfloat16"
    )
    queries_and_results = 4 * 128 * (576 + 512) * 2
    assert work.bytes_moved == 4 * 1000 * 576 * 2 + queries_and_results
    assert work.flops == 4 * 1000 * 128 * 2 * (576 + 512)


def test_a_prompt_without_positions_of_their_own_is_plain_attention() -> None:
    shared = {"batch": 2, "queries": 256, "num_heads": 16, "head_dim": 128, "dtype": "bfloat16"}
    latent = latent_prefill_work(**shared, rope_dim=0)  # type: ignore[arg-type]
    plain = prefill_work(**shared, num_kv_heads=16)  # type: ignore[arg-type]
    assert (latent.flops, latent.bytes_moved) == (plain.flops, plain.bytes_moved)

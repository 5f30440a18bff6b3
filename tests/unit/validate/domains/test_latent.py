"""Rows of DeepSeek in a table of cases: operators, serving, the cache."""

from __future__ import annotations

import pytest

from fitwright.records.validation import Scored
from fitwright.validate.case import Case
from fitwright.validate.domains.llm_setup import LATENT_SPREAD
from fitwright.validate.score import scored


def answer(
    domain: str, device: str, metric: str = "latency", unit: str = "ms", **said: object
) -> Scored:
    row = Case(case="a", domain=domain, device_id=device, inputs=said, metric=metric,
               measured=None, unit=unit)  # fmt: skip
    return scored(row)


@pytest.mark.parametrize(
    "said", [{"kv_lora_rank": 512, "qk_rope_head_dim": 64}, {"op_name": "mla"}]
)
def test_a_latent_decode_reads_far_less_than_one_with_as_many_heads(
    said: dict[str, object],
) -> None:
    shape = {"batch_size": 64, "step": 4095, "isl": 1, "num_heads": 128, "head_dim": 128}
    latent = answer("op/attention-decode", "h100-sxm", **shape, **said)
    plain = answer("op/attention-decode", "h100-sxm", **shape, num_key_value_heads=128)
    assert latent.predicted and plain.predicted and latent.low and latent.high
    assert latent.predicted < plain.predicted / 10  # 576 numbers a token instead of 32,768
    assert latent.high / latent.low > 1.4**2  # no such kernel was measured
    # no faster than the traffic of the vectors at the published 3.35 TB/s
    assert latent.predicted > 64 * 4096 * 576 * 2 / 3.35e12 * 1e3


def test_the_cache_of_a_row_is_counted_exactly() -> None:
    said = {"model": "DeepSeek-V2", "context": 1000, "batch": 2, "tp": 8}
    found = answer("memory/kv-cache", "h200-sxm", "kv_cache", "B", **said)
    assert found.predicted == 2 * 1000 * 60 * (512 + 64) * 2  # tensor parallel does not split it
    half = answer("memory/kv-cache", "h200-sxm", "kv_cache", "B", **said, kv_cache_dtype="fp8")
    assert half.predicted == found.predicted / 2
    llama = answer("memory/kv-cache", "h200-sxm", "kv", "GB", model="Llama-3.1-70B", context=1000)
    assert llama.predicted == pytest.approx(80 * 2 * 8 * 128 * 2 * 1000 / 1e9)


def test_a_model_published_in_few_bits_is_loaded_in_them() -> None:
    weights = answer("memory/llm", "h200-sxm", "weights", "GB", model="DeepSeek-R1", tp=8)
    # 671 thousand million of 8 bits, the embeddings of 16
    assert weights.predicted == pytest.approx(671 / 8, rel=0.02)
    oss = answer("memory/llm", "h100-sxm", "weights", "GB", model="openai/gpt-oss-120b")
    assert oss.predicted == pytest.approx(65.2, rel=0.05)  # size of the published checkpoint


@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V3", "DeepSeek-R1", "Kimi-K2-Instruct"])
def test_big_latent_models_are_served_on_eight_large_gpus(model: str) -> None:
    said = {"model": model, "tensor_par": 8, "input_len": 1000, "output_len": 1000}
    found = answer("e2e/llm-serving-offline", "b300", "throughput", "tok/s", **said)
    assert found.predicted, found.reason


def test_experts_of_four_bits_run_as_weights_alone_where_no_fast_path_is() -> None:
    said = {"model": "gpt-oss-120b", "tensor_par": 1, "batch": 1}
    found = answer("e2e/llm-decode", "h100-sxm", "decode_tok_s", "tok/s", **said)
    assert found.predicted
    # what one token reads: 4 of 128 experts at 4.25 bits, attention and output at 16
    floor = (36 * (4 * 3 * 2880 * 2880 * 4.25 + 26.5e6 * 16) + 201088 * 2880 * 16) / 8 / 3.35e12
    assert found.predicted < 1 / floor


def test_what_nobody_measured_is_said_and_has_a_wider_band() -> None:
    said = {"tensor_par": 8, "dtype": "fp8", "input_len": 1000, "output_len": 1000}
    latent = answer(
        "e2e/llm-serving-offline", "h200-sxm", "t", "tok/s", model="DeepSeek-R1", **said
    )
    dense = answer("e2e/llm-serving-offline", "h200-sxm", "t", "tok/s", model="Llama-70B", **said)
    assert latent.high and latent.low and dense.high and dense.low
    assert latent.predicted
    assert latent.high / latent.predicted > LATENT_SPREAD > dense.high / dense.low
    assert "no run of them was measured" in latent.reason

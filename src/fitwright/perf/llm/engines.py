"""How the serving engines form batches and take memory: their published defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.perf.llm.serving import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One serving engine.

    Attributes:
        software: name of its row of evidence ``llm/software``.
        memory_share: of a device's memory that it takes.
        cache_share: of what weights and workspace leave of that, given to the cache.
        float8_cache: keeps keys and values in 8 bits where the weights have 8 bits.
    """

    software: str
    policy: Policy
    memory_share: float = 0.9
    cache_share: float = 1.0
    float8_cache: bool = False


ENGINES: Mapping[str, Engine] = {
    "trtllm": Engine(
        software="trtllm",
        policy=Policy(order="mixed", max_batch=2048, max_tokens=8192, reserves=True),
        memory_share=1.0,
        cache_share=0.95,
        float8_cache=True,
    ),
    "vllm": Engine(
        software="vllm",
        policy=Policy(order="chunked", max_batch=256, max_tokens=8192),
    ),
    "vllm-bench": Engine(
        software="vllm-bench",
        policy=Policy(order="chunked", max_batch=256, max_tokens=8192),
    ),
    "vllm-v0": Engine(
        software="vllm-v0",
        policy=Policy(order="prefill_first", max_batch=256, max_tokens=8192),
    ),
    "sglang": Engine(
        software="sglang",
        policy=Policy(order="prefill_first", max_batch=512, max_tokens=16384, expects=0.4),
        memory_share=0.88,
    ),
}
"""TensorRT-LLM: trtllm-bench and its guaranteed-no-evict scheduler; vLLM: V1 (chunked prefill)
and V0 (prompts first); SGLang: prompts first, 16,384 tokens at most in a prefill, room kept for
a share of the answers to come that falls from 0.7 to 0.1 (`new_token_ratio`; the middle is
taken). ``vllm-bench``: `vllm bench throughput`, some dozens of prompts from a cold start, of
which the products are slower than of long runs. vLLM keeps 1 % of its cache free when it lets
requests in."""


def engine_named(text: str) -> Engine | None:
    """By the names that tables use: ``TensorRT-LLM v0.17``, ``trtllm``, ``vLLM 0.13`` …"""
    key = text.lower().replace("-", "").replace("_", "").replace(" ", "")
    if "tensorrt" in key or "trt" in key:
        return ENGINES["trtllm"]
    if "sglang" in key:
        return ENGINES["sglang"]
    if "vllmv0" in key or "vllm0.5" in key or "vllm0.4" in key:
        return ENGINES["vllm-v0"]
    return ENGINES["vllm"] if "vllm" in key else None

"""The work of the products and attentions that whole models are made of."""

from __future__ import annotations

from fitwright.perf.work import Work

BITS = {
    "float64": 64,
    "float32": 32,
    "tf32": 32,
    "float16": 16,
    "bfloat16": 16,
    "float8": 8,
    "int8": 8,
    "int4": 4,
    "float4": 4,
    "bool": 8,
}
"""Of one element in memory."""


def dtype_bytes(dtype: str) -> float:
    """Bytes of one element in memory; half a byte for four bits."""
    return BITS[dtype] / 8


def gemm_work(
    *, m: int, n: int, k: int, dtype: str, weight_dtype: str = "", scaling: str = ""
) -> Work:
    """Activations (m, k) times weights (k, n); the result leaves with 16 bits at least.

    Args:
        m, n, k: rows of activations, columns of weights, and what is summed over.
        dtype: of the arithmetic and of the activations.
        weight_dtype: of the weights, where narrower.
        scaling: as of `Work`.
    """
    wide = dtype_bytes(dtype)
    narrow = dtype_bytes(weight_dtype or dtype)
    moved = m * k * wide + k * n * narrow + m * n * max(wide, 2.0)
    return Work(
        operator_class="gemm",
        dtype=dtype,
        flops=2.0 * m * n * k,
        bytes_moved=moved,
        m=m,
        n=n,
        k=k,
        weight_dtype=weight_dtype,
        scaling=scaling,
    )


def _visible_pairs(*, queries: int, past: int, causal: bool, window: int) -> float:
    """Pairs of query and key of one head that the mask lets through."""
    most = min(window or past + queries, past + queries)
    if not causal:
        return float(queries * most)
    growing = min(max(most - past, 0), queries)
    return growing * past + growing * (growing + 1) / 2 + (queries - growing) * float(most)


def prefill_work(
    *,
    batch: int,
    queries: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    dtype: str,
    past: int = 0,
    causal: bool = True,
    window: int = 0,
    kv_dtype: str = "",
) -> Work:
    """Attention of many queries at once: scores and their sum, 4 FLOP per pair and dimension.

    Args:
        batch: sequences.
        queries: tokens of each that attend now.
        num_heads, num_kv_heads, head_dim: of the attention; fewer kv heads are grouped queries.
        dtype: of the arithmetic, queries and result.
        past: tokens of each in the cache already.
        causal: a query sees only what came before.
        window: tokens that a query sees at most; 0: all.
        kv_dtype: of the cache, where narrower.
    """
    pairs = _visible_pairs(queries=queries, past=past, causal=causal, window=window)
    keys = past + queries
    wide = dtype_bytes(dtype)
    kv_bytes = 2.0 * keys * num_kv_heads * head_dim * dtype_bytes(kv_dtype or dtype)
    moved = batch * (2.0 * queries * num_heads * head_dim * wide + kv_bytes)
    return Work(
        operator_class="attention_prefill",
        dtype=dtype,
        flops=4.0 * batch * num_heads * head_dim * pairs,
        bytes_moved=moved,
        m=queries,
        n=keys,
        k=head_dim,
        num_batches=batch * num_heads,
        weight_dtype="" if kv_dtype == dtype else kv_dtype,
        heads_per_kv_head=max(1, num_heads // num_kv_heads),
    )


def decode_work(
    *,
    batch: int,
    context: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    dtype: str,
    kv_dtype: str = "",
) -> Work:
    """Attention of one new token of each sequence over its cache: every key and value once.

    Args:
        batch: sequences.
        context: tokens of each that are attended to, the new one included.
        num_heads, num_kv_heads, head_dim: of the attention.
        dtype: of the arithmetic.
        kv_dtype: of the cache, where narrower.
    """
    wide = dtype_bytes(dtype)
    kv_bytes = 2.0 * context * num_kv_heads * head_dim * dtype_bytes(kv_dtype or dtype)
    moved = batch * (2.0 * num_heads * head_dim * wide + kv_bytes)
    return Work(
        operator_class="attention_decode",
        dtype=dtype,
        flops=4.0 * batch * num_heads * head_dim * context,
        bytes_moved=moved,
        m=1,
        n=context,
        k=head_dim,
        num_batches=batch * num_heads,
        weight_dtype="" if kv_dtype == dtype else kv_dtype,
        heads_per_kv_head=max(1, num_heads // num_kv_heads),
    )


def latent_prefill_work(
    *,
    batch: int,
    queries: int,
    num_heads: int,
    head_dim: int,
    rope_dim: int,
    dtype: str,
    past: int = 0,
    causal: bool = True,
) -> Work:
    """Latent attention of many queries (DeepSeek-V2, arXiv:2405.04434, section 2.1).

    Keys and values are expanded for each head, so that a pair costs ``2 (d + r)`` FLOP for its
    score and ``2 d`` for the sum, with heads of d dimensions and r more for positions.
    """
    pairs = _visible_pairs(queries=queries, past=past, causal=causal, window=0)
    keys, wide = past + queries, dtype_bytes(dtype)
    each = 2 * head_dim + rope_dim
    moved = batch * num_heads * each * (queries + keys) * wide
    return Work(
        operator_class="attention_prefill",
        dtype=dtype,
        flops=2.0 * batch * num_heads * each * pairs,
        bytes_moved=moved,
        m=queries,
        n=keys,
        k=each // 2,
        num_batches=batch * num_heads,
    )


def latent_decode_work(
    *,
    batch: int,
    context: int,
    num_heads: int,
    kv_rank: int,
    rope_dim: int,
    dtype: str,
    kv_dtype: str = "",
) -> Work:
    """Latent attention of one new token of each sequence, projections absorbed
    (DeepSeek-V2, arXiv:2405.04434, section 2.1).

    All heads share one vector of ``c + r`` numbers for each token of the context: ``2 (c + r)``
    FLOP for a score, ``2 c`` for the sum; queries and results are as wide.
    """
    wide = dtype_bytes(dtype)
    kv_bytes = context * (kv_rank + rope_dim) * dtype_bytes(kv_dtype or dtype)
    moved = batch * (num_heads * (2 * kv_rank + rope_dim) * wide + kv_bytes)
    return Work(
        operator_class="attention_decode",
        dtype=dtype,
        flops=2.0 * batch * num_heads * (2 * kv_rank + rope_dim) * context,
        bytes_moved=moved,
        m=1,
        n=context,
        k=kv_rank + rope_dim,
        num_batches=batch * num_heads,
        weight_dtype="" if kv_dtype == dtype else kv_dtype,
        heads_per_kv_head=num_heads,
    )

"""Attention: two matrix products and a softmax between them.

Scores and weighted values are 2 FLOP per MAC each over the full sequence x sequence grid:
a causal mask is not counted as saved work, since dense kernels do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule
from fitwright.records.model import Product

_PER_SCORE = 6
"""Elementwise FLOP per score: scale, and the softmax's max, subtract, exp, sum, divide."""


def attention_cost(
    *, batch: int, heads: int, queries: int, keys: int, key_size: int, value_size: int, extra: int
) -> Cost:
    """Scores, softmax and weighted values.

    Args:
        key_size, value_size: per head.
        extra: further elementwise FLOP per score: mask, bias, soft cap.
    """
    scores = batch * heads * queries * keys
    return Cost(
        flops=2 * scores * (key_size + value_size),
        elementwise_flops=(_PER_SCORE + extra) * scores,
        product=Product(
            m=queries, n=keys, k=key_size, num_products=batch * heads, has_weights=False
        ),
    )


def attention(op: Operator) -> Cost:
    """ai.onnx Attention (opset 23 on), 3D packed or 4D, grouped heads, with a past."""
    query, key, value = op.dims(0), op.dims(1), op.dims(2)
    extra = op.has(3) + bool(op.number("is_causal", 0))
    extra += 3 * (float(op.attributes.get("softcap", 0.0)) != 0.0)
    past = op.dims(4)[2] if op.has(4) else 0
    if len(query) == 4:
        batch, heads, queries, size = query
        keys, value_size = key[2], value[3]
    else:
        heads, kv_heads = op.number("q_num_heads"), op.number("kv_num_heads")
        batch, queries = query[:2]
        size, keys, value_size = query[2] // heads, key[1], value[2] // kv_heads
    return attention_cost(
        batch=batch,
        heads=heads,
        queries=queries,
        keys=past + keys,
        key_size=size,
        value_size=value_size,
        extra=extra,
    )


def fused_projection_attention(op: Operator) -> Cost:
    """com.microsoft Attention / QAttention: the projections to Q, K, V, then attention."""
    batch, queries, width = op.dims(0)
    columns = op.dims(1)[1]
    heads = op.number("num_heads")
    sizes = op.numbers("qkv_hidden_sizes", (columns // 3,) * 3)
    past_index = 8 if op.kind == "QAttention" else 4
    past = op.dims(past_index)[3] if op.has(past_index) else 0
    core = attention_cost(
        batch=batch,
        heads=heads,
        queries=queries,
        keys=past + queries,
        key_size=sizes[0] // heads,
        value_size=sizes[2] // heads,
        extra=int(op.has(5 if op.kind == "QAttention" else 3)),
    )
    rows = batch * queries
    return Cost(
        flops=core.flops + 2 * rows * width * columns,
        elementwise_flops=core.elementwise_flops + rows * columns * op.has(2),
        product=core.product,
    )


def multi_head_attention(op: Operator) -> Cost:
    """com.microsoft MultiHeadAttention: Q, K, V are projected already, or packed in Q."""
    query, heads = op.dims(0), op.number("num_heads")
    past = op.dims(6)[2] if op.has(6) else 0
    if len(query) == 5:
        batch, queries, _, _, size = query
        keys, value_size = queries, size
    else:
        batch, queries, size = query[0], query[1], query[2] // heads
        key = op.dims(1)
        keys = key[2] if len(key) == 4 else key[1]
        value_size = size
        if op.has(2):
            value = op.dims(2)
            value_size = value[3] if len(value) == 4 else value[2] // heads
    return attention_cost(
        batch=batch,
        heads=heads,
        queries=queries,
        keys=past + keys,
        key_size=size,
        value_size=value_size,
        extra=op.has(4) + op.has(5),
    )


def group_query_attention(op: Operator) -> Cost:
    """com.microsoft GroupQueryAttention over the total sequence length, which must be constant."""
    batch, queries, width = op.dims(0)
    heads, kv_heads = op.number("num_heads"), op.number("kv_num_heads")
    size = width // heads if op.has(1) else width // (heads + 2 * kv_heads)
    rotated = 3 * batch * queries * (heads + kv_heads) * size * op.number("do_rotary", 0)
    core = attention_cost(
        batch=batch,
        heads=heads,
        queries=queries,
        keys=op.data(6)[0],
        key_size=size,
        value_size=size,
        extra=0,
    )
    return replace(core, elementwise_flops=core.elementwise_flops + rotated)


def linear_attention(op: Operator) -> Cost:
    """Per token and head: update the d_k x d_v state, read it out; delta rules read it twice."""
    batch, tokens, width = op.dims(0)
    heads, kv_heads = op.number("q_num_heads"), op.number("kv_num_heads")
    key_size, value_size = width // heads, op.dims(2)[2] // kv_heads
    state = batch * tokens * key_size * value_size
    rule = op.text("update_rule", "gated_delta")
    updates = 2 if "delta" in rule else 1
    return Cost(
        flops=2 * state * (heads + updates * kv_heads),
        elementwise_flops=state * kv_heads * ("gated" in rule)
        + 2 * batch * tokens * kv_heads * value_size * ("delta" in rule),
    )


def rotary(op: Operator) -> Cost:
    """Two products and a sum for each element rotated; the rest is copied."""
    return Cost(elementwise_flops=3 * op.out_size())


RULES: Mapping[Key, Rule] = {
    ("", "Attention"): attention,
    ("", "LinearAttention"): linear_attention,
    ("", "RotaryEmbedding"): rotary,
    ("com.microsoft", "Attention"): fused_projection_attention,
    ("com.microsoft", "QAttention"): fused_projection_attention,
    ("com.microsoft", "MultiHeadAttention"): multi_head_attention,
    ("com.microsoft", "GroupQueryAttention"): group_query_attention,
    ("com.microsoft", "RotaryEmbedding"): rotary,
}

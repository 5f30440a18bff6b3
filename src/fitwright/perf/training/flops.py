"""Arithmetic of one training step, as executed and as papers count it."""

from __future__ import annotations

from fitwright.perf.training.layout import Layout, Numbers, Shape


def products(shape: Shape, layout: Layout) -> tuple[tuple[Numbers, Numbers], ...]:
    """Columns and depth of the matrix products of one block on one device."""
    split = layout.tp
    queries = shape.heads * shape.head_size
    keys = 2 * shape.kv_heads * shape.head_size
    inner = shape.ffn * shape.active
    return (
        ((queries + keys) / split, shape.hidden),
        (shape.hidden, queries / split),
        ((shape.ffn_matrices - 1) * inner / split, shape.hidden),
        (shape.hidden, inner / split),
    )


def attention_flop(shape: Shape, layout: Layout) -> Numbers:
    """Scores and their product with the values, forward, of one block and micro batch.

    A fused kernel skips what the causal mask hides; separate products compute it.
    """
    skipped = 0.5 if layout.attention == "fused" and shape.causal is True else 1.0
    queries = shape.heads * shape.head_size / layout.tp
    return 4 * layout.tokens(shape) * shape.seq_len * queries * skipped


def model_flop(shape: Shape) -> Numbers:
    """Of one sequence, forward and backward, without recomputation; scores in full.

    ``72 l s h^2 (1 + s/6h + V/12lh)`` for a GPT block; papers divide this by time and peak (MFU).
    """
    blocks = 6 * shape.seq_len * shape.layers * shape.block_parameters(active_only=True)
    scores = 12 * shape.layers * shape.seq_len**2 * shape.heads * shape.head_size
    return blocks + scores + 6 * shape.seq_len * shape.vocab * shape.hidden


def megatron_flop(shape: Shape) -> Numbers:
    """Of one sequence as Narayanan et al. 2021 (arXiv 2104.04473) count it.

    ``96 l s h^2 (1 + s/6h + V/16lh)``: with one recomputation of every block, whether or not it
    is done; their teraFLOP/s per GPU are this over time and GPUs.
    """
    width, length = shape.hidden, shape.seq_len
    inside = 1 + length / (6 * width) + shape.vocab / (16 * shape.layers * width)
    return 96 * length * shape.layers * width**2 * inside

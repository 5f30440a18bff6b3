"""Memory of one device during training: Korthikanti et al. 2022 (arXiv 2205.05198).

The activation terms generalise its ``s*b*h*(10 + 24/t + 5*a*s/(h*t))`` to grouped queries, gated
feed-forward parts and other widths of a value; for a GPT block in float16 they are the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitwright.perf.training.layout import Layout, Numbers, Shape

TIED_VOCAB = 2_000
"""Up to here a `vocab` is of classes (vision): one matrix, no embedding."""
FP16_ADAM_BYTES = 18.0
"""Per parameter: float16 weight 2, float32 gradient 4, float32 copy 4, two moments 8
(Korthikanti et al., figure 1: 18 bytes per block parameter reproduce all five bars)."""
ADAPTER_BYTES = 16.0
"""Per trained parameter of an adapter: weight, gradient and two moments in float32."""


def block_activation_bytes(shape: Shape, layout: Layout) -> Numbers:
    """Kept by one block of one micro batch for its backward pass, under the layout's mode."""
    split = layout.tp if layout.sequence_parallel else 1
    entered = layout.tokens(shape) * layout.value_bytes * shape.hidden / split
    if layout.recompute == "full":
        return entered
    if layout.recompute == "selective" and layout.attention == "fused":
        return (kept_bytes(shape, layout) + entered) / 2  # torchtitan: every second block
    scores = 0 if layout.recompute == "selective" else None
    return kept_bytes(shape, layout, scores=scores)


def kept_bytes(shape: Shape, layout: Layout, *, scores: float | None = None) -> Numbers:
    """What of `written_bytes` stays: a compiler computes the activation (or its product with the
    gate) again in the backward pass, since that is cheaper than to read it."""
    again = layout.tokens(shape) * layout.value_bytes * shape.ffn * shape.active / layout.tp
    return written_bytes(shape, layout, scores=scores) - (again if layout.compiled else 0.0)


def working_bytes(shape: Shape, layout: Layout) -> Numbers:
    """Of the one block that is at work, beside what is kept of every block.

    Recomputed, it is there whole; under sequence parallelism what enters its two halves is
    gathered, and what leaves them is whole until it is summed: four activations.
    """
    whole = layout.tokens(shape) * layout.value_bytes * shape.hidden
    gathered = 4 * whole * (1 - 1 / layout.tp) if layout.sequence_parallel else 0.0
    return gathered + (kept_bytes(shape, layout) if layout.recompute == "full" else 0.0)


def boundary_bytes(shape: Shape, layout: Layout, *, copies: float) -> Numbers:
    """What crosses a stage's boundary in a step, where the software keeps all micro batches.

    Args:
        copies: 1 for activations, 2 with their gradients.
    """
    whole = layout.tokens(shape) * layout.value_bytes * shape.hidden
    return np.where(np.asarray(layout.pp) > 1, copies * whole * layout.micro_batches, 0.0)


def written_bytes(shape: Shape, layout: Layout, *, scores: float | None = None) -> Numbers:
    """All that the forward pass of one block writes and the backward pass needs.

    Args:
        scores: bytes of attention scores per token, where not those of the layout's attention.
    """
    tokens, width, value = layout.tokens(shape), shape.hidden, layout.value_bytes
    masks = np.where(shape.dropout, 2.0, 0.0)
    between = width * (4 * value + masks)
    if layout.sequence_parallel:
        between = between / layout.tp
    projections = shape.head_size * (2 * shape.heads + 2 * shape.kv_heads)
    inner = shape.ffn * shape.ffn_matrices * shape.active
    inside = value * (projections + inner) / layout.tp
    if scores is None:
        scores = score_bytes(shape, layout)
    return tokens * (between + inside + scores)


def score_bytes(shape: Shape, layout: Layout) -> Numbers:
    """Per token: softmax, its dropout and the mask; a fused kernel keeps one sum per head."""
    if layout.attention == "fused":
        return 4.0 * shape.heads / layout.tp
    value = layout.value_bytes
    kept = np.where(shape.dropout, 2 * value + 1, value)
    return shape.heads / layout.tp * shape.seq_len * kept


def activation_bytes(shape: Shape, layout: Layout) -> Numbers:
    """Of the blocks of the first pipeline stage, which holds the most micro batches.

    ``pp`` micro batches are in flight there; interleaving multiplies by 1 + (pp-1)/(pp*v).
    """
    in_flight = np.minimum(layout.micro_batches, layout.pp) / layout.pp
    more = np.where(
        np.asarray(layout.interleave) > 1,
        1 + (layout.pp - 1) / (layout.pp * layout.interleave),
        1.0,
    )
    return shape.layers * block_activation_bytes(shape, layout) * in_flight * more


def state_bytes(
    shape: Shape,
    layout: Layout,
    *,
    weight_bytes: float = 2.0,
    gradient_bytes: float = 4.0,
    optimiser_bytes: float = 12.0,
    embedding_copies: float = 0.0,
) -> Numbers:
    """Weights, gradients and optimiser states of one device.

    Args:
        embedding_copies: vocabulary matrices held besides the blocks (0: figure 1 of
            Korthikanti et al. counts blocks only; 2: untied; on the first stage alone).
    """
    blocks = shape.layers * shape.block_parameters() / layout.pp
    if np.any(np.asarray(layout.ep) > 1):
        dense = shape.layers * shape.block_parameters(active_only=True) / layout.pp
        blocks = dense + (blocks - dense) / layout.ep
    held = (blocks + embedding_copies * shape.vocab * shape.hidden) / layout.tp
    over = layout.sharded
    if np.any(np.asarray(layout.adapter_rank) > 0):
        adapters = shape.layers * shape.adapter_parameters(layout.adapter_rank) / layout.pp
        frozen = held * weight_bytes / (over if layout.zero >= 3 else 1)
        return frozen + adapters / layout.tp * ADAPTER_BYTES
    return held * (
        weight_bytes / (over if layout.zero >= 3 else 1)
        + gradient_bytes / (over if layout.zero >= 2 else 1)
        + optimiser_bytes / (over if layout.zero >= 1 else 1)
    )


def logit_bytes(shape: Shape, layout: Layout, *, each: float = 10.0) -> Numbers:
    """Of the last stage: logits in the value's width, and twice in float32 (loss, gradient)."""
    return layout.tokens(shape) * shape.vocab / layout.tp * each


def gathered_bytes(shape: Shape, layout: Layout) -> Numbers:
    """Weights that a sharded layout holds whole: of two blocks at a time, or, in a pipeline, of
    the whole stage, with its gradients in float32 until they are reduced once."""
    if not layout.fsdp:
        return 0.0
    block = shape.block_parameters() / layout.tp
    stage = shape.layers / layout.pp * block * (layout.value_bytes + 4)
    return np.where(np.asarray(layout.pp) > 1, stage, 2 * block * layout.value_bytes)


def allocated_bytes(
    shape: Shape,
    layout: Layout,
    *,
    weight_bytes: float,
    gradient_bytes: float,
    optimiser_bytes: float,
    logit_each: float,
    cast_bytes: float = 0.0,
    residual_bytes: float | None = None,
) -> Numbers:
    """The most that one device holds at once, gaps and libraries not counted.

    Gradients are freed after the optimiser's step, so the peak is where the backward pass starts
    (all activations, no gradients) or where it ends (all gradients, one block at work). Compiled or
    not, what a product reads again is kept (``torch/_functorch/partitioners.py`` does not
    recompute what the backward pass would have to write).

    Args:
        cast_bytes: per parameter, of narrow copies that the forward pass makes and keeps.
        residual_bytes: of a value that enters a norm; `layout.value_bytes` by default.
    """
    layout = replace(layout, compiled=False)
    copies = 1.0 if np.all(np.asarray(shape.vocab) <= TIED_VOCAB) else 2.0
    states = {"weight_bytes": weight_bytes, "embedding_copies": copies}
    held = state_bytes(shape, layout, gradient_bytes=0.0, optimiser_bytes=optimiser_bytes, **states)
    all_states = state_bytes(
        shape, layout, gradient_bytes=gradient_bytes, optimiser_bytes=optimiser_bytes, **states
    )
    casts = cast_bytes * shape.layers * shape.block_parameters() / layout.tp
    wider = (residual_bytes or layout.value_bytes) - layout.value_bytes
    norms = 2 * wider * layout.tokens(shape) * shape.hidden * shape.layers
    starts = held + casts + activation_bytes(shape, layout) + norms
    at_loss = starts + logit_bytes(shape, layout, each=logit_each)
    one = kept_bytes(shape, layout)
    return np.maximum(np.maximum(at_loss, starts + working_bytes(shape, layout)), all_states + one)


def peak_bytes(
    shape: Shape,
    layout: Layout,
    *,
    embedding_copies: float = 2.0,
    weight_bytes: float = 2.0,
    gradient_bytes: float = 4.0,
    optimiser_bytes: float = 12.0,
    workspace_bytes: float = 2e9,
    logit_each: float = 10.0,
    boundary_copies: float = 0.0,
    slack: float = 1.05,
) -> Numbers:
    """The most that one device holds at once.

    Args:
        workspace_bytes: framework, communicators and libraries.
        logit_each: bytes per logit, with its copies for loss and gradient.
        boundary_copies: see `boundary_bytes`.
        slack: what the allocator holds beyond what is used, as a factor.
    """
    logits = logit_bytes(shape, layout, each=logit_each)
    last = np.where(np.asarray(layout.pp) > 1, 0.0, logits)
    used = (
        state_bytes(
            shape,
            layout,
            weight_bytes=weight_bytes,
            gradient_bytes=gradient_bytes,
            optimiser_bytes=optimiser_bytes,
            embedding_copies=embedding_copies,
        )
        + activation_bytes(shape, layout)
        + working_bytes(shape, layout)
        + boundary_bytes(shape, layout, copies=boundary_copies)
        + last
        + gathered_bytes(shape, layout)
    )
    return slack * used + workspace_bytes

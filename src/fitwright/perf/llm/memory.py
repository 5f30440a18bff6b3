"""What a language model needs in memory while it serves, and how much cache is left."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.perf.llm.counts import block_parameters, head_parameters
from fitwright.perf.llm.step import StepModel
from fitwright.records.estimate import NoData

MEMORY_SHARE = 0.9
"""Of a device's memory that serving engines take (vLLM's `gpu_memory_utilization`)."""
PRINTED_BYTES = 2**30 / 1e9
"""Memory chips are counted in powers of two: a card sold with 80 GB holds 80 GiB
(`nvidia-smi` on an H100: 81,559 MiB)."""
CONTEXT_BYTES = 0.8e9
"""Driver, libraries and their workspaces on each device (CUDA about 0.5 GB)."""
GROUP_BYTES = 0.8e9
"""More on each device of a group: NCCL's channels (about 0.35 GB) and the buffers that engines
sum through."""
MOST_LIVE_TOKENS = 2048.0
"""Tokens whose inner activations live at once: larger passes are worked off in such parts, or
engines lower the size of a pass where memory is short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Of one device, in bytes.

    Attributes:
        cache_tokens: that fit into what is left.
    """

    weights_bytes: float
    activations_bytes: float
    workspace_bytes: float
    cache_bytes: float
    cache_tokens: float


def activation_bytes(model: StepModel, *, tokens: float) -> float:
    """Live at once in a pass over so many tokens: the inner layer and its inputs, and logits.

    Two vectors of the inner width and six of the model's, 16 bits each; logits in 32 bits for
    as many rows as sequences (256 are assumed), split over the group.
    """
    inner = model.shape.ffn * model.shape.num_active_experts + model.shape.shared_ffn
    each = 2 * (2 * inner / model.tp + 6 * model.shape.hidden)
    return min(tokens, MOST_LIVE_TOKENS) * each + 256 * model.shape.vocab * 4 / model.tp


def serving_memory(
    model: StepModel,
    *,
    tokens: float = 8192,
    share: float = MEMORY_SHARE,
    cache_share: float = 1.0,
) -> Memory | NoData:
    """How a device's memory is divided, or by how much the weights miss.

    Args:
        tokens: the most that one pass works on.
        share: of the memory that the engine may use.
        cache_share: of what is left, for the cache.
    """
    activations = activation_bytes(model, tokens=tokens)
    workspace = CONTEXT_BYTES + (GROUP_BYTES if model.tp > 1 else 0.0)
    fixed = model.weight_bytes + activations + workspace
    room = model.machine.memory_bytes * PRINTED_BYTES * share
    left = room - fixed
    if left <= 0:
        return NoData(
            reason=f"{model.shape.name} does not fit: {fixed / 1e9:.1f} GB are needed on each of "
            f"{model.tp * model.pp} devices, {room / 1e9:.1f} GB may be used "
            f"(short by {-left / 1e9:.1f} GB)"
        )
    return Memory(
        weights_bytes=model.weight_bytes,
        activations_bytes=activations,
        workspace_bytes=workspace,
        cache_bytes=left * cache_share,
        cache_tokens=left * cache_share / model.kv_bytes_per_token,
    )


def weights_fit(model: StepModel) -> NoData | None:
    """Whether one user can be served at all; if not, by how much the weights miss.

    What a step reads counts: the table of input embeddings may stay with the host (llama.cpp
    leaves it there).
    """
    shape, form = model.shape, model.form
    read = block_parameters(shape) * form.bits + head_parameters(shape) * form.head_bits
    needed = read / 8 / model.tp / model.pp
    there = model.machine.memory_bytes * PRINTED_BYTES
    if needed <= there:
        return None
    return NoData(
        reason=f"{shape.name} does not fit: {needed / 1e9:.1f} GB of weights on each of "
        f"{model.tp * model.pp} devices with {there / 1e9:.1f} GB "
        f"(short by {(needed - there) / 1e9:.1f} GB)"
    )

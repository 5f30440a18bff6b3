"""What a language model asks for: parameters, FLOP and bytes of its cache, by counting."""

from __future__ import annotations

from fitwright.perf.llm.formats import Format
from fitwright.records.transformer import Transformer


def head_parameters(shape: Transformer) -> int:
    """Of the projection onto the vocabulary: read once a step, whether tied or not."""
    return shape.vocab * shape.hidden


def _attention_blocks(shape: Transformer) -> int:
    """Attention parts that a generated token passes: two in each block that also attends to an
    encoder."""
    return shape.num_layers * (2 if shape.style == "encoder_decoder" else 1)


def _block_parameters(shape: Transformer, experts: float) -> float:
    """Of the blocks that generate (an encoder not counted), with so many experts in each."""
    dense = shape.num_layers - shape.num_expert_layers
    expert = experts * shape.ffn_parameters + shape.shared_ffn_parameters
    return (
        _attention_blocks(shape) * shape.attention_parameters
        + dense * shape.dense_block_ffn_parameters
        + shape.num_expert_layers * expert
    )


def block_parameters(shape: Transformer) -> float:
    """Stored in the blocks that generate."""
    return _block_parameters(shape, shape.num_experts)


def active_block_parameters(shape: Transformer) -> float:
    """What one token passes in the blocks that generate."""
    return _block_parameters(shape, shape.num_active_experts)


def touched_experts(shape: Transformer, tokens: float) -> float:
    """Experts of one block that at least one of the tokens chooses, if choices are even.

    ``E (1 - (1 - k/E)^n)``: Mixtral (2 of 8) reads 2 experts for one token, all for twenty.
    """
    if shape.num_experts == 1:
        return 1.0
    share = shape.num_active_experts / shape.num_experts
    return float(shape.num_experts * (1 - (1 - share) ** max(tokens, 0.0)))


def touched_block_parameters(shape: Transformer, tokens: float) -> float:
    """Parameters of the blocks that a step over so many tokens must read."""
    return _block_parameters(shape, touched_experts(shape, tokens))


def weight_bytes(shape: Transformer, form: Format) -> float:
    """All weights in memory: blocks in the format, embeddings and towers in 16 bits or wider."""
    rest = shape.parameters - _all_blocks(shape)
    narrow = (_all_blocks(shape) * form.bits + rest * form.head_bits) / 8
    return narrow + wide_attention_bytes(shape, form)


def wide_attention_bytes(shape: Transformer, form: Format) -> float:
    """What the attention's weights take more than they would in the format of the blocks."""
    more = max(form.attention_bits - form.bits, 0.0) if form.attention_bits else 0.0
    return _attention_blocks(shape) * shape.attention_parameters * more / 8


def _all_blocks(shape: Transformer) -> float:
    return float(shape.parameters - shape.embedding_parameters - shape.extra_parameters)


def kv_bytes_per_token(shape: Transformer, form: Format) -> float:
    """Keys and values that one token leaves in memory: ``2 L heads d bytes``, or the latent
    vector of DeepSeek."""
    if shape.kv_rank:
        return shape.num_layers * (shape.kv_rank + shape.rope_size) * form.kv_bytes
    return 2 * shape.num_layers * shape.num_kv_heads * shape.head_size * form.kv_bytes


def attended_share(shape: Transformer, context: float) -> float:
    """Share of the context that the average block reads: below 1 where blocks have a window."""
    if not shape.window or context <= shape.window:
        return 1.0
    full = shape.num_full_layers / shape.num_layers
    return full + (1 - full) * shape.window / context


def attention_flops(shape: Transformer, pairs: float) -> float:
    """Scores and weighted sums of prompts: 4 FLOP for each pair of query and key, head and
    dimension; scores of latent attention have the dimensions of positions, too."""
    each = 4.0 * shape.head_size + 2.0 * (shape.rope_size if shape.kv_rank else 0)
    return shape.num_layers * shape.num_heads * each * pairs


def absorbed_flops(shape: Transformer, context: float) -> float:
    """Of latent attention while generating: every head scores the whole vector that is kept of a
    token, and sums its `kv_rank` numbers (DeepSeek-V2, arXiv:2405.04434, section 2.1).

    0 without latent attention: there the cache's bytes decide, 8 heads or fewer to a key.
    """
    if not shape.kv_rank:
        return 0.0
    each = 2.0 * (2 * shape.kv_rank + shape.rope_size)
    return shape.num_layers * shape.num_heads * each * context


def prefill_pairs(*, new: float, past: float = 0.0) -> float:
    """Pairs of query and key of `new` tokens that follow `past` ones, each seeing all before."""
    return new * past + new * (new + 1) / 2

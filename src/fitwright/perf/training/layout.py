"""What is trained and how it is laid out over devices.

Every number here may be an array of layouts instead (elementwise formulas: one call prices
thousands of layouts); the modes are one per call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fitwright.records.transformer import Transformer

Numbers = Any  # a number, or a numpy array of them
Recompute = Literal["none", "selective", "full"]
"""What the backward pass computes again: nothing, the cheap parts (attention scores), or all."""
Attention = Literal["scores", "fused"]
"""Whether the scores are written to memory, or stay on chip (FlashAttention)."""
Float8 = Literal["", "tensorwise", "rowwise"]
"""Scales of products in float8: none, one per matrix, or one per row (more exact, slower)."""
Zero = Literal[0, 1, 2, 3]
"""What data parallel ranks share out: nothing, optimiser states, gradients too, weights too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A stack of equal transformer blocks on sequences of one length.

    Not a `Transformer`: that record holds one published model, checked, in whole numbers; a sweep
    varies widths as arrays, and a block's share of them need not be whole. `shape_of` is the one
    way from the record to here.

    Attributes:
        ffn: inner width of one expert; `ffn_matrices` is 3 where a gate multiplies, else 2.
        experts, active: 1 and 1 in dense models; per token.
        causal: half of the scores are masked, and a fused kernel skips them.
        dropout: its masks are kept for the backward pass.
    """

    hidden: Numbers
    layers: Numbers
    heads: Numbers
    kv_heads: Numbers
    head_size: Numbers
    ffn: Numbers
    ffn_matrices: Numbers
    vocab: Numbers
    seq_len: Numbers
    experts: Numbers = 1
    active: Numbers = 1
    causal: Numbers = True
    dropout: Numbers = False

    def block_parameters(self, *, active_only: bool = False) -> Numbers:
        """Of one block; without biases and norms (under 0.1 % from a width of 1,024 on)."""
        attention = self.hidden * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        experts = self.active if active_only else self.experts
        return attention + experts * self.ffn_matrices * self.hidden * self.ffn

    def adapter_parameters(self, rank: Numbers) -> Numbers:
        """Of one block: two thin matrices of this rank beside each of its products."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = 4 * self.hidden + 2 * queries + 2 * keys
        return rank * (attention + self.ffn_matrices * (self.hidden + self.ffn))

    def parameters(self, *, tied: bool = True) -> Numbers:
        """All blocks and the embedding."""
        return self.layers * self.block_parameters() + (1 if tied else 2) * self.vocab * self.hidden


def shape_of(model: Transformer, *, seq_len: int, dropout: bool = False) -> Shape:
    """A published transformer on sequences of `seq_len`."""
    return Shape(
        hidden=model.hidden,
        layers=model.num_layers + model.num_encoder_layers,
        heads=model.num_heads,
        kv_heads=model.num_kv_heads,
        head_size=model.head_size,
        ffn=model.ffn,
        ffn_matrices=model.num_ffn_matrices,
        vocab=model.vocab,
        seq_len=seq_len,
        experts=model.num_experts,
        active=model.num_active_experts,
        causal=model.style != "encoder",
        dropout=dropout,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one step's work is cut over devices: tp * pp * cp * dp of them.

    Attributes:
        tp, pp, cp, dp: ways of tensor, pipeline, context and data parallelism; `ep` (experts)
            lies within dp.
        interleave: pieces of the model that each pipeline stage holds.
        micro_batch: sequences that one data parallel rank computes at a time.
        micro_batches: of them per step and rank (the gradient accumulation).
        sequence_parallel: the parts between the tensor parallel ones are split too.
        zero: see `Zero`; `shard` ranks share a copy (all of dp by default; fewer: hybrid).
        fsdp: weights are gathered and gradients reduced per micro batch, layer by layer,
            beneath the compute.
        compiled: elementwise operators are fused.
        float8: see `Float8`; attention, logits and the optimiser stay wide.
        optimiser: whether its step is part of what is timed.
        async_tp: tensor parallel transfers run beneath their products.
        whole_sends: every tensor parallel rank sends the whole activation to the next stage, as
            before Megatron's scatter/gather of 2021; else its share.
        adapter_rank: of low-rank adapters on every product, which alone are trained (LoRA, Hu et
            al. 2021); 0: all weights are.
        value_bytes: of an activation and of a gathered weight.
        gradient_bytes: of a reduced gradient.
    """

    tp: Numbers = 1
    pp: Numbers = 1
    cp: Numbers = 1
    dp: Numbers = 1
    ep: Numbers = 1
    interleave: Numbers = 1
    micro_batch: Numbers = 1
    micro_batches: Numbers = 1
    recompute: Recompute = "none"
    attention: Attention = "fused"
    sequence_parallel: bool = False
    zero: Zero = 0
    shard: Numbers = None
    fsdp: bool = False
    compiled: bool = False
    async_tp: bool = False
    whole_sends: bool = False
    float8: Float8 = ""
    optimiser: bool = True
    adapter_rank: Numbers = 0
    value_bytes: float = 2.0
    gradient_bytes: float = 2.0

    @property
    def devices(self) -> Numbers:
        """That the layout takes."""
        return self.tp * self.pp * self.cp * self.dp

    @property
    def sharded(self) -> Numbers:
        """Ranks that share one copy of what ZeRO shares out."""
        return self.dp * self.cp if self.shard is None else self.shard

    def tokens(self, shape: Shape) -> Numbers:
        """Of one micro batch, on one device before tensor parallelism."""
        return self.micro_batch * shape.seq_len / self.cp

    def global_batch(self) -> Numbers:
        """Sequences per step."""
        return self.micro_batch * self.micro_batches * self.dp

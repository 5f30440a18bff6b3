"""The shape of a transformer: all that its time, memory and energy are counted from."""

from __future__ import annotations

from typing import Literal

from pydantic import computed_field

from fitwright.records.record import Record


class Transformer(Record):
    """A stack of equal blocks, as published in the model's configuration.

    Attributes:
        style: ``decoder`` (causal), ``encoder`` or ``encoder_decoder`` (`num_layers` each).
        ffn: inner width of the feed-forward part, of one expert where there are several.
        num_ffn_matrices: 3 where a gate multiplies (SwiGLU), else 2.
        num_experts, num_active_experts: 1 and 1 in dense models; per token.
        expert_every: each that many-th block has experts, the others are dense (Switch: 2).
        num_encoder_layers: of an encoder-decoder; 0 otherwise.
        tied: input and output embedding are one matrix.
        shared_ffn: inner width of the expert that every token passes, beside the chosen ones.
        dense_ffn: inner width in blocks without experts, where it differs from `ffn`.
        num_dense_layers: first blocks that have no experts although later ones do.
        q_rank, kv_rank, rope_size: of latent attention (DeepSeek): keys and values are kept as
            one vector of ``kv_rank + rope_size`` a token; 0 where keys and values are kept.
        window: tokens that windowed blocks look back on; 0: every block sees all.
        num_full_layers: blocks that see all, of a model with a window.
        extra_parameters: beside the blocks and the embeddings: vision tower, positions.
        derived: the shape was made up from a number of parameters; its answers need wider bands.
        source: where the shape was read.
    """

    name: str
    style: Literal["decoder", "encoder", "encoder_decoder"] = "decoder"
    hidden: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    ffn: int
    num_ffn_matrices: Literal[2, 3] = 2
    vocab: int
    num_experts: int = 1
    num_active_experts: int = 1
    expert_every: int = 1
    num_encoder_layers: int = 0
    tied: bool = False
    shared_ffn: int = 0
    dense_ffn: int = 0
    num_dense_layers: int = 0
    q_rank: int = 0
    kv_rank: int = 0
    rope_size: int = 0
    window: int = 0
    num_full_layers: int = 0
    extra_parameters: int = 0
    derived: bool = False
    source: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def attention_parameters(self) -> int:
        """Of one block: projections of queries, keys, values and the output; no biases."""
        queries = self.num_heads * self.head_size
        if self.kv_rank:
            with_positions = queries + self.num_heads * self.rope_size
            down = self.hidden * (self.q_rank + self.kv_rank + self.rope_size)
            up = (self.q_rank or self.hidden) * with_positions + self.kv_rank * 2 * queries
            return down + up + queries * self.hidden
        return self.hidden * (2 * queries + 2 * self.num_kv_heads * self.head_size)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ffn_parameters(self) -> int:
        """Of one block, of one expert."""
        return self.num_ffn_matrices * self.hidden * self.ffn

    @property
    def num_expert_layers(self) -> int:
        """Blocks with more than one expert."""
        if self.num_experts == 1:
            return 0
        return (self.num_layers - self.num_dense_layers) // self.expert_every

    @property
    def dense_block_ffn_parameters(self) -> int:
        """Of the feed-forward part of one block without experts."""
        return self.num_ffn_matrices * self.hidden * (self.dense_ffn or self.ffn)

    @property
    def shared_ffn_parameters(self) -> int:
        """Of the expert that every token passes, of one block."""
        return self.num_ffn_matrices * self.hidden * self.shared_ffn

    @property
    def embedding_parameters(self) -> int:
        """Token embeddings, and the output projection where it is a matrix of its own."""
        one = self.vocab * self.hidden
        return one if self.tied or self.style == "encoder" else 2 * one

    def _parameters(self, experts: int) -> int:
        expert = self.num_expert_layers
        dense = self.num_layers + self.num_encoder_layers - expert
        attention = self.num_layers + self.num_encoder_layers
        if self.style == "encoder_decoder":
            attention += self.num_layers  # the decoder also attends to the encoder
            encoder_experts = self.num_encoder_layers // self.expert_every
            moved = encoder_experts if self.num_experts > 1 else 0
            expert, dense = expert + moved, dense - moved
        return (
            attention * self.attention_parameters
            + dense * self.dense_block_ffn_parameters
            + expert * (experts * self.ffn_parameters + self.shared_ffn_parameters)
            + self.embedding_parameters
            + self.extra_parameters
        )

    @property
    def parameters(self) -> int:
        """All that is stored; norms and biases (under 0.1 %) left out."""
        return self._parameters(self.num_experts)

    @property
    def active_parameters(self) -> int:
        """What one token passes through, embeddings included."""
        return self._parameters(self.num_active_experts)

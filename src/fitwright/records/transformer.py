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
    source: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def attention_parameters(self) -> int:
        """Of one block: projections of queries, keys, values and the output; no biases."""
        queries = self.num_heads * self.head_size
        return self.hidden * (2 * queries + 2 * self.num_kv_heads * self.head_size)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ffn_parameters(self) -> int:
        """Of one block, of one expert."""
        return self.num_ffn_matrices * self.hidden * self.ffn

"""The time of one forward pass over a mixed batch: sequences that decode, prompts that prefill.

``t = step + sequence·b + L·layer + comm + max'(FLOP / (peak·u_c), weights / (bandwidth·u_w))
+ attention FLOP / (peak·u_a) + KV / (bandwidth·u_k)``

with every share u in (0, 1], so that no pass is under the roofline. ``max'`` is the norm of order
`OVERLAP`: where arithmetic and traffic take as long they disturb each other. Devices of one
tensor-parallel group split weights, FLOP and cache (keys only as far as there are heads of them)
and sum their results twice in each block. Stages of a pipeline work on parts of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from fitwright.perf.llm import counts
from fitwright.perf.llm.formats import Format
from fitwright.records.transformer import Transformer

OVERLAP = 4.0
FULL_KV_HEADS = 8.0
EXPERT_PACE = 0.87
"""Of the pace of dense products that products of experts keep: tokens are sorted to them, and
the last of their rows fill no tile. Fitted to nine full queues of Mixtral 8x7B on an H100
(TensorRT-LLM v0.17), where arithmetic binds; the dense models of the table need none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What one device reaches, and what its software costs.

    Attributes:
        flop_per_s: in the products of the format; `attention_flop_per_s` in attention.
        weight_bytes_per_s, kv_bytes_per_s: reading weights, and keys and values. The latter is
            reached with `FULL_KV_HEADS` heads on each device, and falls with the power `kv_order`
            of their number below: fewer heads are fewer and shorter streams.
        step_s: of host and scheduler for each pass; `sequence_s` more for each sequence,
            `layer_s` for each block: launches and small operators.
        host_layer_s: of the host for each block where it launches operators one by one while
            the device works (eager frameworks): the slower of both counts.
        memory_bytes: of one device.
        reduce_s: bytes summed over the tensor-parallel group to seconds; none alone.
    """

    flop_per_s: float
    attention_flop_per_s: float
    weight_bytes_per_s: float
    kv_bytes_per_s: float
    kv_order: float = 0.0
    step_s: float = 0.0
    sequence_s: float = 0.0
    layer_s: float = 0.0
    host_layer_s: float = 0.0
    memory_bytes: float = float("inf")
    reduce_s: Callable[[float], float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """What one forward pass works on.

    Attributes:
        prefill_tokens: of prompts; `prefill_pairs` of query and key among them and their past.
        decode: sequences that get one token each; `context` is the sum of their lengths.
        finished_prompts: of the prompts, those whose first token comes out of this pass.
    """

    prefill_tokens: float = 0.0
    prefill_pairs: float = 0.0
    decode: float = 0.0
    context: float = 0.0
    finished_prompts: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Of one pass; FLOP and bytes of one device of the group."""

    time_s: float
    flops: float
    bytes_moved: float


@dataclass(frozen=True)
class StepModel:
    """A language model on a group of equal devices.

    Attributes:
        tp, pp: devices that split each block, and stages that share the blocks among them.
        own_sequences: each device of the group keeps the cache of its own sequences and a copy
            of the attention's weights (data-parallel attention), instead of a part of the heads.
            Latent attention is served so: its one vector a token cannot be split over heads.
    """

    shape: Transformer
    form: Format
    machine: Machine
    tp: int = 1
    pp: int = 1
    own_sequences: bool = False
    _sums: dict[int, float] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _kv_split(self) -> float:
        """Devices that the cache is really divided over; further ones hold copies."""
        if self.own_sequences:
            return float(self.tp)
        heads = 1 if self.shape.kv_rank else self.shape.num_kv_heads
        return float(min(self.tp, heads))

    @cached_property
    def kv_bytes_per_token(self) -> float:
        """On each device."""
        return counts.kv_bytes_per_token(self.shape, self.form) / self._kv_split / self.pp

    @cached_property
    def weight_bytes(self) -> float:
        """On each device."""
        whole = counts.weight_bytes(self.shape, self.form) / self.tp
        return (whole + self._copied_bytes) / self.pp

    @cached_property
    def _copied_bytes(self) -> float:
        """Attention's weights on each device beyond its share of them."""
        if not self.own_sequences:
            return 0.0
        attention = self.shape.num_layers * self.shape.attention_parameters
        return attention * self.form.bits / 8 * (1 - 1 / self.tp)

    @cached_property
    def _kv_bytes_per_s(self) -> float:
        if self.shape.kv_rank:
            return self.machine.kv_bytes_per_s
        heads = self.shape.num_kv_heads / self._kv_split
        slower = math.pow(min(1.0, heads / FULL_KV_HEADS), self.machine.kv_order)
        return self.machine.kv_bytes_per_s * slower

    @cached_property
    def _active(self) -> float:
        return counts.active_block_parameters(self.shape)

    @cached_property
    def _lost_to_experts(self) -> float:
        """Parameters more that a token could pass in the time that the experts' pace costs."""
        if self.shape.num_experts == 1:
            return 0.0
        chosen = self.shape.num_active_experts * self.shape.ffn_parameters
        return self.shape.num_expert_layers * chosen * (1 / EXPERT_PACE - 1)

    @cached_property
    def _head(self) -> float:
        return float(counts.head_parameters(self.shape))

    def _reduced_s(self, tokens: float) -> float:
        """Two sums a block over the group; sizes between powers of two are interpolated."""
        if self.machine.reduce_s is None or self.tp == 1 or tokens <= 0:
            return 0.0
        size = tokens * self.shape.hidden * 2.0
        low = 1 << max(int(size).bit_length() - 1, 10)
        share = min(max((size - low) / low, 0.0), 1.0)
        one = (1 - share) * self._sum_s(low) + share * self._sum_s(2 * low)
        return 2 * self.shape.num_layers * one

    def _sum_s(self, num_bytes: int) -> float:
        if num_bytes not in self._sums:
            assert self.machine.reduce_s is not None
            self._sums[num_bytes] = self.machine.reduce_s(float(num_bytes))
        return self._sums[num_bytes]

    def cost(self, asked: Pass) -> Cost:
        """Of a pass; with a pipeline, of a pass in which every stage has its part of the batch."""
        m, shape = self.machine, self.shape
        # parts of the batch under way at once: a sequence is in one stage at a time
        parts = min(float(self.pp), max(1.0, asked.decode + asked.finished_prompts))
        tokens = (asked.prefill_tokens + asked.decode) / parts
        rows = (asked.decode + asked.finished_prompts) / parts
        weights = counts.touched_block_parameters(shape, tokens) * self.form.bits / 8
        weights += counts.wide_attention_bytes(shape, self.form)
        weights += self._head * self.form.head_bits / 8 if rows else 0.0
        weights = weights / self.tp + self._copied_bytes
        flops = 2 * (self._active * tokens + self._head * rows) / self.tp
        pairs = asked.prefill_pairs * self._attended(asked.prefill_pairs, asked.prefill_tokens)
        attention = counts.attention_flops(shape, pairs / parts) / self.tp
        mean = asked.context / asked.decode if asked.decode else 0.0
        kv = asked.context * counts.attended_share(shape, mean) * self.kv_bytes_per_token
        kv += asked.prefill_pairs and asked.prefill_tokens * self.kv_bytes_per_token
        kv *= self.pp / parts
        worked = flops + 2 * self._lost_to_experts * tokens / self.tp
        slower = _norm(worked / m.flop_per_s, weights / m.weight_bytes_per_s)
        absorbed = counts.absorbed_flops(shape, asked.context / parts) / self.tp
        cached = max(kv / self._kv_bytes_per_s, absorbed / m.attention_flop_per_s)
        busy = slower + attention / m.attention_flop_per_s + cached
        device = busy + m.layer_s * shape.num_layers + self._reduced_s(tokens)
        host = m.host_layer_s * shape.num_layers
        fixed = m.step_s + m.sequence_s * asked.decode
        own = parts / self.pp  # each device works in its stage alone
        return Cost(
            time_s=fixed + max(device, host),
            flops=(flops + attention + absorbed) * own,
            bytes_moved=(weights + kv) * own,
        )

    def _attended(self, pairs: float, tokens: float) -> float:
        return counts.attended_share(self.shape, pairs / tokens) if tokens else 1.0

    def decode_s(self, *, batch: float = 1, context: float = 1) -> float:
        """One token for each of `batch` sequences that are `context` long."""
        return self.cost(Pass(decode=batch, context=batch * context)).time_s

    def prefill_s(self, tokens: float, *, past: float = 0) -> float:
        """A prompt of so many tokens, after `past` ones, until its first token is out."""
        pairs = counts.prefill_pairs(new=tokens, past=past)
        asked = Pass(prefill_tokens=tokens, prefill_pairs=pairs, finished_prompts=1)
        return self.cost(asked).time_s


def _norm(a: float, b: float) -> float:
    """The larger, up to 19 % more where both are equal (fourth root of 2)."""
    large, small = max(a, b), min(a, b)
    if large <= 0:
        return 0.0
    return float(large * (1 + (small / large) ** OVERLAP) ** (1 / OVERLAP))

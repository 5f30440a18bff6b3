"""Time of one training step: compute with its efficiency curve, bubble, transfers, optimiser.

As Calculon does (Isaev et al. 2023): every product takes ``FLOP / (peak * u)``, where

    1/u = (1/share) * (1 + size * (1/m + 1/n + 1/k)),

backward twice the forward; what is written between products moves at the memory's bandwidth;
transfers are collectives (`fitwright.perf.collective`), beneath the compute where the layout
runs them so. Elementwise over arrays of layouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitwright.perf.collective import Network, Operation, Pace, transfer_s
from fitwright.perf.training.flops import attention_flop, products
from fitwright.perf.training.layout import Layout, Numbers, Shape
from fitwright.perf.training.memory import score_bytes, written_bytes

STEP_TRAFFIC_BYTES = 30.0
"""Per parameter of the optimiser step: reads and writes of the weight, gradient, two moments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Efficiency:
    """What a device and its software reach.

    Attributes:
        share: of the peak, by large products.
        size: rows, columns or depth at which half of that is lost, see above.
        attention_share: of the peak, by fused attention (`share` and `size` for separate products).
        traffic: bytes moved forward per byte that the block writes for its backward pass.
        block_s: host time that one block adds to a micro batch.
        step_s: of the framework, once per step; `alone_s` where one device runs it.
        overlap: share of the compute under which transfers of data parallelism can hide.
        contention: share of a hidden transfer that slows the compute down.
        cast_bytes: moved per value that is cast to float8, see `cast_s`.
        selective: share of the forward pass that selective recomputation repeats, where
            attention is fused.
    """

    share: float
    size: float
    attention_share: float
    traffic: float
    block_s: float
    step_s: float
    alone_s: float
    overlap: float
    contention: float
    selective: float = 0.0
    cast_bytes: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The device and what joins it to others.

    Attributes:
        flop_per_s: peak of the products' dtype; `wide_flop_per_s` of attention and of the rest
            (the same, unless products run in float8).
    """

    flop_per_s: float
    wide_flop_per_s: float
    bytes_per_s: float
    paces: Mapping[Operation, Pace]
    network: Network | None
    node: int = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """Where the seconds of a step go; they add up to `total_s`."""

    compute_s: Numbers
    tensor_s: Numbers
    pipeline_s: Numbers
    bubble_s: Numbers
    data_s: Numbers
    optimiser_s: Numbers
    overhead_s: Numbers

    @property
    def total_s(self) -> Numbers:
        """Of one step."""
        parts = (self.compute_s, self.tensor_s, self.pipeline_s, self.bubble_s)
        return sum(parts) + self.data_s + self.optimiser_s + self.overhead_s


def step_time(shape: Shape, layout: Layout, eff: Efficiency, machine: Machine) -> StepTime:
    """Seconds of one step, by cause."""
    per_stage = shape.layers / layout.pp
    block = block_s(shape, layout, eff, machine)
    tensor = tensor_parallel_s(shape, layout, machine) + context_s(shape, layout, machine)
    head = head_s(shape, layout, eff, machine)
    stage = per_stage * (block + tensor)
    count = layout.micro_batches
    compute = count * (per_stage * block + head)
    bubble = (layout.pp - 1) / layout.interleave * stage
    data = data_s(shape, layout, eff, machine, compute=compute / count)
    return StepTime(
        compute_s=compute,
        tensor_s=count * per_stage * tensor,
        pipeline_s=count * send_s(shape, layout, machine),
        bubble_s=bubble,
        data_s=data,
        optimiser_s=optimiser_s(shape, layout, machine),
        overhead_s=np.where(np.asarray(layout.devices) > 1, eff.step_s, eff.alone_s)
        + count * per_stage * eff.block_s
        + 0 * stage,
    )


def block_s(shape: Shape, layout: Layout, eff: Efficiency, machine: Machine) -> Numbers:
    """One block, one micro batch, forward and backward, with what is recomputed."""
    tokens = layout.tokens(shape)
    shapes = products(shape, layout)
    gemm = sum(product_s(tokens, n, k, eff, machine.flop_per_s) for n, k in shapes)
    if layout.float8:
        gemm = gemm + sum(cast_s(tokens, n, k, eff, machine) for n, k in shapes)
    scores = scores_s(shape, layout, eff, machine)
    fused = layout.attention == "fused"
    traffic = eff.traffic * written_bytes(shape, layout, scores=0.0) / machine.bytes_per_s
    if not fused:
        moved = tokens * score_bytes(shape, layout)
        scores = scores + eff.traffic * moved / machine.bytes_per_s
    back = 2.5 if fused else 2.0  # a fused kernel computes the scores again in its backward pass
    again = {"none": (0.0, 0.0), "full": (1.0, 1.0), "selective": (0.0, 1.0)}[layout.recompute]
    if layout.recompute == "selective" and fused:
        again = (eff.selective, eff.selective)
    times = 3 - np.where(np.asarray(layout.adapter_rank) > 0, 1, 0)  # frozen: no weight gradients
    return (times + again[0]) * gemm + (3 + again[0]) * traffic + (1 + back + again[1]) * scores


def product_s(m: Numbers, n: Numbers, k: Numbers, eff: Efficiency, peak: float) -> Numbers:
    """One matrix product; the curve is even in the three, so its gradients take as long."""
    return 2 * m * n * k / (peak * eff.share) * (1 + eff.size * (1 / m + 1 / n + 1 / k))


def cast_s(m: Numbers, n: Numbers, k: Numbers, eff: Efficiency, machine: Machine) -> Numbers:
    """Scaling and casting around one product in float8, which no peak shortens.

    A product and its two gradients cast input, weight and output's gradient twice each. Split over
    tensor parallel ranks, products shrink and their inputs do not: scaling gains less there.
    """
    values = 2 / 3 * (m * k + k * n + m * n)
    return values * eff.cast_bytes / machine.bytes_per_s


def scores_s(shape: Shape, layout: Layout, eff: Efficiency, machine: Machine) -> Numbers:
    """Attention of one block, forward."""
    flop = attention_flop(shape, layout)
    if layout.attention == "fused":
        return flop / (machine.wide_flop_per_s * eff.attention_share)
    curve = 1 + eff.size * (2 / shape.seq_len + 1 / shape.head_size)
    # the depth of these products is one head: the curve alone would never end, so it stops at 4
    return flop / (machine.wide_flop_per_s * eff.share) * np.minimum(curve, 4.0)


def head_s(shape: Shape, layout: Layout, eff: Efficiency, machine: Machine) -> Numbers:
    """Logits and loss, forward and backward, on the last stage."""
    tokens, columns = layout.tokens(shape), shape.vocab / layout.tp
    loss = tokens * columns * (layout.value_bytes + 8) * 2 / machine.bytes_per_s
    return 3 * product_s(tokens, columns, shape.hidden, eff, machine.wide_flop_per_s) + loss


def tensor_parallel_s(shape: Shape, layout: Layout, machine: Machine) -> Numbers:
    """Of one block and micro batch: two sums forward, two backward, two more when recomputing.

    With sequence parallelism each sum is a reduce_scatter and an all_gather (Korthikanti et al.).
    """
    count = 4 + (2 if layout.recompute == "full" else 0)
    payload = layout.tokens(shape) * shape.hidden * layout.value_bytes
    inside = np.minimum(layout.tp, machine.node)
    if layout.sequence_parallel:
        names: tuple[Operation, ...] = ("reduce_scatter", "all_gather")
    else:
        names = ("all_reduce",)
    each = sum(_transfer(n, payload, layout.tp, inside, machine) for n in names)
    return count * each * (0.5 if layout.async_tp else 1.0)


def context_s(shape: Shape, layout: Layout, machine: Machine) -> Numbers:
    """Keys and values of the other context ranks: once forward, twice backward."""
    payload = layout.micro_batch * shape.seq_len * 2 * shape.kv_heads * shape.head_size
    payload = payload * layout.value_bytes / layout.tp
    inside = np.clip(machine.node // layout.tp, 1, layout.cp)
    return 3 * _transfer("all_gather", payload, layout.cp, inside, machine)


def send_s(shape: Shape, layout: Layout, machine: Machine) -> Numbers:
    """Between stages, per micro batch and piece: activations forward while gradients come back.

    A schedule of one forward and one backward pass in turn exchanges both at once (Megatron's
    ``send_forward_recv_backward``), and links are full duplex.
    """
    payload = layout.tokens(shape) * shape.hidden * layout.value_bytes
    payload = payload if layout.whole_sends else payload / layout.tp
    pair = np.where(np.asarray(layout.pp) > 1, 2, 1)
    inside = np.where(np.asarray(layout.tp) * layout.pp > machine.node, 1, pair)
    once = _transfer("send", payload, pair, inside, machine)
    return layout.interleave * once


def data_s(
    shape: Shape, layout: Layout, eff: Efficiency, machine: Machine, *, compute: Numbers
) -> Numbers:
    """Exposed part of gradient sums and of weight gathers.

    Args:
        compute: seconds of one micro batch, under which transfers can hide.
    """
    held = trained(shape, layout)
    ranks = layout.sharded if layout.zero >= 3 or layout.fsdp else layout.dp * layout.cp
    inside = np.clip(machine.node // layout.tp, 1, ranks)
    if not layout.fsdp:
        once = _gradients(held, layout, ranks, inside, machine)
        # transfers of split tensors and gradient sums wait for each other: they share a stream
        hidden = eff.overlap * compute * np.where(np.asarray(layout.tp) > 1, 0.0, 2 / 3)
        return np.maximum(once - hidden, eff.contention * once)
    gathers = 2 if layout.zero >= 3 else 1
    each = gathers * _transfer("all_gather", held * layout.value_bytes, ranks, inside, machine)
    each = each + _transfer("reduce_scatter", held * layout.gradient_bytes, ranks, inside, machine)
    if layout.shard is not None:  # hybrid: the copies agree on their shard of the gradients
        copies = layout.dp * layout.cp / layout.shard
        shard = held * layout.gradient_bytes / layout.shard
        each = each + _transfer("all_reduce", shard, copies, 1, machine)
    # a pipeline keeps its weights between micro batches and reduces its gradients once
    rounds = np.where(np.asarray(layout.pp) > 1, 1, layout.micro_batches)
    beneath = eff.overlap * compute * layout.micro_batches / rounds
    return rounds * (np.maximum(each - beneath, 0) + eff.contention * each)


def trained(shape: Shape, layout: Layout) -> Numbers:
    """Parameters of one device that have gradients: all, or those of the adapters."""
    blocks = shape.layers * shape.block_parameters() / layout.pp + shape.vocab * shape.hidden
    adapters = shape.layers * shape.adapter_parameters(layout.adapter_rank) / layout.pp
    return np.where(np.asarray(layout.adapter_rank) > 0, adapters, blocks) / layout.tp


def optimiser_s(shape: Shape, layout: Layout, machine: Machine) -> Numbers:
    """Adam over what one device holds, at the memory's bandwidth."""
    if not layout.optimiser:
        return 0.0
    held = trained(shape, layout) / (layout.sharded if layout.zero >= 1 else 1)
    return held * STEP_TRAFFIC_BYTES / machine.bytes_per_s


def _gradients(
    held: Numbers, layout: Layout, ranks: Numbers, inside: Numbers, machine: Machine
) -> Numbers:
    """One sum of all gradients; with ZeRO the shards, and the updated weights back."""
    payload = held * layout.gradient_bytes
    if layout.zero == 0:
        return _transfer("all_reduce", payload, ranks, inside, machine)
    back = held * layout.value_bytes
    return _transfer("reduce_scatter", payload, ranks, inside, machine) + _transfer(
        "all_gather", back, ranks, inside, machine
    )


def _transfer(
    operation: Operation, payload: Numbers, ranks: Numbers, inside: Numbers, machine: Machine
) -> Numbers:
    if np.all(np.asarray(ranks) <= 1):
        return 0.0
    return transfer_s(
        operation,
        payload,
        ranks=ranks,
        pace=machine.paces[operation],
        ranks_per_node=inside,
        network=machine.network,
    )

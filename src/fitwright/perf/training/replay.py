"""The allocations of a step of Megatron-LM in eager PyTorch with every block recomputed.

What its authors' formula (`fitwright.perf.training.memory`) leaves out is what a device shows as
used: temporaries, gaps, and activations that a sum over ranks still holds. The order of tensors is
that of ``megatron/model/transformer.py`` of 2021: sizes are multiples of one activation (``a``), of
one device's scores (``s``) and of its logits. Gradients are float16 and copied to float32 before
the optimiser's step, where the copies stay; the loss keeps the logits once, in float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fitwright.perf.training.allocator import Block, CachingAllocator
from fitwright.perf.training.layout import Layout, Shape

STEPS = 2
"""Until the reserved memory no longer grows: the optimiser's moments come in the first step."""
STEADY_MICRO_BATCHES = 2
"""Of a stage beyond those in flight; more repeat them."""


@dataclass(slots=True)
class _Trace:
    """Named tensors of one pipeline stage.

    Attributes:
        a, s, logits: bytes of an activation, of one device's scores, of its logits in float16.
        split: ways of tensor parallelism.
        sizes: elements of the parameters in order; `block` of a block's twelve starts at
            ``first_block + 12 * block``.
    """

    allocator: CachingAllocator
    a: int
    s: int
    logits: int
    split: int
    blocks: int
    sizes: tuple[int, ...]
    first_block: int
    names: dict[str, Block] = field(default_factory=dict)
    gradients: dict[int, Block] = field(default_factory=dict)
    copies: dict[int, Block] = field(default_factory=dict)

    def take(self, **sizes: float) -> None:
        for name, size in sizes.items():
            self.names[name] = self.allocator.take(size)

    def give(self, names: str) -> None:
        for name in names.split():
            self.allocator.give(self.names.pop(name))

    def give_summed(self, names: str) -> None:
        """Of what was summed over the tensor parallel ranks: their stream may not be done."""
        for name in names.split():
            block = self.names.pop(name)
            if self.split > 1:
                self.allocator.give_later(block)
            else:
                self.allocator.give(block)

    def keep(self, name: str) -> Block:
        return self.names.pop(name)

    def gradient(self, index: int) -> None:
        """Of a parameter in float16; a further one is added to the first."""
        block = self.allocator.take(2 * self.sizes[index])
        if index in self.gradients:
            self.allocator.give(block)
        else:
            self.gradients[index] = block


def reserved_bytes(shape: Shape, layout: Layout, *, limit_bytes: float = float("inf")) -> float:
    """The most that the allocator of one device takes in a step, on the fuller of the end stages.

    Args:
        limit_bytes: that the device has for it.
    """
    single = int(layout.pp) == 1
    first = _stage(shape, layout, first=True, last=single, limit_bytes=limit_bytes)
    if single:
        return float(first)
    return float(max(first, _stage(shape, layout, first=False, last=True, limit_bytes=limit_bytes)))


def _stage(shape: Shape, layout: Layout, *, first: bool, last: bool, limit_bytes: float) -> int:
    trace = _start(shape, layout, first=first, last=last, limit_bytes=limit_bytes)
    ahead = int(layout.pp) - 1 if first else 0
    count = int(min(layout.micro_batches, layout.pp + STEADY_MICRO_BATCHES))
    for step in range(STEPS):
        running: list[list[Block]] = []
        for i in range(count + ahead):
            if i < count:
                running.append(_forward(trace, first=first, last=last))
                trace.allocator.settle()
            if i >= ahead and running:
                _backward(trace, running.pop(0), first=first, last=last)
                trace.allocator.settle()
        _optimise(trace, moments=step == 0)
    return trace.allocator.peak_bytes


def _start(shape: Shape, layout: Layout, *, first: bool, last: bool, limit_bytes: float) -> _Trace:
    split, width = int(layout.tp), int(shape.hidden)
    blocks = max(int(shape.layers) // int(layout.pp), 1)
    tokens = int(layout.tokens(shape))
    ends = _ends(shape, split, first=first, last=last)
    sizes = (*ends, *(list(_block_parameters(shape, split)) * blocks), *([width] * (2 * last)))
    trace = _Trace(
        allocator=CachingAllocator(limit_bytes=limit_bytes),
        a=2 * tokens * width,
        s=2 * tokens * int(shape.seq_len) * int(shape.heads) // split,
        logits=2 * tokens * int(shape.vocab) // split,
        split=split,
        blocks=blocks,
        sizes=sizes,
        first_block=len(ends),
    )
    for each in (2, 4):  # float16 weights, float32 copies
        for size in sizes:
            trace.allocator.take(each * size)
    return trace


def _ends(shape: Shape, split: int, *, first: bool, last: bool) -> tuple[int, ...]:
    """Embeddings of the words, on both end stages, and of the positions."""
    words = int(shape.vocab) * int(shape.hidden) // split
    positions = int(shape.seq_len) * int(shape.hidden)
    return (words, positions) if first else (words,) if last else ()


def _block_parameters(shape: Shape, split: int) -> Iterable[int]:
    """Norm, queries with keys and values, output, norm, up, down; each a matrix and a vector."""
    width, inner = int(shape.hidden), int(shape.ffn) // split
    columns = int(shape.head_size * (shape.heads + 2 * shape.kv_heads)) // split
    yield from (width, width, columns * width, columns, width * width // split, width)
    yield from (width, width, inner * width, inner, inner * width, width)


def _forward(trace: _Trace, *, first: bool, last: bool) -> list[Block]:
    """One micro batch; what stays until its backward pass: every block's input, and the ends'."""
    a, kept = trace.a, []
    if first:
        trace.take(words=a, places=a, both=a)
        trace.give("words places")
        trace.take(dropped=a, mask=a // 2)
        trace.give("both")
        trace.take(x=a)
        trace.give("dropped")
        kept += [trace.keep("mask")]
    else:
        trace.take(x=a)
    kept.append(trace.keep("x"))
    for _ in range(trace.blocks):
        _block_forward(trace)
        kept.append(trace.keep("x"))
    if last:
        trace.take(norm=a, turned=a, logits=trace.logits, wide=2 * trace.logits)
        trace.give("logits")
        kept += [trace.keep(name) for name in ("norm", "turned", "wide")]
    return kept


def _block_forward(trace: _Trace) -> None:
    """One block without gradients: tensors go with the function that made them."""
    a, s, part = trace.a, trace.s, trace.a // trace.split
    trace.take(norm1=a, qkv=3 * part, empty=s, scores=s)
    trace.give("empty")
    trace.take(probabilities=s, dropped=s, mask=s // 2)
    trace.give("mask probabilities")
    _attend(trace)
    trace.give("qkv scores dropped context")
    _add(trace, "mask", "middle")
    trace.give("mask")
    trace.take(norm2=a)
    trace.give("norm1")
    trace.take(up=4 * part, gelu=4 * part, down=a)
    trace.give("up gelu")
    _add(trace, "mask", "x")
    trace.give("mask norm2 middle")
    trace.give_summed("attended down")


def _block_again(trace: _Trace) -> None:
    """One block as the backward pass needs it; its tensors stay under their names."""
    a, s, part = trace.a, trace.s, trace.a // trace.split
    trace.take(norm1=a, qkv=3 * part, empty=s, scores=s)
    trace.give("empty")
    trace.take(probabilities=s, dropped=s, mask=s // 2)
    _attend(trace)
    trace.give("scores")
    _add(trace, "attended_mask", "middle")
    trace.take(norm2=a, up=4 * part, gelu=4 * part, down=a)
    _add(trace, "gated_mask", "x")
    trace.give_summed("down attended")
    trace.give("x")


def _attend(trace: _Trace) -> None:
    """Values weighted, turned, and projected."""
    part = trace.a // trace.split
    trace.take(values=part, context=part)
    trace.give("values")
    trace.take(attended=trace.a)


def _add(trace: _Trace, mask: str, out: str) -> None:
    """Bias, dropout and residual."""
    trace.take(biased=trace.a, thinned=trace.a, **{mask: trace.a // 2})
    trace.give("biased")
    trace.take(**{out: trace.a})
    trace.give("thinned")


def _backward(trace: _Trace, kept: list[Block], *, first: bool, last: bool) -> None:
    a, allocator = trace.a, trace.allocator
    if last:
        trace.take(narrow=trace.logits)
        allocator.give(kept.pop())
        trace.take(turned=a)
        trace.gradient(0)
        trace.give("narrow")
        allocator.give(kept.pop())
        trace.take(back=a)
        trace.give("turned")
        trace.take(gradient=a)
        trace.give("back")
        allocator.give(kept.pop())
    else:
        trace.take(gradient=a)
    allocator.give(kept.pop())
    for block in reversed(range(trace.blocks)):
        _block_again(trace)
        _block_backward(trace, trace.first_block + 12 * block)
        allocator.give(kept.pop())
    trace.take(thinned=a)
    trace.give("gradient")
    if first:
        allocator.give(kept.pop())
        trace.gradient(0)
        trace.gradient(1)
    trace.give("thinned")


def _block_backward(trace: _Trace, at: int) -> None:
    """Gradients of one block, its tensors freed as they are used.

    Args:
        at: index of its first parameter.
    """
    a, s, part = trace.a, trace.s, trace.a // trace.split
    trace.take(down=a)
    trace.give("gated_mask")
    _product(trace, "gelu", "gelu_back", 4 * part, at + 10, "down")
    trace.take(up_back=4 * part)
    trace.give("gelu_back up")
    _product(trace, "norm2", "summed", a, at + 8, "up_back")
    trace.take(normed=a)
    trace.give_summed("summed")
    trace.take(residual=a)
    trace.give("normed gradient middle")
    trace.take(thinned=a)
    trace.give("attended_mask")
    _product(trace, "context", "context_back", part, at + 4, "thinned")
    trace.take(turned=part)
    trace.give("context_back")
    trace.take(dropped_back=s, values=part)
    trace.give("turned dropped")
    trace.take(scores=s)
    trace.give("dropped_back mask probabilities")
    trace.take(queries=part, keys=part)
    trace.give("scores")
    trace.take(qkv_back=3 * part)
    trace.give("queries keys values")
    _product(trace, "qkv", "summed", a, at + 2, "qkv_back")
    trace.take(normed=a)
    trace.give_summed("summed")
    trace.give("norm1")
    trace.take(gradient=a)
    trace.give("normed residual")


def _product(trace: _Trace, saved: str, out: str, size: int, index: int, came: str) -> None:
    """Gradients of a product's input and of its weight."""
    trace.take(**{out: size})
    trace.gradient(index)
    trace.give(f"{came} {saved}")


def _optimise(trace: _Trace, *, moments: bool) -> None:
    """All gradients in one buffer for the data parallel sum, then copied to float32."""
    allocator = trace.allocator
    for index in range(len(trace.sizes)):
        if index not in trace.gradients:
            trace.gradient(index)
    allocator.give(allocator.take(2 * sum(trace.sizes)))
    for index, size in enumerate(trace.sizes):
        fresh = allocator.take(4 * size)
        if index in trace.copies:
            allocator.give(trace.copies[index])
        trace.copies[index] = fresh
    for block in trace.gradients.values():
        allocator.give(block)
    trace.gradients.clear()
    if moments:
        for size in trace.sizes:
            allocator.take(4 * size)
            allocator.take(4 * size)

"""The static memory plan: where each activation lies in one arena, and when.

Packing is dynamic storage allocation, NP-hard. Several greedy packings are tried and the
smallest kept: by size with best fit (Pisarchyk, Lee: "Efficient Memory Management for Deep
Neural Net Inference", 2020, as in TensorFlow Lite), by start time with first fit (linear
scan), by size and duration, and by contention as in Maas et al., "TelaMalloc", 2022. The
bound is the liveness peak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fitwright.records.model import Lifetime
from fitwright.records.plan import Buffer, MemoryPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

ALIGNMENT_BYTES = 64  # one cache line, and the widest vector register
MAX_REPAIRED_BUFFERS = 600
MAX_REPAIRS = 30

Fit = Literal["best", "lowest"]


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """Lifetimes as columns; sizes rounded up to the alignment."""

    sizes: Ints
    firsts: Ints
    lasts: Ints

    def durations(self) -> Ints:
        return self.lasts - self.firsts + 1


@dataclass(frozen=True, kw_only=True)
class _Packing:
    """One packing: an offset per buffer, and what it needs."""

    method: str
    order: Ints
    offsets: Ints
    arena_bytes: int


def _by_size(problem: _Problem) -> Ints:
    return np.lexsort((problem.firsts, -problem.sizes))


def _by_start(problem: _Problem) -> Ints:
    return np.lexsort((-problem.sizes, problem.firsts))


def _by_size_and_duration(problem: _Problem) -> Ints:
    """Large and long-lived first; the root keeps duration from drowning size."""
    return np.argsort(-problem.sizes * np.sqrt(problem.durations()), kind="stable")


def _by_contention(problem: _Problem) -> Ints:
    """Those alive at the fullest moment first, then by start."""
    moments, live_bytes = _liveness(problem)
    begins = np.searchsorted(moments, problem.firsts)
    ends = np.searchsorted(moments, problem.lasts, side="right")
    fullest = [live_bytes[b:e].max() for b, e in zip(begins, ends, strict=True)]
    return np.lexsort((problem.firsts, -np.array(fullest, np.int64)))


_ORDERS: Mapping[str, tuple[Callable[[_Problem], Ints], Fit]] = {
    "by size, best fit": (_by_size, "best"),
    "by start, lowest fit": (_by_start, "lowest"),
    "by size and duration, lowest fit": (_by_size_and_duration, "lowest"),
    "by contention, lowest fit": (_by_contention, "lowest"),
    "by size, lowest fit": (_by_size, "lowest"),
}


def plan_memory(
    lifetimes: Sequence[Lifetime], *, alignment_bytes: int = ALIGNMENT_BYTES
) -> MemoryPlan:
    """The smallest arena found for these activations.

    Args:
        lifetimes: one per buffer, both ends included.
        alignment_bytes: every offset and size is rounded up to a multiple of it.
    """
    problem = _Problem(
        sizes=np.array([_aligned(t.bytes, alignment_bytes) for t in lifetimes], np.int64),
        firsts=np.array([t.first for t in lifetimes], np.int64),
        lasts=np.array([t.last for t in lifetimes], np.int64),
    )
    bound = _liveness_peak(problem)
    best = _smallest(_packings(problem, bound), bound)
    return MemoryPlan(
        arena_bytes=best.arena_bytes,
        lower_bound_bytes=bound,
        method=best.method,
        alignment_bytes=alignment_bytes,
        buffers=tuple(
            Buffer(name=t.name, bytes=int(size), offset=int(at), first=t.first, last=t.last)
            for t, size, at in zip(lifetimes, problem.sizes, best.offsets, strict=True)
        ),
    )


def overlaps(plan: MemoryPlan) -> tuple[tuple[str, str], ...]:
    """Pairs of buffers that share a byte while both live; a valid plan has none."""
    found = []
    ordered = sorted(plan.buffers, key=lambda b: b.first)
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b.first > a.last:
                break
            if max(a.offset, b.offset) < min(a.offset + a.bytes, b.offset + b.bytes):
                found.append((a.name, b.name))
    return tuple(found)


def _aligned(num_bytes: int, alignment_bytes: int) -> int:
    return -(-num_bytes // alignment_bytes) * alignment_bytes


def _liveness(problem: _Problem) -> tuple[Ints, Ints]:
    """The moments at which the set of live buffers changes, and the bytes alive from each."""
    changes = np.concatenate([problem.firsts, problem.lasts + 1])
    moments, which = np.unique(changes, return_inverse=True)
    deltas = np.zeros(len(moments), np.int64)
    np.add.at(deltas, which, np.concatenate([problem.sizes, -problem.sizes]))
    return moments, np.cumsum(deltas)


def _liveness_peak(problem: _Problem) -> int:
    """Largest sum of live buffers at any moment; buffers end after their last moment."""
    _, live_bytes = _liveness(problem)
    return int(live_bytes.max(initial=0))


def _smallest(packings: Iterator[_Packing], bound: int) -> _Packing:
    """The smallest packing, the first among equals; stops once the bound is reached."""
    best = next(packings)
    while best.arena_bytes > bound:
        challenger = next(packings, None)
        if challenger is None:
            break
        if challenger.arena_bytes < best.arena_bytes:
            best = challenger
    return best


def _packings(problem: _Problem, bound: int) -> Iterator[_Packing]:
    """Every greedy order, then repairs of the two best."""
    tried = []
    for method, (order_of, fit) in _ORDERS.items():
        tried.append(_pack(problem, order_of(problem), fit=fit, method=method))
        yield tried[-1]
    if len(problem.sizes) <= MAX_REPAIRED_BUFFERS:
        for start in sorted(tried, key=lambda p: p.arena_bytes)[:2]:
            yield from _repairs(problem, start, bound)


def _repairs(problem: _Problem, start: _Packing, bound: int) -> Iterator[_Packing]:
    """Pack again with the buffer that sticks out highest moved to the front.

    Deterministic, and bounded by MAX_REPAIRS packings.
    """
    order = start.order
    packing = start
    for _ in range(MAX_REPAIRS):
        if packing.arena_bytes <= bound:
            return
        top = int(np.argmax(packing.offsets + problem.sizes))
        order = np.concatenate([[top], order[order != top]])
        packing = _pack(problem, order, fit="lowest", method=f"{start.method}, repaired")
        yield packing


def _pack(problem: _Problem, order: Ints, *, fit: Fit, method: str) -> _Packing:
    """Place the buffers in this order, each into a gap left by those already placed."""
    num = len(order)
    offsets = np.zeros(num, np.int64)
    # Columns of what is placed, kept sorted by offset.
    starts, ends = np.empty(num, np.int64), np.empty(num, np.int64)
    firsts, lasts = np.empty(num, np.int64), np.empty(num, np.int64)
    columns = (starts, ends, firsts, lasts)
    for placed, index in enumerate(order):
        size, first, last = problem.sizes[index], problem.firsts[index], problem.lasts[index]
        live = (firsts[:placed] <= last) & (lasts[:placed] >= first)
        offset = _gap(starts[:placed][live], ends[:placed][live], size, fit=fit)
        at = int(np.searchsorted(starts[:placed], offset))
        for column, value in zip(columns, (offset, offset + size, first, last), strict=True):
            column[at + 1 : placed + 1] = column[at:placed]
            column[at] = value
        offsets[index] = offset
    arena = int((offsets + problem.sizes).max()) if num else 0
    return _Packing(method=method, order=order, offsets=offsets, arena_bytes=arena)


def _gap(starts: Ints, ends: Ints, size: np.int64, *, fit: Fit) -> int:
    """Where `size` bytes fit between live neighbours sorted by start; else above them all."""
    if not len(starts):
        return 0
    filled_to = np.maximum.accumulate(ends)
    lows = np.concatenate([[0], filled_to[:-1]])
    rooms = starts - lows
    fitting = np.flatnonzero(rooms >= size)
    if not len(fitting):
        return int(filled_to[-1])
    chosen = fitting[np.argmin(rooms[fitting])] if fit == "best" else fitting[0]
    return int(lows[chosen])

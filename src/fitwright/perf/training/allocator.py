"""What a caching allocator takes from a device for a trace of allocations, gaps included.

The rules of PyTorch's (``c10/cuda/CUDACachingAllocator.cpp``): sizes are rounded to 512 bytes; from
1 MiB on the smallest free block that fits is taken, and split where more than 1 MiB remains; else
a new segment comes from the device: 20 MiB for less than 10 MiB, then whole 2 MiB. Freed blocks
join their free neighbours of the same segment. A block that a communication stream has used is not
free until the device gets there (``recordStream``). When the device is full, the allocator waits
for those and hands back the segments that are wholly free. Blocks of 1 MiB and less live in
segments of their own and are counted as they are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

ROUND = 512
SMALL = 1 << 20
LARGE = 10 << 20
LARGE_SEGMENT = 20 << 20
SEGMENT_ROUND = 2 << 20


@dataclass(slots=True, eq=False)
class Block:
    """A piece of a segment at an address; `before` and `after` are its neighbours there."""

    size: int
    at: int
    free: bool = False
    before: Block | None = None
    after: Block | None = None


@dataclass(slots=True)
class CachingAllocator:
    """State of one allocator.

    Attributes:
        limit_bytes: that the device has for it.
        reserved_bytes: taken from the device now; `peak_bytes` at most.
    """

    limit_bytes: float = float("inf")
    reserved_bytes: int = 0
    peak_bytes: int = 0
    _end: int = 0
    _free: list[tuple[int, int]] = field(default_factory=list)
    _blocks: dict[int, Block] = field(default_factory=dict)
    _lent: list[Block] = field(default_factory=list)

    def take(self, size: float) -> Block:
        """Allocates; the block goes back by `give`, or by `give_later`."""
        rounded = max(-(-int(size) // ROUND) * ROUND, ROUND)
        if rounded <= SMALL:
            return self._segment(rounded)
        at = bisect_left(self._free, (rounded, -1))
        if at == len(self._free):
            return self._cut(self._fresh(rounded), rounded)
        block = self._blocks.pop(self._free.pop(at)[1])
        block.free = False
        return self._cut(block, rounded)

    def give(self, block: Block) -> None:
        """Frees, and joins with free neighbours."""
        if block.size <= SMALL:
            self.reserved_bytes -= block.size
            return
        for near in (block.before, block.after):
            if near is not None and near.free:
                self._join(block, near)
        self._put(block)

    def give_later(self, block: Block) -> None:
        """Frees what another stream may still read: at the next `settle`, or when space is out."""
        self._lent.append(block)

    def settle(self) -> None:
        """The device has caught up with the host."""
        lent, self._lent = self._lent, []
        for block in lent:
            self.give(block)

    def _fresh(self, size: int) -> Block:
        whole = LARGE_SEGMENT if size < LARGE else -(-size // SEGMENT_ROUND) * SEGMENT_ROUND
        if self.reserved_bytes + whole > self.limit_bytes:
            self.settle()
            self._hand_back()
        return self._segment(whole)

    def _segment(self, size: int) -> Block:
        self.reserved_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.reserved_bytes)
        self._end += size + 1  # a gap: segments never touch
        return Block(size, self._end - size)

    def _hand_back(self) -> None:
        """Segments that are one free block."""
        for size, at in tuple(self._free):
            block = self._blocks[at]
            if block.before is None and block.after is None:
                self._drop(block)
                self.reserved_bytes -= size

    def _cut(self, block: Block, size: int) -> Block:
        rest = block.size - size
        if rest > SMALL:
            left = Block(rest, block.at + size, before=block, after=block.after)
            if block.after is not None:
                block.after.before = left
            block.size, block.after = size, left
            self._put(left)
        return block

    def _join(self, block: Block, near: Block) -> None:
        self._drop(near)
        block.size += near.size
        block.at = min(block.at, near.at)
        if near is block.before:
            block.before = near.before
            if near.before is not None:
                near.before.after = block
        else:
            block.after = near.after
            if near.after is not None:
                near.after.before = block

    def _put(self, block: Block) -> None:
        block.free = True
        self._blocks[block.at] = block
        insort(self._free, (block.size, block.at))

    def _drop(self, block: Block) -> None:
        block.free = False
        del self._blocks[block.at]
        del self._free[bisect_left(self._free, (block.size, block.at))]

"""When each activation must exist, and how many bytes an operator moves.

A view (Reshape, Squeeze, Flatten, Identity ...) lives in its source's buffer. Elementwise
operators get a buffer of their own: no in-place reuse is assumed. The model's inputs exist
from the first operator on, its outputs to the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from fitwright.graph.known import Known
from fitwright.graph.scope import Step
from fitwright.records.model import Lifetime


def lifetimes(
    steps: Sequence[Step], *, inputs: Iterable[Known] = (), outputs: Iterable[Known] = ()
) -> tuple[Lifetime, ...]:
    """Every activation buffer of known size, in the order they appear."""
    end = max(len(steps) - 1, 0)
    buffers: dict[str, tuple[int, int, int]] = {}

    def use(value: Known, *, at: int) -> None:
        if value.constant or not value.bytes:
            return
        size, first, _ = buffers.get(value.root, (value.bytes, at, at))
        buffers[value.root] = (max(size, value.bytes), first, at)

    for value in inputs:
        use(value, at=0)
    for index, step in enumerate(steps):
        for value in (*step.reads, *step.writes):
            use(value, at=index)
    for value in outputs:
        use(value, at=end)
    inner = [
        Lifetime(name=f"{s.name}/inner", bytes=s.inner_peak_bytes, first=i, last=i)
        for i, s in enumerate(steps)
        if s.inner_peak_bytes
    ]
    return (
        *(Lifetime(name=n, bytes=b, first=f, last=t) for n, (b, f, t) in buffers.items()),
        *inner,
    )


def peak_of(alive: Sequence[Lifetime]) -> int:
    """Largest sum of buffers alive at one operator, bytes."""
    if not alive:
        return 0
    change = [0] * (max(one.last for one in alive) + 2)
    for one in alive:
        change[one.first] += one.bytes
        change[one.last + 1] -= one.bytes
    return max(accumulate(change))


def peak_bytes(steps: Sequence[Step]) -> int:
    """Activations made by these steps at their worst moment; what they are given is not counted."""
    made = {w.root for s in steps for w in s.writes}
    own = [one for one in lifetimes(steps) if one.name in made or one.name.endswith("/inner")]
    return peak_of(own)


def traffic(step: Step) -> tuple[int, int]:
    """Bytes read and written: each value once, unless the operator's rule says otherwise."""
    cost = step.cost
    if cost is not None and cost.view:
        return 0, 0
    read = sum(v.bytes for v in step.reads)
    written = sum(v.bytes for v in step.writes)
    if cost is not None and cost.bytes_read is not None:
        read = cost.bytes_read
    if cost is not None and cost.bytes_written is not None:
        written = cost.bytes_written
    return read, written

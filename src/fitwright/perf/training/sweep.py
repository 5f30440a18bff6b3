"""Every legal layout of one training over a number of devices, priced at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.training.answer import Footing
from fitwright.perf.training.layout import Attention, Layout, Recompute, Shape, Zero
from fitwright.perf.training.memory import peak_bytes
from fitwright.perf.training.step import step_time

ARRAYS = ("tp", "pp", "dp", "interleave", "micro_batch", "micro_batches")
Mode = tuple[Recompute, bool, Zero]


@dataclass(frozen=True, kw_only=True, slots=True)
class Priced:
    """One layout with what it costs."""

    layout: Layout
    step_s: float
    peak_bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """All legal layouts; row `i` of each array is one of them.

    Attributes:
        modes: which recomputation, sequence parallelism and stage of ZeRO, by number in `mode`.
    """

    columns: dict[str, NDArray[np.int64]]
    modes: tuple[Mode, ...]
    mode: NDArray[np.int64]
    step_s: NDArray[np.float64]
    peak_bytes: NDArray[np.float64]
    attention: Attention
    value_bytes: float

    def __len__(self) -> int:
        return len(self.step_s)

    def at(self, i: int) -> Priced:
        """The layout of one row."""
        recompute, sequence, zero = self.modes[int(self.mode[i])]
        layout = _layout(
            {name: int(column[i]) for name, column in self.columns.items()},
            recompute,
            sequence,
            zero,
            self.attention,
            self.value_bytes,
        )
        return Priced(
            layout=layout, step_s=float(self.step_s[i]), peak_bytes=float(self.peak_bytes[i])
        )

    def best(self, count: int, *, memory_bytes: float) -> tuple[Priced, ...]:
        """The fastest that fit, fastest first; empty where none fits."""
        fitting = np.flatnonzero(self.peak_bytes <= memory_bytes)
        order = fitting[np.argsort(self.step_s[fitting], kind="stable")]
        return tuple(self.at(int(i)) for i in order[:count])

    def front(self) -> tuple[Priced, ...]:
        """Layouts that none beats in both time and memory, from the fastest to the smallest."""
        order = np.lexsort((self.peak_bytes, self.step_s))
        least = np.minimum.accumulate(self.peak_bytes[order])
        better = np.concatenate(([True], least[1:] < least[:-1]))
        return tuple(self.at(int(i)) for i in order[better])


def sweep(
    shape: Shape,
    found: Footing,
    *,
    devices: int,
    global_batch: int,
    attention: Attention = "scores",
    value_bytes: float = 2.0,
) -> Swept:
    """Times and memory of every layout that cuts the work into equal whole parts.

    Legal: tp divides heads and inner width, pp the blocks, tp * pp the devices; dp ranks and micro
    batches divide the batch; a stage holds whole pieces, and an interleaved schedule whole rounds
    of micro batches. Sequence parallelism needs tp, ZeRO needs dp; stage 2 does not go with a
    pipeline (DeepSpeed's rule), stage 3 does, keeping a stage's weights through the step
    (torchtitan).

    Args:
        found: the device's constants (`fitwright.perf.training.answer.footing`).
        global_batch: sequences per step.
    """
    grid = np.array(list(_grid(shape, devices=devices, batch=global_batch)), dtype=np.int64)
    grid = grid.reshape(-1, len(ARRAYS))
    modes = tuple(product(get_args(Recompute), (False, True), get_args(Zero)))
    parts = [
        _priced(shape, found, grid[_legal(grid, mode)], mode, attention, value_bytes)
        for mode in modes
    ]
    rows = np.concatenate([part[0] for part in parts])
    return Swept(
        columns={name: rows[:, i] for i, name in enumerate(ARRAYS)},
        modes=modes,
        mode=np.concatenate([np.full(len(part[0]), i) for i, part in enumerate(parts)]),
        step_s=np.concatenate([part[1] for part in parts]),
        peak_bytes=np.concatenate([part[2] for part in parts]),
        attention=attention,
        value_bytes=value_bytes,
    )


def _grid(shape: Shape, *, devices: int, batch: int) -> Iterator[tuple[int, ...]]:
    """All that is counted, in the order of `ARRAYS`."""
    whole = int(np.gcd(int(shape.heads), int(shape.ffn)))
    for tp, pp in product(_divisors(whole), _divisors(int(shape.layers))):
        if devices % (tp * pp):
            continue
        dp = devices // (tp * pp)
        if batch % dp:
            continue
        for micro in _divisors(batch // dp):
            count = batch // dp // micro
            pieces = _divisors(int(shape.layers) // pp) if pp > 1 and count % pp == 0 else (1,)
            for interleave in pieces:
                yield tp, pp, dp, interleave, micro, count


def _divisors(number: int) -> tuple[int, ...]:
    return tuple(d for d in range(1, number + 1) if number % d == 0)


def _legal(grid: NDArray[np.int64], mode: Mode) -> NDArray[np.bool_]:
    """Modes that mean something for a row: no splitting of what is whole."""
    _, sequence, zero = mode
    allowed = np.ones(len(grid), dtype=bool)
    if sequence:
        allowed &= grid[:, ARRAYS.index("tp")] > 1
    if zero:
        allowed &= grid[:, ARRAYS.index("dp")] > 1
    if zero == 2:
        allowed &= grid[:, ARRAYS.index("pp")] == 1
    return allowed


def _priced(
    shape: Shape,
    found: Footing,
    rows: NDArray[np.int64],
    mode: Mode,
    attention: Attention,
    value_bytes: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    columns = {name: rows[:, i].astype(float) for i, name in enumerate(ARRAYS)}
    layout = _layout(columns, *mode, attention, value_bytes)
    time = step_time(shape, layout, found.efficiency, found.machine)
    memory = peak_bytes(shape, layout, embedding_copies=1.0)
    return rows, np.asarray(time.total_s), np.asarray(memory)


def _layout(
    columns: dict[str, int] | dict[str, NDArray[np.float64]],
    recompute: Recompute,
    sequence: bool,
    zero: Zero,
    attention: Attention,
    value_bytes: float,
) -> Layout:
    return Layout(
        **columns,
        recompute=recompute,
        sequence_parallel=sequence,
        zero=zero,
        fsdp=zero >= 2,
        attention=attention,
        value_bytes=value_bytes,
        gradient_bytes=value_bytes,
    )

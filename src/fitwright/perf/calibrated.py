"""Times of kernels by constants that were measured on this very machine, per runtime.

``t = steps x floor + (compute^p + traffic^p)^(1/p)``, with
``compute = FLOP x ragged / (peak x share x m/(M + m_half) x n/(n + n_half) x k/(k + k_half))``
with M the rows m made whole tiles of ``m_tile``, and
``traffic = bytes / (bandwidth x bandwidth_factor)``.

The three half sizes are where a product reaches half of its rate for want of rows, columns or
terms; ``ragged`` is what a sum costs whose number of terms is no multiple of four (matrix units
take two bfloat16 or four int8 at a time, other kernels run instead); the factor on the bandwidth
of the memory may exceed 1, since most operands come from a cache. A family is what one probe
measures (`Kernel.family`); its rows are named ``gemm@openvino``. ``run@openvino`` holds what a
run costs besides its kernels (`RunCosts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.fusion import Runtime
from fitwright.perf.work import Work
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet

Column = NDArray[np.float64]
NAMES = (
    "floor_s", "compute_share", "m_half", "n_half", "k_half", "ragged", "m_tile",
    "bandwidth_factor", "softness",
)  # fmt: skip
WHOLE = 4  # terms that matrix units take at a time, at most
_TRAFFIC = (
    "elementwise", "norm", "skip_norm", "softmax", "move", "pool", "transcendental", "quantise",
    "where",
)  # fmt: skip
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "products": ("gemm",),
    "conv_transpose": ("conv", "gemm"),
    "depthwise": ("conv", "gemm"),
    "attention_prefill": ("products", "gemm"),
    "attention_decode": ("products", "gemm"),
    "grouped_gemm": ("gemm",),
    **dict.fromkeys(_TRAFFIC, _TRAFFIC),
    "skip_norm": ("norm", *_TRAFFIC),
}
"""Families whose constants answer where a family was not measured."""
_numbers = attrgetter("flops", "bytes_moved", "m", "n", "k", "num_steps")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Some works as columns; names as of `Work`."""

    flops: Column
    bytes_moved: Column
    m: Column
    n: Column
    k: Column
    num_steps: Column


def sizes(works: Sequence[Work]) -> Sizes:
    """The numbers that the formula takes."""
    rows = np.array([_numbers(w) for w in works], dtype=np.float64).reshape(-1, 6).T
    flops, moved, m, n, k, steps = rows
    return Sizes(flops=flops, bytes_moved=moved, m=m, n=n, k=k, num_steps=steps)


def seconds(
    at: Sizes,
    constants: Mapping[str, float],
    *,
    peak: float,
    bandwidth: float,
    slowdown: Column | float = 1.0,
) -> Column:
    """The formula of this module; never under the peak's own time.

    Args:
        constants: by the names of `NAMES`.
        peak: FLOP/s of the dtype.
        bandwidth: bytes/s of the memory.
        slowdown: of arithmetic, while neighbours use the same units.
    """
    tile = constants.get("m_tile", 1.0)
    reached = at.m / (np.ceil(at.m / tile) * tile + constants["m_half"])
    for size, half in ((at.n, "n_half"), (at.k, "k_half")):
        reached = reached * size / (size + constants[half])
    waste = np.where(at.k % WHOLE, constants.get("ragged", 1.0), 1.0)
    compute = slowdown * at.flops * waste / (peak * min(constants["compute_share"], 1.0) * reached)
    traffic = at.bytes_moved / (bandwidth * constants["bandwidth_factor"])
    slower = np.maximum(np.maximum(compute, traffic), 1e-30)
    faster = np.minimum(compute, traffic)
    p = constants["softness"]
    both: Column = slower * (1 + (faster / slower) ** p) ** (1 / p)
    return constants["floor_s"] * at.num_steps + both


@dataclass(frozen=True, kw_only=True, slots=True)
class RunCosts:
    """What a run costs besides its kernels.

    Attributes:
        floor_s: any run.
        view_s: a view, which moves nothing and is started all the same.
        output_byte_s: a byte of the model's outputs, handed over as a copy of its own.
    """

    floor_s: float = 0.0
    view_s: float = 0.0
    output_byte_s: float = 0.0


NOTHING_BESIDES = RunCosts()


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """Times by measured constants, an entry per work; nan where there are none.

    Attributes:
        binds: 0 compute, 1 bandwidth, 2 overhead.
    """

    time_s: Column
    spread: Column
    binds: NDArray[np.int8]


def rows_of(
    table: Sequence[Evidence], sheet: Sheet, runtime: Runtime
) -> Mapping[tuple[str, str], Evidence]:
    """What was measured with this runtime on this device, by family and dtype."""
    behind = f"@{runtime}"
    return {
        (e.what.removesuffix(behind), e.dtype): e
        for e in table
        if e.rung == "measured" and e.scope == sheet.id and e.what.endswith(behind)
    }


def run_costs(rows: Mapping[tuple[str, str], Evidence]) -> RunCosts:
    """Nothing where it was not measured."""
    if ("run", "") not in rows:
        return NOTHING_BESIDES
    found = rows["run", ""].constants
    return RunCosts(
        floor_s=found["floor_s"],
        view_s=found.get("view_s", 0.0),
        output_byte_s=found.get("output_byte_s", 0.0),
    )


def calibrated_times(
    works: Sequence[Work],
    families: Sequence[str],
    sheet: Sheet,
    rows: Mapping[tuple[str, str], Evidence],
) -> Calibrated:
    """Each work by the constants of its family and dtype."""
    found = Calibrated(
        time_s=np.full(len(works), np.nan),
        spread=np.full(len(works), np.nan),
        binds=np.full(len(works), -1, dtype=np.int8),
    )
    members: dict[tuple[str, str], list[int]] = {}
    for i, (work, family) in enumerate(zip(works, families, strict=True)):
        members.setdefault((family, work.dtype), []).append(i)
    for (family, dtype), where in members.items():
        row = _row(rows, family, dtype)
        if row is not None:
            _fill(found, where, [works[i] for i in where], row, sheet)
    return found


def _row(rows: Mapping[tuple[str, str], Evidence], family: str, dtype: str) -> Evidence | None:
    names = (family, *FALLBACKS.get(family, ()))
    return next((rows[n, dtype] for n in names if (n, dtype) in rows), None)


def _fill(
    found: Calibrated, where: list[int], works: Sequence[Work], row: Evidence, sheet: Sheet
) -> None:
    bandwidth = sheet.bandwidth_bytes_per_s
    peak = sheet.peaks.get(row.dtype)
    if bandwidth is None or peak is None:
        return
    at = sizes(works)
    times = seconds(at, row.constants, peak=peak.value, bandwidth=bandwidth.value)
    floors = row.constants["floor_s"] * at.num_steps
    traffic = at.bytes_moved / (bandwidth.value * row.constants["bandwidth_factor"])
    bound = np.where(traffic > (times - floors) * 0.75, 1, 0)
    found.time_s[where] = times
    found.spread[where] = row.spread
    found.binds[where] = np.where(floors > times / 2, 2, bound)

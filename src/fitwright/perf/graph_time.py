"""How long a whole model takes on a device: its kernels, one after the other.

    prepared = prepare(summary, runtime="onnxruntime")     # once per model and runtime
    found = graph_time(prepared, sheet, table, dtype="float32", batch=1, streams=1)
    if isinstance(found, NoData): ...                       # found.reason
    found.latency                                           # Estimate, seconds
    found.throughput_per_s, found.slowest(3), found.floor_s, found.memory, found.uncovered

The time is the sum over the kernels that the runtime starts (`perf.fusion`), each by the
operator formulas; an eager runtime needs at least its host's time for each operator. `prepare`
does what does not depend on the device, so that many devices are asked cheaply. Rows of the
table that were calibrated on this very device (rung ``measured``, `perf.calibrated`) answer
before all others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.calibrated import RunCosts, rows_of
from fitwright.perf.fusion import FUSIONS, Runtime
from fitwright.perf.kernel_times import Gap, KernelTimes, Works, kernel_times, tabulated
from fitwright.perf.kernels import BESIDE, BESIDE_BY_RUNTIME, Kernel, curved_work, kernels, work_of
from fitwright.perf.ladder import estimate, weakest
from fitwright.perf.operators.shapes import BITS
from fitwright.perf.operators.time import BINDS
from fitwright.records.estimate import Estimate, NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.records.model import ModelSummary
from fitwright.records.sheet import Fact, Sheet

CORRELATION = 0.5
"""Of the errors of two kernels on one device: half of a band is common to all of them."""
UNCOVERED_FACTOR = 3.0
"""How far off the bytes alone may be for an operator that no rule counts."""
WORKSPACE_SHARE = 0.1
"""Of weights and activations: packed copies of weights and scratch memory of kernels."""
MEMORY_SPREAD = 1.3

Column = NDArray[np.float64]
_BINDS = np.array(BINDS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A model as one runtime runs it, ready for any device.

    Attributes:
        num_started: operators that the host starts one by one (eager runtimes).
        num_views: of them, those that only give what a query brought another shape.
        boundary_bytes: weights, inputs and outputs, each once.
        output_bytes: outputs alone.
    """

    summary: ModelSummary
    runtime: Runtime
    kernels: tuple[Kernel, ...]
    num_started: int
    num_views: int
    boundary_bytes: int
    output_bytes: int

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Operators that no rule counts: kind, how many, why."""
        return tuple(
            f"{u.num_operators} x {u.domain or 'ai.onnx'}.{u.kind}: {u.reason}"
            for u in self.summary.uncounted
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One kernel's share of the time.

    Attributes:
        kinds: operators that it consists of.
        binds: ``compute``, ``bandwidth`` or ``overhead``.
    """

    name: str
    kinds: tuple[str, ...]
    seconds: float
    binds: str
    rung: Rung


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GraphTime:
    """A model on a device.

    Attributes:
        latency: of one run, seconds: `batch` queries, while `streams` runs share the device.
        floor_s: what the published peaks allow one run at best.
        memory: weights, live activations of every stream and workspace, bytes.
        prepared: whose kernels these are.
        part_s: seconds of each kernel.
        uncovered: operators that no rule counts; the band is wider for them.
    """

    latency: Estimate
    floor_s: float
    memory: Estimate
    uncovered: tuple[str, ...]
    prepared: Prepared
    part_s: Column
    binds: tuple[str, ...]
    rungs: tuple[Rung, ...]
    batch: int
    streams: int

    @property
    def throughput_per_s(self) -> float:
        """Queries per second with all streams at work."""
        return self.batch * self.streams / self.latency.value

    def parts(self) -> tuple[Part, ...]:
        """Every kernel in order."""
        return tuple(self._part(i) for i in range(len(self.part_s)))

    def slowest(self, count: int) -> tuple[Part, ...]:
        """The kernels that take longest, longest first."""
        return tuple(self._part(int(i)) for i in np.argsort(-self.part_s)[:count])

    def _part(self, index: int) -> Part:
        kernel = self.prepared.kernels[index]
        return Part(
            name=kernel.name,
            kinds=kernel.kinds,
            seconds=float(self.part_s[index]),
            binds=self.binds[index],
            rung=self.rungs[index],
        )


def prepare(summary: ModelSummary, *, runtime: Runtime) -> Prepared:
    """What does not depend on the device: the kernels that the runtime makes of the graph."""
    given, made = (
        sum(_num_bytes(t.shape, t.dtype) for t in some)
        for some in (summary.inputs, summary.outputs)
    )
    return Prepared(
        summary=summary,
        runtime=runtime,
        kernels=kernels(summary, runtime),
        num_started=len(summary.operators),
        num_views=sum(
            o.is_view and bool(o.reads_from or o.reads_inputs) for o in summary.operators
        ),
        boundary_bytes=summary.weight_bytes + given + made,
        output_bytes=made,
    )


def _num_bytes(shape: Sequence[int | str | None], dtype: str) -> int:
    sizes = [s for s in shape if isinstance(s, int)]
    return math.prod(sizes) * BITS.get(dtype, 64) // 8 if len(sizes) == len(shape) else 0


def graph_time(
    prepared: Prepared,
    sheet: Sheet,
    table: Sequence[Evidence],
    *,
    dtype: str,
    batch: int = 1,
    streams: int = 1,
) -> GraphTime | NoData:
    """The time of one run of a model, or why there is none.

    Args:
        prepared: the model, by `prepare`.
        sheet: the device.
        table: fitted constants; calibrated ones first.
        dtype: that its products of floats run in; what is quantised in the file stays so.
        batch: queries of one run, each as large as the summary's.
        streams: runs at the same time, each with an equal share of the device.
    """
    if not prepared.kernels:
        return NoData(reason="the graph has no operator that computes or moves anything")
    beside = _beside(prepared.runtime, sheet, dtype)
    shared = _shared(sheet, streams)
    works = _tabulated(prepared, dtype, beside, batch)
    times = kernel_times(works, shared, table, runtime=prepared.runtime)
    if isinstance(times, Gap):
        kernel = prepared.kernels[times.index]
        return NoData(reason=f"{kernel.name} ({kernel.kinds[0]}): {times.why.reason}")
    learned = rows_of(table, sheet, prepared.runtime).get(("model", _learned_as(prepared, dtype)))
    run = _Run(dtype=dtype, batch=batch, streams=streams, learned=learned)
    return _graph(prepared, shared, works, times, run=run)


def _learned_as(prepared: Prepared, dtype: str) -> str:
    """The dtype under which measured runs of such a model are kept."""
    return "int8" if _is_quantised(prepared) else dtype


@lru_cache(maxsize=16)
def _is_quantised(prepared: Prepared) -> bool:
    return any(k.dtype == "int8" for k in prepared.kernels)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """How the model runs, and what earlier runs here have taught about that."""

    dtype: str
    batch: int
    streams: int
    learned: Evidence | None


def _beside(runtime: Runtime, sheet: Sheet, dtype: str) -> str:
    """The dtype of what is no product: the best of the device beside a narrow one."""
    if dtype not in BESIDE:
        return dtype
    wanted = BESIDE_BY_RUNTIME.get(runtime, BESIDE[dtype])
    return next((d for d in wanted if d in sheet.peaks), "float32")


def _shared(sheet: Sheet, streams: int) -> Sheet:
    """What one of several runs at the same time has of the device."""
    if streams == 1:
        return sheet

    def part(fact: Fact | None) -> Fact | None:
        return fact and fact.model_copy(update={"value": fact.value / streams})

    return sheet.model_copy(
        update={
            "peaks": {d: part(f) for d, f in sheet.peaks.items()},
            "bandwidth_bytes_per_s": part(sheet.bandwidth_bytes_per_s),
            "num_units": part(sheet.num_units),
        }
    )


@lru_cache(maxsize=64)
def _tabulated(prepared: Prepared, dtype: str, beside: str, batch: int) -> Works:
    """Made once for all devices that run the same dtypes."""
    summary = prepared.summary
    scale = BITS.get(dtype, 32) / 32
    model_bytes = scale * (summary.weight_bytes + batch * summary.peak_activation_bytes)
    works = [
        work_of(
            kernel,
            dtype=dtype,
            beside=beside,
            batch=batch,
            model_bytes=model_bytes,
            floats=FUSIONS[prepared.runtime].floats,
        )
        for kernel in prepared.kernels
    ]
    curved = {
        i: curved_work(kernel, beside=beside, batch=batch)
        for i, kernel in enumerate(prepared.kernels)
        if kernel.curved_bytes
    }
    return tabulated(works, [k.family for k in prepared.kernels], curved)


def _graph(
    prepared: Prepared, sheet: Sheet, works: Works, times: KernelTimes, *, run: _Run
) -> GraphTime:
    """The sum, its band and its floor."""
    host_s = FUSIONS[prepared.runtime].host_s
    scale = run.learned.constants["scale"] if run.learned else 1.0
    part_s = scale * np.maximum(times.time_s, host_s)
    views_s = host_s * max(prepared.num_started - len(prepared.kernels), 0)
    besides_s = scale * _besides_s(prepared, times.besides, batch=run.batch)
    floor_s = _floor_s(prepared, sheet, works, batch=run.batch)
    spread = _spread(prepared, part_s, times.log_spread)
    rung = weakest(times.rungs)
    reasons = [f"{len(part_s)} kernels as {prepared.runtime} merges them"]
    if run.learned is not None:
        spread = run.learned.spread
        reasons.append(f"scaled by {scale:.3g} after {run.learned.num_points} models measured here")
    return GraphTime(
        latency=estimate(
            max(float(part_s.sum()) + views_s + besides_s, floor_s),
            unit="s",
            rung=rung,
            spread=spread,
            reasons=(*reasons, *times.reasons[int(np.argmax(part_s))]),
        ),
        floor_s=floor_s,
        memory=_memory(prepared, run, rung=rung),
        uncovered=prepared.uncovered,
        prepared=prepared,
        part_s=part_s,
        binds=tuple(_BINDS[times.binds].tolist()),
        rungs=times.rungs,
        batch=run.batch,
        streams=run.streams,
    )


def _besides_s(prepared: Prepared, costs: RunCosts, *, batch: int) -> float:
    """What the run costs that no kernel does."""
    copied = costs.output_byte_s * batch * prepared.output_bytes
    return costs.floor_s + costs.view_s * prepared.num_views + copied


def _spread(prepared: Prepared, part_s: Column, log_spread: Column) -> float:
    """The band of a sum whose parts err together by `CORRELATION`; wider for the uncounted."""
    weights = part_s / max(float(part_s.sum()), 1e-30)
    together = float(weights @ log_spread)
    apart = float(np.sqrt(np.sum((weights * log_spread) ** 2)))
    width = math.sqrt(CORRELATION * together**2 + (1 - CORRELATION) * apart**2)
    uncounted = _uncounted(prepared)
    unknown = max(float(weights @ uncounted), float(uncounted.mean()))
    return math.exp(width + unknown * math.log(UNCOVERED_FACTOR))


@lru_cache(maxsize=16)
def _uncounted(prepared: Prepared) -> NDArray[np.bool_]:
    """Kernels with an operator that no rule counts."""
    return np.array([not k.is_counted for k in prepared.kernels])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Totals:
    """Sums over all kernels, the same on every device."""

    flops: Mapping[str, float]
    moved_bytes: float
    activation_bytes: int
    weight_bytes: int


@lru_cache(maxsize=64)
def _totals(prepared: Prepared, works: Works) -> _Totals:
    flops: dict[str, float] = {}
    for work in works.own:
        flops[work.dtype] = flops.get(work.dtype, 0.0) + work.flops
    return _Totals(
        flops=flops,
        moved_bytes=sum(w.bytes_moved for w in works.own),
        activation_bytes=sum(k.activation_bytes for k in prepared.kernels),
        weight_bytes=sum(k.weight_bytes for k in prepared.kernels),
    )


def _floor_s(prepared: Prepared, sheet: Sheet, works: Works, *, batch: int) -> float:
    """All arithmetic at the peaks; weights, inputs and outputs once from memory, less what
    stays on chip from one run to the next."""
    peaks = sheet.peaks
    totals = _totals(prepared, works)
    compute = sum(f / peaks[d].value for d, f in totals.flops.items() if d in peaks)
    if sheet.bandwidth_bytes_per_s is None:
        return compute
    stored = totals.activation_bytes * batch + totals.weight_bytes
    weights = min(prepared.summary.weight_bytes, totals.weight_bytes)
    boundary = weights + batch * (prepared.boundary_bytes - prepared.summary.weight_bytes)
    least = totals.moved_bytes * min(1.0, boundary / max(stored, 1))
    onchip = sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0
    return max(compute, (least - onchip) / sheet.bandwidth_bytes_per_s.value)


def _memory(prepared: Prepared, run: _Run, *, rung: Rung) -> Estimate:
    """Weights once, live activations per stream, and workspace, bytes."""
    summary = prepared.summary
    scale = BITS.get(run.dtype, 32) / 32
    activations = summary.peak_activation_bytes * run.batch * run.streams
    value = scale * (summary.weight_bytes + activations) * (1 + WORKSPACE_SHARE)
    return estimate(
        max(value, 1.0),
        unit="bytes",
        rung=rung,
        spread=MEMORY_SPREAD,
        reasons=("weights, live activations and a tenth for workspace; not the process itself",),
    )

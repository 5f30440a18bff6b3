"""The peaks of this machine, measured through the backends that will run the model.

A peak is the rate of the fastest tenth of the runs: it is what the machine can do, and
slower runs tell of neighbours. The interval reaches from the median rate to the fastest,
divided by the share of the CPU time that the probe got: on a busy machine the true peak is
higher than any run showed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from fitwright.errors import BackendMissing, PlanError, TrialFailed, one_line
from fitwright.graph.build import matmul_model
from fitwright.ports import ChildLimits, Executor, Runtime
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.select.bandwidth import array_bytes, best_copy
from fitwright.select.instructions import has_bfloat16

LIMITS = ChildLimits(wall_s=60.0)
WARM_S = 0.2
TIMED_S = 0.8
MIN_RUNS = 5
SMALLEST_SHARE = 0.05  # below this the probe says nothing about a machine at rest
NUM_LAYERS = 2  # short runs: more of them fall between the neighbours' turns


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One way to multiply matrices of one dtype on one backend."""

    dtype: Literal["float32", "bfloat16", "int8"]
    backend: str
    model: Literal["float32", "int8"]
    settings: Settings = field(default_factory=Settings)


# float32 is stated for OpenVINO, whose default is bfloat16 on CPUs that have it.
PROBES: tuple[Probe, ...] = (
    Probe(dtype="float32", backend="onnxruntime", model="float32"),
    Probe(
        dtype="float32",
        backend="openvino",
        model="float32",
        settings=Settings(precision="float32"),
    ),
    Probe(
        dtype="bfloat16",
        backend="openvino",
        model="float32",
        settings=Settings(precision="bfloat16"),
    ),
    Probe(dtype="int8", backend="onnxruntime", model="int8"),
    Probe(dtype="int8", backend="openvino", model="int8"),
)


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """What the GEMM probes found.

    Attributes:
        figures: operations per second by dtype; unavailable with every reason.
        cpu_share: smallest share of the CPU time asked for that a winning probe got;
            below 1 other processes were at work, and the peak is too low.
    """

    figures: dict[str, Figure]
    cpu_share: float


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    figure: Figure
    cpu_share: float = 1.0


def gemm_peaks(
    executor: Executor,
    runtimes: Sequence[Runtime],
    *,
    instruction_sets: Sequence[str],
    num_threads: int,
    folder: Path,
) -> Peaks:
    """The fastest backend's rate for each dtype.

    Args:
        executor: where the children run.
        runtimes: the backends that are installed.
        instruction_sets: bfloat16 is measured only where the CPU has it.
        num_threads: what each backend is told to use.
        folder: for the probe models; may be deleted afterwards.
    """
    by_name = {r.name: r for r in runtimes}
    size = 1024 if num_threads <= 8 else 2048
    models = {kind: _write_model(folder, kind, size) for kind in ("float32", "int8")}
    found: dict[str, list[_Outcome]] = {"float32": [], "bfloat16": [], "int8": []}
    for probe in PROBES:
        if probe.dtype == "bfloat16" and not has_bfloat16(instruction_sets):
            found[probe.dtype].append(_nothing("the CPU has no bfloat16 instructions"))
        elif probe.backend not in by_name:
            found[probe.dtype].append(_nothing(f"{probe.backend} is not installed"))
        else:
            runtime = by_name[probe.backend]
            model = models[probe.model]
            found[probe.dtype].append(_measure(executor, runtime, model, probe, num_threads))
    best = {dtype: _best(outcomes) for dtype, outcomes in found.items()}
    return Peaks(
        figures={dtype: outcome.figure for dtype, outcome in best.items()},
        cpu_share=min(outcome.cpu_share for outcome in best.values()),
    )


def copy_bandwidth(
    executor: Executor, *, last_cache_bytes: int, memory_bytes: int, num_threads: int
) -> Figure:
    """Bytes read plus written per second by a copy that no cache holds."""
    size = array_bytes(last_cache_bytes=last_cache_bytes, memory_bytes=memory_bytes)
    try:
        copied = executor.call(best_copy, LIMITS, size, num_threads=num_threads)
    except TrialFailed as failure:
        return Figure.unavailable(f"copy probe: {one_line(failure.rule)}", unit="B/s")
    source = f"numpy copy of {size >> 20} MiB on {copied.num_threads} thread(s), read plus write"
    rates = copied.rates_bytes_per_s
    return _peak(rates, unit="B/s", source=source, cpu_share=copied.cpu_share)


@dataclass(frozen=True, kw_only=True)
class _ProbeModel:
    """A written model, its input and what one run of it computes."""

    path: Path
    input_name: str
    shape: tuple[int, int]
    operations: int


def _write_model(folder: Path, kind: Literal["float32", "int8"], size: int) -> _ProbeModel:
    """A chain of square MatMuls."""
    model = matmul_model(size, size, size, dtype=kind, num_layers=NUM_LAYERS)
    path = folder / f"{kind}.onnx"
    path.write_bytes(model.SerializeToString())
    num_matmuls = sum(node.op_type == "MatMul" for node in model.graph.node)
    return _ProbeModel(
        path=path,
        input_name=model.graph.input[0].name,
        shape=(size, size),
        operations=num_matmuls * 2 * size**3,
    )


def _measure(
    executor: Executor, runtime: Runtime, model: _ProbeModel, probe: Probe, num_threads: int
) -> _Outcome:
    """The rate of one probe in its own child, or why it has none."""
    settings = probe.settings.merged(Settings(threads=num_threads))
    values = np.random.default_rng(0).random((1, *model.shape), dtype=np.float32)
    try:
        worker = executor.open(runtime, model.path, settings, limits=LIMITS)
        try:
            worker.feed({model.input_name: values})
            worker.time_block(seconds=WARM_S, min_runs=2)
            busy_s = worker.busy_s()
            times_s = worker.time_block(seconds=TIMED_S, min_runs=MIN_RUNS)
            busy_s = worker.busy_s() - busy_s
        finally:
            worker.close()
    except (TrialFailed, PlanError, BackendMissing) as failure:
        return _nothing(f"{probe.backend}: {one_line(failure.rule)}")
    rates = [model.operations / t for t in times_s]
    size = model.shape[0]
    source = f"{size}x{size}x{size} GEMM chain on {probe.backend}, {num_threads} thread(s)"
    share = min(1.0, busy_s / (sum(times_s) * num_threads))
    figure = _peak(rates, unit="FLOP/s", source=source, cpu_share=share)
    return _Outcome(figure=figure, cpu_share=share)


def _peak(rates: Sequence[float], *, unit: str, source: str, cpu_share: float) -> Figure:
    """The 90th percentile of the rates, from the median to the fastest at full CPU time."""
    median, peak, fastest = (float(np.percentile(rates, p)) for p in (50, 90, 100))
    return Figure.measured(
        peak,
        unit=unit,
        low=median,
        high=fastest / max(cpu_share, SMALLEST_SHARE),
        source=f"{source}; fastest tenth of the runs, with {cpu_share:.0%} of the CPU time "
        "asked for; interval from the median to the fastest at all of it",
        num_samples=len(rates),
    )


def _best(outcomes: Sequence[_Outcome]) -> _Outcome:
    """The fastest backend's outcome; where none measured, every reason."""
    measured = [o for o in outcomes if o.figure.value is not None]
    if measured:
        return max(measured, key=lambda o: o.figure.value or 0.0)
    return _nothing("; ".join(dict.fromkeys(o.figure.source for o in outcomes)))


def _nothing(why: str) -> _Outcome:
    return _Outcome(figure=Figure.unavailable(why, unit="FLOP/s"))


def all_measured(peaks: Mapping[str, Figure], instruction_sets: Sequence[str]) -> bool:
    """Whether nothing failed that this CPU could have given."""
    expected = {"float32", "int8"} | ({"bfloat16"} if has_bfloat16(instruction_sets) else set())
    return all(peaks[dtype].value is not None for dtype in expected)

"""The probes of every backend and dtype, timed in passes that lie minutes apart."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np

from fitwright.errors import BackendMissing, PlanError, TrialFailed, one_line
from fitwright.graph.chains import chained, write_pool
from fitwright.ports import ChildLimits, Executor, Runtime
from fitwright.records.device import Device
from fitwright.records.plan import Settings
from fitwright.select.calibration.probes import Probe, probes, stored
from fitwright.select.calibration.timing import (
    DISTURBED,
    QUANTILE,
    TOGETHER,
    Timed,
    Times,
    fastest,
    time_models,
)
from fitwright.select.instructions import has_bfloat16

LIMITS = ChildLimits(wall_s=300.0)
NUM_PASSES = 3  # neighbours come and go within seconds, so every probe gets several chances
"""Of backends whose sessions are timed one at a time; those that take long to load have each
probe in one pass only, and a gauge that tells when neighbours are at work."""
GAUGE = {"x": (256, 768)}  # the probe whose single layer tells of neighbours


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One backend at one dtype."""

    runtime: Runtime
    dtype: str
    settings: Settings

    @property
    def name(self) -> str:
        """``openvino, bfloat16``."""
        return f"{self.runtime.name}, {self.dtype}"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the children measured.

    Attributes:
        layer_s, single_s: seconds of each probe's layer, and of its shorter chain.
        slowdown: of the gauge beside each probe, against its best.
        gauge_s: its best, here or in an earlier calibration; 0 without a gauge.
    """

    combination: Combination
    probes: tuple[Probe, ...]
    layer_s: tuple[float, ...]
    single_s: tuple[float, ...]
    slowdown: tuple[float, ...]
    gauge_s: float
    cpu_share: float


def combinations_of(device: Device, runtimes: Sequence[Runtime]) -> Iterator[Combination]:
    """Every backend at every dtype that it runs here; float32 is asked for by name, since
    OpenVINO's default is bfloat16 where the CPU has it."""
    for runtime in runtimes:
        chooses = runtime.name == "openvino"
        settings = Settings(threads=device.num_cores, precision="float32" if chooses else None)
        yield Combination(runtime=runtime, dtype="float32", settings=settings)
        if chooses and has_bfloat16(device.instruction_sets):
            half = settings.merged(Settings(precision="bfloat16"))
            yield Combination(runtime=runtime, dtype="bfloat16", settings=half)
        yield Combination(
            runtime=runtime, dtype="int8", settings=Settings(threads=device.num_cores)
        )


@dataclass(frozen=True, kw_only=True)
class PassOver:
    """Some of a combination's probes, in one child."""

    combination: Combination
    probes: tuple[Probe, ...]
    chosen: tuple[bool, ...]


def turns_of(
    combinations: Sequence[Combination], only: Callable[[Probe], bool]
) -> Iterator[PassOver]:
    """Passes over all combinations; where loading takes long, each over a part of the probes,
    so that a family's lie in as many different minutes."""
    for number, combination in product(range(NUM_PASSES), combinations):
        some = tuple(p for p in probes(combination.dtype) if only(p))
        parts = NUM_PASSES if combination.runtime.name in TOGETHER else 1
        chosen = tuple(i % parts == number % parts for i in range(len(some)))
        yield PassOver(combination=combination, probes=some, chosen=chosen)


def timed_pass(turn: PassOver, executor: Executor, *, threads: int, budget_s: float) -> Times | str:
    """Both chains of every probe chosen in one child; in words why not, if it failed."""
    combination, numbers = turn.combination, np.flatnonzero(turn.chosen)
    with tempfile.TemporaryDirectory(prefix="fitwright-calibrate-") as name:
        folder = Path(name)
        write_pool(folder)
        models = [
            _written(folder / f"{i}-{times}.onnx", turn.probes[i], combination.dtype, times)
            for i in numbers
            for times in (1, turn.probes[i].num_layers)
        ]
        try:
            found = executor.call(
                time_models,
                LIMITS,
                combination.runtime,
                models,
                combination.settings,
                num_threads=threads,
                budget_s=budget_s,
                gauge=_gauge(folder, combination),
            )
        except (TrialFailed, PlanError, BackendMissing) as failure:
            return one_line(failure.rule)
    return _spread_out(found, turn)


def _spread_out(found: Times, turn: PassOver) -> Times:
    """In the places of all probes; nan for those of other passes."""
    both = np.repeat(turn.chosen, 2)
    seconds, gauges = np.full(len(both), np.nan), np.zeros(len(both))
    seconds[both], gauges[both] = found.seconds, found.gauge_s
    return replace(found, seconds=tuple(seconds.tolist()), gauge_s=tuple(gauges.tolist()))


def _gauge(folder: Path, combination: Combination) -> Timed | None:
    """A product large enough for the matrix units; alone where sessions live one at a time."""
    if combination.runtime.name not in TOGETHER:
        return None
    (probe,) = (p for p in probes(combination.dtype) if p.inputs == GAUGE)
    return _written(folder / "gauge.onnx", probe, combination.dtype, 1)


def put_together(
    combinations: Sequence[Combination],
    timed: Mapping[str, Sequence[Times | str]],
    *,
    only: Callable[[Probe], bool],
    known_s: Mapping[str, float],
) -> tuple[list[Found], tuple[str, ...]]:
    """What the passes found of each combination, and what went wrong in words.

    Args:
        known_s: the best of each combination's gauge in earlier calibrations.
    """
    found: list[Found] = []
    notes: list[str] = []
    for combination in combinations:
        passes = timed[combination.name]
        worked = [t for t in passes if isinstance(t, Times)]
        notes += [f"{combination.name}: {t}" for t in passes if isinstance(t, str)]
        notes += [f"{combination.name}: {why}" for t in worked for why in t.refused]
        if worked:
            chosen = tuple(p for p in probes(combination.dtype) if only(p))
            best_s = known_s.get(combination.name, math.inf)
            found.append(one := _found(combination, chosen, fastest(worked), known_s=best_s))
            notes += _shared_units(one)
    return found, tuple(dict.fromkeys(notes))


def _written(file: Path, probe: Probe, dtype: str, times: int) -> Timed:
    model = chained(probe.layer, times=times, stored=stored(dtype), inputs=probe.inputs)
    file.write_bytes(model.SerializeToString())
    return Timed(model=file, inputs=probe.inputs)


def _shared_units(found: Found) -> tuple[str, ...]:
    """A note where neighbours slowed the gauge down."""
    slow = median(found.slowdown) if found.slowdown else 1.0
    if slow < DISTURBED:
        return ()
    return (
        f"{found.combination.name}: products ran at {1 / slow:.0%} of their best rate here, for "
        "others used the same units; the constants are those of the machine alone",
    )


def _found(
    combination: Combination, chosen: tuple[Probe, ...], times: Times, *, known_s: float
) -> Found:
    single, several = times.seconds[::2], times.seconds[1::2]
    gauges = np.array(times.gauge_s).reshape(-1, 2).max(axis=1)
    seen = gauges[gauges > 0]
    best_s = min(known_s, float(np.quantile(seen, QUANTILE))) if seen.size else 0.0
    return Found(
        combination=combination,
        probes=chosen,
        layer_s=tuple(
            (b - a) / (p.num_layers - 1) for p, a, b in zip(chosen, single, several, strict=True)
        ),
        single_s=single,
        slowdown=tuple(max(1.0, g / best_s) if g else 1.0 for g in gauges.tolist()),
        gauge_s=best_s,
        cpu_share=times.cpu_share,
    )

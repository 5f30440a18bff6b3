"""The whole calibration: probes in children, constants fitted, the profile kept.

A profile belongs to one machine and the versions of its backends; when either changes it no
longer answers and is made anew.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

from fitwright.errors import BackendMissing, PlanError, StorageError, TrialFailed, one_line
from fitwright.graph.chains import chained, write_pool
from fitwright.perf.calibrated import seconds, sizes
from fitwright.perf.calibrated_fit import Point, fitted
from fitwright.perf.work import Work
from fitwright.ports import ChildLimits, Executor, Runtime
from fitwright.records.device import Device
from fitwright.records.evidence import Evidence
from fitwright.records.plan import Settings
from fitwright.records.profile import BySize, Profile
from fitwright.records.run import write_atomically
from fitwright.select.calibration.probes import Probe, probes, stored
from fitwright.select.calibration.sizes import by_size, cache_bytes
from fitwright.select.calibration.timing import Timed, Times, fastest, time_models
from fitwright.select.calibration.watts import Watts
from fitwright.select.instructions import has_bfloat16

SCHEMA = 2  # a new number makes every stored profile out of date
BUDGET_S = 100.0  # of all probes together, loading and compiling included
LIMITS = ChildLimits(wall_s=300.0)
BEFORE: Mapping[str, str] = {
    "elementwise": "softmax",
    "conv_transpose": "pool",
    "recurrent": "move",
}
"""Families whose layers hold a kernel of another family, which is fitted first."""
QUIET_SHARE = 0.5  # models compile and small ones run on one core, so all of it is never used
NUM_PASSES = 3  # neighbours come and go within seconds, so every probe gets several chances
ONE_PASS = frozenset({"openvino"})  # takes long to compile; its sessions live together instead
SMALL_S = 100e-6  # a shorter layer tells nothing of the peak
NUM_SHORTEST = 10  # chains that tell what a run costs besides its kernels

Say = Callable[[str], None]


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
    """What the children measured: seconds of each probe's layer, and of its shorter chain."""

    combination: Combination
    probes: tuple[Probe, ...]
    layer_s: tuple[float, ...]
    single_s: tuple[float, ...]
    cpu_share: float


def fingerprint(device: Device) -> str:
    """Names the machine and the versions of its backends."""
    facts = {
        "schema": SCHEMA,
        "name": device.name,
        "instruction_sets": device.instruction_sets,
        "cores": [device.num_cores, device.num_threads, device.cpu_quota],
        "memory": device.memory_bytes,
        "software": device.software,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def stored_profile(device: Device, *, cache: Path) -> Profile | None:
    """The profile of this machine with these versions; None: there is none to go by."""
    try:
        profile = Profile.from_file(_file(device, cache))
    except (OSError, ValueError):
        return None
    return profile if profile.fingerprint == fingerprint(device) else None


def keep_profile(profile: Profile, *, cache: Path) -> str:
    """Store it; why not, if it failed."""
    try:
        write_atomically(cache / f"profile-{profile.fingerprint}.json", profile.to_json().encode())
    except (StorageError, OSError) as error:
        return f"the profile is not kept: {error}"
    return ""


def _file(device: Device, cache: Path) -> Path:
    return cache / f"profile-{fingerprint(device)}.json"


def calibrate(
    device: Device,
    *,
    executor: Executor,
    runtimes: Sequence[Runtime],
    say: Say,
    budget_s: float = BUDGET_S,
    energy_j: Callable[[], float] | None = None,
    only: Callable[[Probe], bool] = lambda _: True,
) -> Profile:
    """Measure and fit; nothing is stored yet.

    Args:
        device: this machine, with its peaks.
        executor: where the children run.
        runtimes: the backends to measure, those installed.
        say: one line of progress.
        budget_s: for the timed runs of all probes.
        energy_j: joules since some moment, where a counter can be read.
        only: which probes; all of them by default.
    """
    begin_s = time.monotonic()
    watts = Watts(energy_j, idle=device.idle_power, loaded=device.loaded_power)
    watts.rest()
    say("bandwidth by size")
    rates, notes = _rates(executor, device)
    combinations = tuple(_combinations(device, runtimes))
    timed: dict[str, list[Times | str]] = {c.name: [] for c in combinations}
    share_s = budget_s / max(NUM_PASSES * len(combinations), 1)
    for number, combination in product(range(NUM_PASSES), combinations):
        say(f"kernels on {combination.name}, {number + 1} of {NUM_PASSES}")
        with watts.working():
            timed[combination.name].append(
                _timed(combination, executor, threads=device.num_cores, budget_s=share_s, only=only)
            )
    found, more = _put_together(combinations, timed, only=only)
    notes += more
    cpu_share = min((f.cpu_share for f in found), default=1.0)
    if cpu_share < QUIET_SHARE:
        notes += (
            f"the machine was busy: a backend's probes got {cpu_share:.0%} of the CPU time, so "
            "times are too long and bands wide; calibrate again when it is at rest",
        )
    bandwidth = _memory_bandwidth(device, rates)
    peaks = _peaks(device, found)
    return Profile(
        fingerprint=fingerprint(device),
        machine=device.name,
        software=device.software,
        peaks=peaks,
        bandwidth_bytes_per_s=bandwidth,
        by_size=rates,
        cache_bytes=cache_bytes(rates),
        rows=tuple(row for f in found for row in _rows(f, device, peaks, bandwidth)),
        idle_power=watts.idle,
        loaded_power=watts.loaded,
        cpu_share=cpu_share,
        seconds=time.monotonic() - begin_s,
        notes=notes,
    )


def _rates(executor: Executor, device: Device) -> tuple[tuple[BySize, ...], tuple[str, ...]]:
    most = device.memory_bytes // 8
    try:
        return executor.call(by_size, LIMITS, device.num_cores, most_bytes=most), ()
    except TrialFailed as failure:
        return (), (f"bandwidth by size: {one_line(failure.rule)}",)


def _combinations(device: Device, runtimes: Sequence[Runtime]) -> Iterator[Combination]:
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


def _timed(
    combination: Combination,
    executor: Executor,
    *,
    threads: int,
    budget_s: float,
    only: Callable[[Probe], bool],
) -> Times | str:
    """Both chains of every probe in one child; in words why not, if it failed."""
    chosen = tuple(p for p in probes(combination.dtype) if only(p))
    with tempfile.TemporaryDirectory(prefix="fitwright-calibrate-") as name:
        folder = Path(name)
        write_pool(folder)
        models = [
            _written(folder / f"{i}-{times}.onnx", probe, combination.dtype, times)
            for i, probe in enumerate(chosen)
            for times in (1, probe.num_layers)
        ]
        try:
            return executor.call(
                time_models,
                LIMITS,
                combination.runtime,
                models,
                combination.settings,
                num_threads=threads,
                budget_s=budget_s,
            )
        except (TrialFailed, PlanError, BackendMissing) as failure:
            return one_line(failure.rule)


def _put_together(
    combinations: Sequence[Combination],
    timed: Mapping[str, Sequence[Times | str]],
    *,
    only: Callable[[Probe], bool],
) -> tuple[list[Found], tuple[str, ...]]:
    """What the passes found of each combination, and what went wrong in words."""
    found: list[Found] = []
    notes: list[str] = []
    for combination in combinations:
        passes = timed[combination.name]
        worked = [t for t in passes if isinstance(t, Times)]
        notes += [f"{combination.name}: {t}" for t in passes if isinstance(t, str)]
        notes += [f"{combination.name}: {why}" for t in worked for why in t.refused]
        if worked:
            chosen = tuple(p for p in probes(combination.dtype) if only(p))
            found.append(_found(combination, chosen, fastest(worked)))
    return found, tuple(dict.fromkeys(notes))


def _written(file: Path, probe: Probe, dtype: str, times: int) -> Timed:
    model = chained(probe.layer, times=times, stored=stored(dtype), inputs=probe.inputs)
    file.write_bytes(model.SerializeToString())
    return Timed(model=file, inputs=probe.inputs)


def _found(combination: Combination, chosen: tuple[Probe, ...], times: Times) -> Found:
    single, several = times.seconds[::2], times.seconds[1::2]
    return Found(
        combination=combination,
        probes=chosen,
        layer_s=tuple(
            (b - a) / (p.num_layers - 1) for p, a, b in zip(chosen, single, several, strict=True)
        ),
        single_s=single,
        cpu_share=times.cpu_share,
    )


def _memory_bandwidth(device: Device, rates: Sequence[BySize]) -> float:
    """Of the memory: the device's own probe, or the largest copy."""
    if device.bandwidth.value:
        return device.bandwidth.value
    return rates[-1].copy_bytes_per_s if rates else 1e10


def _peaks(device: Device, found: Sequence[Found]) -> dict[str, float]:
    """The best rate of any layer or of the device's own probe, by dtype."""
    peaks = {d: f.value for d, f in device.peaks.items() if f.value}
    for one in found:
        dtype = one.combination.dtype
        for probe, layer_s in zip(one.probes, one.layer_s, strict=True):
            flops = sum(w.flops for _, w in probe.works)
            if probe.family == "gemm" and layer_s > SMALL_S:
                peaks[dtype] = max(peaks.get(dtype, 0.0), flops / layer_s)
    return peaks


def _rows(
    found: Found, device: Device, peaks: Mapping[str, float], bandwidth: float
) -> Iterator[Evidence]:
    """The evidence of one backend and dtype, family by family."""
    dtype, runtime = found.combination.dtype, found.combination.runtime.name
    if dtype not in peaks:
        return
    rows: dict[str, Evidence] = {}
    families = dict.fromkeys(p.family for p in found.probes)
    for family in sorted(families, key=lambda f: f in BEFORE):
        row = fitted(
            _points(found, family, rows, peak=peaks[dtype], bandwidth=bandwidth),
            what=f"{family}@{runtime}",
            dtype=dtype,
            scope=device.id,
            peak=peaks[dtype],
            bandwidth=bandwidth,
            source=f"fitwright calibrate, {runtime} {device.software.get(runtime, '')}",
        )
        if row is not None:
            rows[family] = row
    yield from rows.values()
    if dtype == "float32":
        yield _run_row(found, device)


def _points(
    found: Found, family: str, rows: Mapping[str, Evidence], *, peak: float, bandwidth: float
) -> list[Point]:
    """The layers of one family; what kernels of other families in them take is taken off."""
    points = []
    for probe, layer_s in zip(found.probes, found.layer_s, strict=True):
        if probe.family != family:
            continue
        own = tuple(w for name, w in probe.works if name == family)
        for name, work in probe.works:
            if name != family:
                layer_s -= _expected_s(work, rows.get(name), peak=peak, bandwidth=bandwidth)
        points.append(Point(works=own, seconds=layer_s))
    return points


def _expected_s(work: Work, row: Evidence | None, *, peak: float, bandwidth: float) -> float:
    """What a kernel of a family that was fitted before takes; 0 where that failed."""
    if row is None:
        return 0.0
    return float(seconds(sizes([work]), row.constants, peak=peak, bandwidth=bandwidth)[0])


def _run_row(found: Found, device: Device) -> Evidence:
    """What a run costs besides its kernels: the shortest chains less their layer."""
    pairs = zip(found.single_s, found.layer_s, strict=True)
    shortest = sorted((s, layer) for s, layer in pairs if 0 < layer < s)[:NUM_SHORTEST]
    rests = [s - layer for s, layer in shortest]
    floor = median(rests) if rests else 1e-5
    runtime = found.combination.runtime.name
    return Evidence(
        what=f"run@{runtime}",
        rung="measured",
        scope=device.id,
        constants={"floor_s": max(floor, 1e-6)},
        spread=1.5,
        num_points=len(rests),
        source=f"fitwright calibrate, {runtime}: the {len(rests)} shortest chains",
    )

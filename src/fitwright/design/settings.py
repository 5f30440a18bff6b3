"""The settings worth trying, per backend: one visible table, defaults first.

Each row says when it applies, what it sets and why; rows that would repeat another on
this machine are dropped. The order is the order of expected gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.need import Need
from fitwright.records.plan import BackendPlan, Settings

MAX_SETTINGS = 8
MAX_INSTANCES = 16  # each is a process with its own copy of the weights
MANY_CORES = 16
BATCHES = (4, 16, 64)  # a factor apart that shows; what is between them is looked at later
BATCH_MEMORY = 0.25  # of what the device has, for the activations of a run
MAX_PARTS = 3
LONG_RUN_S = 0.25  # beside which what a run costs by itself is nothing


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the rows look at."""

    need: Need
    device: Device

    @property
    def cores(self) -> int:
        """What a backend's default uses: one thread per usable core."""
        return self.device.num_cores

    @property
    def wants_throughput(self) -> bool:
        """Several queries may be in flight, so parallel streams can pay."""
        return self.need.traffic.scenario != "single_stream" or any(
            limit.name == "throughput" for limit in self.need.limits
        )

    @property
    def wants_capacity(self) -> bool:
        """Queries come from many and are judged by their rate, so processes may share them."""
        traffic = self.need.traffic
        if traffic.scheduler != "own":
            return False  # LoadGen lives in the one process that holds the model
        if traffic.scenario == "server":
            return self.limits("throughput")
        return traffic.scenario == "offline"

    @property
    def may_batch(self) -> bool:
        """Queries are all there from the start, so several may go into one run."""
        traffic = self.need.traffic
        return traffic.scenario == "offline" and traffic.scheduler == "own"

    def limits(self, name: str) -> bool:
        """Whether the contract bounds this quantity."""
        return any(limit.name == name for limit in self.need.limits)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of settings, when it is worth trying and why."""

    why: str
    applies: Callable[[Situation], bool]
    settings: Callable[[Situation], Iterator[Settings]]


def _one(**stated: object) -> Callable[[Situation], Iterator[Settings]]:
    settings = Settings.model_validate(stated)
    return lambda _: iter([settings])


def _always(_: Situation) -> bool:
    return True


def _fewer_threads(situation: Situation) -> Iterator[Settings]:
    """Powers of two below the default, largest first; every other one on many cores."""
    step = 2 if situation.cores <= MANY_CORES else 4
    count = 1 << (situation.cores - 1).bit_length()
    while count >= step:
        count //= step
        if count < situation.cores:
            yield Settings(threads=count)


def _threads_of_quota(situation: Situation) -> Iterator[Settings]:
    yield Settings(threads=situation.cores)


def _all_hardware_threads(situation: Situation) -> Iterator[Settings]:
    yield Settings(threads=situation.device.num_threads)


def _callers(situation: Situation) -> Iterator[Settings]:
    """One single-threaded query per core, then half as many with two threads each."""
    yield Settings(threads=1, streams=situation.cores)
    if situation.cores >= 4:
        yield Settings(threads=2, streams=situation.cores // 2)


def _streams(situation: Situation) -> Iterator[Settings]:
    yield Settings(mode="throughput", streams=situation.cores)


def _instances(situation: Situation) -> Iterator[Settings]:
    """All cores in two ways: most instances, then half as many with twice the threads."""
    per_core = [t for t in (1, 2, 4, 8) if situation.cores // t <= MAX_INSTANCES]
    for threads in per_core[:2]:
        if (num := situation.cores // threads) > 1:
            yield Settings(instances=num, threads=threads)


def _roaming_instances(situation: Situation) -> Iterator[Settings]:
    """The first of them, free to move between cores."""
    yield from (s.merged(Settings(pinned=False)) for s in [next(_instances(situation))])


def _shares_cores(situation: Situation) -> bool:
    return situation.wants_capacity and situation.cores > 1


def _smt(situation: Situation) -> bool:
    return situation.device.num_threads > situation.device.num_cores


def _several_cores(situation: Situation) -> bool:
    return situation.cores > 1


def _more_than_two_cores(situation: Situation) -> bool:
    return situation.cores > 2


def _quota(situation: Situation) -> bool:
    return situation.device.cpu_quota is not None


def _has_bf16(situation: Situation) -> bool:
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(situation.device.instruction_sets))


_DEFAULTS = Row(why="the backend's own choice is the bar", applies=_always, settings=_one())
_QUOTA = Row(
    why="the container allows fewer cores than the backend sees, so its default oversubscribes",
    applies=_quota,
    settings=_threads_of_quota,
)
_INSTANCES = Row(
    why="processes share neither locks nor an allocator, and each keeps to its cores",
    applies=_shares_cores,
    settings=_instances,
)
_ROAMING = Row(
    why="where other work takes a core away, an instance that may move does not wait",
    applies=_shares_cores,
    settings=_roaming_instances,
)
_FEWER_THREADS = Row(
    why="small operators lose more at the barrier than they gain from another core",
    applies=_several_cores,
    settings=_fewer_threads,
)
_HARDWARE_THREADS = Row(
    why="hardware threads can hide memory latency",
    applies=_smt,
    settings=_all_hardware_threads,
)

SETTINGS: Mapping[str, tuple[Row, ...]] = {
    "onnxruntime": (
        _DEFAULTS,
        _QUOTA,
        Row(
            why="concurrent callers keep every core busy without waiting at barriers",
            applies=lambda s: s.wants_throughput and _several_cores(s),
            settings=_callers,
        ),
        _INSTANCES,
        _ROAMING,
        Row(
            why="peak memory is limited, and the arena keeps what it ever used",
            applies=lambda s: s.limits("peak_memory"),
            settings=_one(memory_arena=False),
        ),
        Row(
            why="energy is limited, and waiting threads burn it",
            applies=lambda s: s.limits("energy") and _several_cores(s),
            settings=_one(spinning=False),
        ),
        _FEWER_THREADS,
        _HARDWARE_THREADS,
        Row(
            why="layout changes of the highest level do not pay for every model",
            applies=_always,
            settings=_one(graph_optimization="extended"),
        ),
    ),
    "openvino": (
        _DEFAULTS,
        _QUOTA,
        Row(
            why="parallel streams raise throughput where several queries are in flight",
            applies=lambda s: s.wants_throughput and _several_cores(s),
            settings=_one(mode="throughput"),
        ),
        Row(
            why="one stream per core, where the backend's own choice is fewer",
            applies=lambda s: s.wants_throughput and _more_than_two_cores(s),
            settings=_streams,
        ),
        _INSTANCES,
        _ROAMING,
        Row(
            why="the default may compute in bfloat16 here; this keeps float32",
            applies=_has_bf16,
            settings=_one(precision="float32"),
        ),
        _FEWER_THREADS,
        _HARDWARE_THREADS,
    ),
}


def batches(situation: Situation, summary: ModelSummary) -> tuple[int, ...]:
    """How many queries to stack into one run; none where they come one by one.

    The activations of a run grow with it and must leave room for the rest; and a run that is
    long already gains nothing more.
    """
    if not (situation.may_batch and summary.is_batchable):
        return ()
    device = situation.device
    peak, room = device.peaks.get("float32"), BATCH_MEMORY * device.memory_bytes
    least_s = summary.flops / peak.value if peak is not None and peak.value else 0.0
    return tuple(
        b
        for b in BATCHES
        if b * summary.peak_activation_bytes <= room and b * least_s <= LONG_RUN_S
    )


def parts(situation: Situation, summary: ModelSummary) -> tuple[int, ...]:
    """Into how many parts to cut a query of several samples, at most MAX_PARTS ways.

    None where queries come together, for then each has its cores anyway. Most parts first think
    of cores, so the largest number is among them, and the smallest.
    """
    if situation.wants_throughput or not summary.inputs:
        return ()
    sizes = [i.shape[0] if i.shape else 1 for i in summary.inputs]
    most = min([situation.cores, *(size for size in sizes if isinstance(size, int))])
    found = [
        n
        for n in range(2, most + 1)
        if all(isinstance(size, int) and size % n == 0 for size in sizes)
    ]
    if len(found) <= MAX_PARTS:
        return tuple(found)
    return (found[0], found[len(found) // 2], found[-1])


def backend_plan(backend: str, situation: Situation) -> tuple[BackendPlan, tuple[str, ...]]:
    """The settings worth trying on one backend, and why each is there.

    A backend without a row in the table runs with its defaults.
    """
    chosen: dict[Settings, str] = {}
    left_out = 0
    for row in SETTINGS.get(backend, (_DEFAULTS,)):
        if not row.applies(situation):
            continue
        for settings in row.settings(situation):
            if settings in chosen:
                continue
            if len(chosen) == MAX_SETTINGS:
                left_out += 1
                continue
            chosen[settings] = row.why
    notes = [f"{backend} ({s.describe()}): {why}" for s, why in chosen.items()]
    if left_out:
        notes.append(f"{backend}: {left_out} more settings left out, {MAX_SETTINGS} are tried")
    return BackendPlan(backend=backend, settings=tuple(chosen)), tuple(notes)

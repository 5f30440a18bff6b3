"""Several processes that hold the same model, as one worker.

Each instance has its own copy of the weights and, unless asked otherwise, cores of its own.
Under a closed loop the callers are divided among the instances; under an open one every
arrival goes to the first caller that is free, whichever process it is in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, TypeVar, final

from fitwright.errors import PlanError, TrialFailed
from fitwright.executors import turns
from fitwright.executors.cores import dealt, num_physical, shares, usable_cores
from fitwright.ports import (
    Array,
    ChildLimits,
    LoadBlock,
    LoadGenLoad,
    Runtime,
    Tensors,
    Worker,
)
from fitwright.records.plan import Settings

LEAD_S = 0.02  # for a request to reach every process before they begin together

T = TypeVar("T")


class Instance(Worker, Protocol):
    """One child of several; its parts of a load begin at a given moment."""

    @property
    def concurrency(self) -> int:
        """How many queries in flight its session is made for."""
        ...

    def feed_shared(self, memory: int, tensors: Any) -> None:
        """Take queries that lie in shared memory already; the descriptor is used up."""
        ...

    def closed_part(self, *, seconds: float, concurrency: int, begin_at: float) -> LoadBlock:
        """Its part of a closed loop."""
        ...

    def open_part(
        self, reading_end: int, *, concurrency: int, arrivals_s: Sequence[float], begin_at: float
    ) -> LoadBlock:
        """Its part of an open loop; the descriptor is used up."""
        ...


class OpenOne(Protocol):
    """Starts one instance, kept to these cores if there are any."""

    def __call__(
        self,
        runtime: Runtime,
        model: Path,
        settings: Settings,
        *,
        limits: ChildLimits,
        cores: Sequence[int],
    ) -> Instance: ...


def open_instances(
    open_one: OpenOne,
    runtime: Runtime,
    model: Path,
    settings: Settings,
    *,
    limits: ChildLimits,
    cores: Sequence[int] | None = None,
) -> Worker:
    """As many instances as the settings state, started side by side.

    They share the limit on memory in equal parts; each may take all of the time.

    Args:
        cores: that they may use together, and no others; all usable ones by default.

    Raises:
        PlanError: more pinned instances than cores.
        TrialFailed: one of them could not be opened; no process is left.
    """
    num, usable = settings.instances, tuple(usable_cores() if cores is None else cores)
    places = core_sets(usable, settings)
    if not any(places) and cores is not None and set(cores) != set(usable_cores()):
        places = (usable,) * num  # free to move, within what they were given
    one = settings.model_copy(
        update={
            "instances": 1,
            "threads": threads_of_each(usable, settings),
            "pinned": None if len(set(places)) == num and any(places) else False,
        }
    )
    part = ChildLimits(
        wall_s=limits.wall_s,
        memory_bytes=limits.memory_bytes // num,
        output_bytes=limits.output_bytes,
    )
    with _side_by_side(num) as pool:
        opening = [
            pool.submit(open_one, runtime, model, one, limits=part, cores=place) for place in places
        ]
        opened = _opened(opening)
    return Instances(opened, places)


def core_sets(usable: Sequence[int], settings: Settings) -> tuple[tuple[int, ...], ...]:
    """The cores of each instance; empty where it may run on any.

    Raises:
        PlanError: `pinned` is stated and there are fewer cores than instances.
    """
    num = settings.instances
    if len(usable) >= num and settings.pinned is not False:
        return dealt(usable, num)
    if settings.pinned:
        raise PlanError(
            f"every pinned instance needs a core of its own; {num} were asked for and "
            f"{len(usable)} can be used",
            code="FW333",
            remedy=f"Ask for at most {max(1, len(usable))} instances, or set pinned=False.",
        )
    return ((),) * num


def threads_of_each(usable: Sequence[int], settings: Settings) -> int | None:
    """Threads of each instance: as stated, else an equal part of the physical cores.

    Stated to the backend in any case: left to itself it would start a thread for every core
    of the machine and tie it to that core.
    """
    if settings.threads is not None or not usable:
        return settings.threads
    return max(1, num_physical(usable) // settings.instances)


def _opened(opening: Sequence[Future[Instance]]) -> list[Instance]:
    """All instances; when one could not be opened the others end."""
    failures = [f.exception() for f in opening]
    opened = [f.result() for f, failure in zip(opening, failures, strict=True) if failure is None]
    for number, failure in enumerate(failures):
        if failure is not None:
            for instance in opened:
                instance.close()
            raise _named(failure, number, len(opening))
    return opened


def _named(error: BaseException, number: int, num: int) -> BaseException:
    """A failure with the number of its instance; anything else as it is."""
    if not isinstance(error, TrialFailed) or num == 1:
        return error
    which = f"instance {number + 1} of {num}"
    return TrialFailed(
        f"{which}: {error.rule}",
        code=error.code,
        remedy=error.remedy,
        cause=error.cause,
        detail=f"{which}: {error.detail}",
    )


@contextmanager
def _side_by_side(num: int) -> Iterator[ThreadPoolExecutor]:
    """A thread for each instance; an interrupt does not wait for them."""
    pool = ThreadPoolExecutor(num, thread_name_prefix="fitwright-instance")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@final
class Instances:
    """One worker made of several; see `ports.Worker`."""

    def __init__(self, instances: Sequence[Instance], places: Sequence[Sequence[int]]) -> None:
        self._instances = tuple(instances)
        self._places = tuple(map(tuple, places))
        self._next = 0
        self._death: TrialFailed | None = None

    @property
    def load_s(self) -> float:
        """Of the slowest: they load side by side."""
        return max(one.load_s for one in self._instances)

    @property
    def concurrency(self) -> int:
        """How many queries in flight all sessions are made for."""
        return sum(one.concurrency for one in self._instances)

    @property
    def facts(self) -> Mapping[str, str]:
        """Those of the first instance, and how many there are, on which cores."""
        places = dict.fromkeys(self._places)  # one for all of them, or one for each
        cores = " | ".join(",".join(map(str, place)) for place in places if place)
        facts = {**self._instances[0].facts, "cores": cores or "any"}
        if len(self._instances) > 1:
            facts |= {
                "instances": str(len(self._instances)),
                "concurrency": str(self.concurrency),
                "weights": "a copy in each instance",
            }
        return facts

    def feed(self, inputs: Tensors) -> None:
        """Hand over the same queries to all, in the same shared memory."""
        from fitwright.executors import shared

        memory, tensors = shared.packed(inputs)
        try:
            self._all(lambda one: one.feed_shared(os.dup(memory), tensors))
        finally:
            os.close(memory)

    def outputs(self) -> dict[str, Array]:
        """Of the first instance: all hold the same file with the same settings."""
        return self._one(0, lambda one: one.outputs())

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """One query at a time, the others idle; every block on the next instance."""
        self._next = (self._next + 1) % len(self._instances)
        return self._one(self._next, lambda one: one.time_block(seconds=seconds, min_runs=min_runs))

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> LoadBlock:
        """Run queries under load; latencies and the elapsed time, seconds.

        The elapsed time of a closed loop is the mean over all callers, as in each part.
        """
        self._check_alive()
        callers = [n for n in shares(concurrency, len(self._instances)) if n]
        if len(arrivals_s):
            return self._open_loop(callers, sorted(arrivals_s))
        begin_at = time.perf_counter() + LEAD_S

        def part(number: int, one: Instance) -> LoadBlock:
            return one.closed_part(seconds=seconds, concurrency=callers[number], begin_at=begin_at)

        parts = self._each(len(callers), part)
        latencies_s = [s for latencies, _ in parts for s in latencies]
        return latencies_s, fmean((elapsed for _, elapsed in parts), weights=callers)

    def _open_loop(self, callers: Sequence[int], arrivals_s: Sequence[float]) -> LoadBlock:
        reading_end, writing_end = turns.pipe()
        reading_ends = [os.dup(reading_end) for _ in callers]
        os.close(reading_end)
        begin_at = time.perf_counter() + LEAD_S

        def part(number: int, one: Instance) -> LoadBlock:
            return one.open_part(
                reading_ends[number],
                concurrency=callers[number],
                arrivals_s=arrivals_s,
                begin_at=begin_at,
            )

        parts = self._each(
            len(callers), part, meanwhile=lambda: turns.fill(writing_end, len(arrivals_s))
        )
        return [s for latencies, _ in parts for s in latencies], max(end for _, end in parts)

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Of a single instance only."""
        return self._only("bursts").burst_block(seconds=seconds, size=size)

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Of a single instance only."""
        return self._only("LoadGen").loadgen_block(load)

    def peak_memory_bytes(self) -> int:
        """Sum over the instances; pages of libraries that they share count in each."""
        return sum(self._all(lambda one: one.peak_memory_bytes()))

    def busy_s(self) -> float:
        """CPU time of all instances so far, seconds."""
        return sum(self._all(lambda one: one.busy_s()))

    def close(self) -> None:
        """End all children; never raises, leaves no process behind."""
        for one in self._instances:
            one.close()

    # --- inside ----------------------------------------------------------------------

    def _only(self, load: str) -> Instance:
        if len(self._instances) == 1:
            return self._instances[0]
        raise PlanError(
            f"{load} come from within one process, and {len(self._instances)} hold the model",
            code="FW334",
            remedy="Use instances=1, or Fitwright's own closed or open loop.",
        )

    def _all(self, ask: Callable[[Instance], T]) -> list[T]:
        return self._each(len(self._instances), lambda _, one: ask(one))

    def _one(self, number: int, ask: Callable[[Instance], T]) -> T:
        self._check_alive()
        try:
            return ask(self._instances[number])
        except TrialFailed as error:
            raise self._failed(error, number) from error

    def _each(
        self,
        num: int,
        ask: Callable[[int, Instance], T],
        *,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[T]:
        """The answers of the first `num` instances, asked at once."""
        self._check_alive()
        with _side_by_side(num) as pool:
            asked = [pool.submit(ask, n, one) for n, one in enumerate(self._instances[:num])]
            try:
                meanwhile()
                failures = [f.exception() for f in asked]
            except KeyboardInterrupt:  # answers would be taken for those of the next request
                self.close()
                raise
        for number, failure in enumerate(failures):
            if isinstance(failure, TrialFailed):
                raise self._failed(failure, number) from failure
            if failure is not None:
                raise failure
        return [f.result() for f in asked]

    def _check_alive(self) -> None:
        if self._death is not None:
            raise self._death

    def _failed(self, error: TrialFailed, number: int) -> TrialFailed:
        """One that is dead ends the others: what is left would be another candidate."""
        named = _named(error, number, len(self._instances))
        assert isinstance(named, TrialFailed), "named as it came"
        if error.cause != "raised":
            self._death = named
            self.close()
        return named

"""Several children as one worker: who gets what, and what happens when one fails."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import DataError, PlanError, TrialFailed
from fitwright.executors import turns
from fitwright.executors.cores import usable_cores
from fitwright.executors.instances import core_sets, open_instances, threads_of_each
from fitwright.ports import ChildLimits, LoadBlock, LoadGenLoad, Worker
from fitwright.records.plan import Settings
from fitwright.testing.fakes import FakeWorker


@dataclass(kw_only=True)
class FakeInstance(FakeWorker):
    """Remembers its cores and the parts of a load that it got."""

    settings: Settings = field(default_factory=Settings)
    limits: ChildLimits = field(default_factory=ChildLimits)
    cores: Sequence[int] = ()
    parts: list[int] = field(default_factory=list)
    concurrency: int = 2

    def feed_shared(self, memory: int, tensors: Any) -> None:
        os.close(memory)
        self.feed({"x": np.zeros((tensors[0].num_queries, 1))})

    def closed_part(self, *, seconds: float, concurrency: int, begin_at: float) -> LoadBlock:
        del begin_at
        self._request()
        self.parts.append(concurrency)
        return [1e-3] * concurrency, seconds

    def open_part(
        self, reading_end: int, *, concurrency: int, arrivals_s: Sequence[float], begin_at: float
    ) -> LoadBlock:
        del begin_at
        self._request()
        self.parts.append(concurrency)
        take, served = turns.taker(reading_end), list[float]()
        while (number := take()) is not None:
            served.append(arrivals_s[number])
        os.close(reading_end)
        return served, max(served, default=0.0)


@dataclass
class Opener:
    """Opens fakes; those of `failing` raise instead."""

    failing: Sequence[int] = ()
    dying: Sequence[int] = ()
    cause: str = "crashed"
    opened: list[FakeInstance] = field(default_factory=list)

    def __call__(
        self,
        runtime: Any,
        model: Path,
        settings: Settings,
        *,
        limits: ChildLimits,
        cores: Sequence[int],
    ) -> FakeInstance:
        number = cores[0] if cores else len(self.opened)
        if number in self.failing:
            raise TrialFailed("no memory", cause="memory", detail="no memory")
        one = FakeInstance(settings=settings, limits=limits, cores=cores, cause=self.cause)
        one.fails_at = 0 if number in self.dying else None
        self.opened.append(one)
        return one


def opened(opener: Opener, settings: Settings, *, cores: Sequence[int] = range(4)) -> Worker:
    return open_instances(
        opener,
        OnnxRuntime(),
        Path("m.onnx"),
        settings,
        limits=ChildLimits(memory_bytes=1000),
        cores=cores,
    )


def test_each_gets_its_cores_threads_and_part_of_the_memory() -> None:
    opener = Opener()
    worker = opened(opener, Settings(instances=2))
    assert sorted(one.cores for one in opener.opened) == [(0, 1), (2, 3)]
    for one in opener.opened:
        assert (one.settings.instances, one.settings.threads) == (1, 2)
        assert one.limits.memory_bytes == 500
    assert worker.facts["cores"] == "0,1 | 2,3"
    assert (worker.facts["instances"], worker.facts["concurrency"]) == ("2", "4")


def test_unpinned_instances_share_all_cores_and_say_so_to_the_backend() -> None:
    opener = Opener()
    worker = opened(opener, Settings(instances=2, pinned=False), cores=usable_cores())
    assert [one.cores for one in opener.opened] == [(), ()]
    assert [o.settings.pinned for o in opener.opened] == [False, False]
    assert worker.facts["cores"] == "any"


def test_unpinned_instances_do_not_leave_the_cores_they_were_given() -> None:
    opener = Opener()
    given = [*usable_cores(), 10_000]  # certainly not all that this process may use
    worker = opened(opener, Settings(instances=2, pinned=False), cores=given)
    assert [one.cores for one in opener.opened] == [tuple(given)] * 2
    assert [o.settings.pinned for o in opener.opened] == [False, False]
    assert worker.facts["cores"] == ",".join(map(str, given))


def test_more_instances_than_cores_are_not_pinned_unless_that_is_asked() -> None:
    assert core_sets(range(2), Settings(instances=3)) == ((), (), ())
    with pytest.raises(PlanError) as caught:
        core_sets(range(2), Settings(instances=3, pinned=True))
    assert caught.value.code == "FW333"


def test_stated_threads_are_kept_and_others_divide_the_cores() -> None:
    assert threads_of_each(range(4), Settings(instances=2, threads=3)) == 3
    assert threads_of_each((), Settings(instances=2)) is None


@pytest.mark.parametrize(("callers", "parts"), [(4, [2, 2]), (3, [2, 1]), (1, [1])])
@pytest.mark.parametrize("arrivals_s", [(), tuple(0.01 * i for i in range(100))])
def test_callers_are_divided_among_the_instances(
    callers: int, parts: list[int], arrivals_s: tuple[float, ...]
) -> None:
    opener = Opener()
    worker = opened(opener, Settings(instances=2))
    latencies_s, _ = worker.load_block(seconds=1.0, concurrency=callers, arrivals_s=arrivals_s)
    assert sorted((n for o in opener.opened for n in o.parts), reverse=True) == parts
    if arrivals_s:
        assert sorted(latencies_s) == list(arrivals_s)  # each served once, by one of them
    else:
        assert len(latencies_s) == callers


def test_memory_and_busy_time_are_sums() -> None:
    worker = opened(Opener(), Settings(instances=4))
    worker.feed({"x": np.zeros((3, 1))})
    worker.time_block(seconds=0.0, min_runs=5)
    assert worker.peak_memory_bytes() == 4 * (64 << 20)
    assert worker.busy_s() == pytest.approx(5e-3)  # five runs of a millisecond in all


def test_single_queries_visit_the_instances_in_turn() -> None:
    opener = Opener()
    worker = opened(opener, Settings(instances=2))
    for _ in range(4):
        worker.time_block(seconds=0.0)
    assert [one.busy_s() for one in opener.opened] == [2e-3, 2e-3]


def test_when_one_cannot_be_opened_the_others_end() -> None:
    opener = Opener(failing=[2])
    with pytest.raises(TrialFailed, match="instance 2 of 2") as caught:
        opened(opener, Settings(instances=2))
    assert caught.value.cause == "memory"
    assert [one.closed for one in opener.opened] == [True]


@pytest.mark.parametrize("arrivals_s", [(), (0.0, 0.1)])
def test_one_that_dies_ends_the_others_and_leaves_its_cause(arrivals_s: tuple[float, ...]) -> None:
    opener = Opener(dying=[2])
    worker = opened(opener, Settings(instances=2))
    for _ in range(2):  # and again whenever it is asked
        with pytest.raises(TrialFailed, match="instance 2 of 2") as caught:
            worker.load_block(seconds=0.1, concurrency=2, arrivals_s=arrivals_s)
        assert caught.value.cause == "crashed"
    assert all(one.closed for one in opener.opened)


def test_an_error_of_the_model_leaves_all_usable() -> None:
    opener = Opener()
    worker = opened(opener, Settings(instances=2))
    with pytest.raises(DataError):
        worker.feed({})
    worker.feed({"x": np.zeros((3, 1))})
    assert len(worker.load_block(seconds=0.1, concurrency=2)[0]) == 2


def test_traffic_from_within_one_process_is_refused_for_several() -> None:
    worker = opened(Opener(), Settings(instances=2))
    with pytest.raises(PlanError) as caught:
        worker.burst_block(seconds=0.1, size=2)
    assert caught.value.code == "FW334"
    with pytest.raises(PlanError):
        worker.loadgen_block(LoadGenLoad(scenario="offline", seconds=0.1))
    pinned = opened(Opener(), Settings(pinned=True))
    assert len(pinned.burst_block(seconds=0.0, size=2)[0]) == 1

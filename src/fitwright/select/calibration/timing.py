"""Timing of many small models in one child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from fitwright.errors import TrialFailed, one_line
from fitwright.ports import Array, Runtime, Session
from fitwright.records.plan import Settings

TOGETHER: Mapping[str, int] = {"openvino": 40}
"""Sessions of a backend that live at the same time, in turn; of others one at a time: ONNX
Runtime gives each session its own threads, which go on spinning for 50 ms after a run, so that
another session's runs look two to three times as long."""
NUM_ROUNDS = 6
LATE = 3.0  # so many budgets after the start what has no figure yet stays without
ROUND_S = 0.006  # of one model in one round; a longer run counts once
MOST_REPEATS = 5
OTHER_BYTES = 6 << 20  # more than a core's own caches hold
QUANTILE = 0.1  # neighbours only ever add to a time


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One model to time: its file and the shapes of its inputs."""

    model: Path
    inputs: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Times:
    """What the child found.

    Attributes:
        seconds: fastest tenth of the runs of each model; nan where the backend refused it.
        refused: why, each reason once.
        cpu_share: CPU time used over time asked for on all threads; below 1 others were at
            work, or the models keep no more threads busy.
    """

    seconds: tuple[float, ...]
    cpu_share: float
    refused: tuple[str, ...] = ()


def time_models(
    runtime: Runtime,
    models: Sequence[Timed],
    settings: Settings,
    *,
    num_threads: int,
    budget_s: float,
) -> Times:
    """A typical run of each model: rounds over the sessions alive, each some runs long.

    Args:
        runtime: the backend.
        models: written already; each file is removed when it is loaded.
        settings: for all of them.
        num_threads: that the settings ask for.
        budget_s: for loading and timing: then every model has one figure, and no more come.
    """
    begin_s, used_s = perf_counter(), process_time()
    refused: list[str] = []
    found: list[list[float]] = []
    caches = Caches(num_threads)
    together = TOGETHER.get(runtime.name, 1)
    for first in range(0, len(models), together):
        some = models[first : first + together]
        until_s = begin_s + budget_s * (first + len(some)) / len(models)
        sessions = [_opened(runtime, m.model, settings, refused) for m in some]
        limits = (until_s, begin_s + LATE * budget_s)
        found += _rounds(sessions, some, caches, limits_s=limits)
        del sessions
    caches.close()
    asked_s = (perf_counter() - begin_s) * num_threads
    return Times(
        seconds=tuple(float(np.quantile(t, QUANTILE)) if t else float("nan") for t in found),
        cpu_share=min(1.0, (process_time() - used_s) / asked_s),
        refused=tuple(dict.fromkeys(refused)),
    )


def fastest(passes: Sequence[Times]) -> Times:
    """Several passes over the same models: of each the fastest, for neighbours only add."""
    seconds = np.fmin.reduce([t.seconds for t in passes])
    return Times(
        seconds=tuple(float(s) for s in seconds),
        cpu_share=max(t.cpu_share for t in passes),
        refused=tuple(dict.fromkeys(why for t in passes for why in t.refused)),
    )


class Caches:
    """The cores' own caches, to be filled with something else before each run.

    In a model a layer's weights were last read a whole run ago, so they come from further
    away than in a short chain that is run again and again.
    """

    def __init__(self, num_threads: int) -> None:
        self._pool = ThreadPoolExecutor(num_threads)
        self._arrays = [np.zeros(OTHER_BYTES // 4, np.float32) for _ in range(num_threads)]

    def spoil(self) -> None:
        """Write over an array of its own on every core."""
        list(self._pool.map(lambda a: np.add(a, 1, out=a), self._arrays))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _rounds(
    sessions: Sequence[Session | None],
    models: Sequence[Timed],
    caches: Caches,
    *,
    limits_s: tuple[float, float],
) -> list[list[float]]:
    """Times of each session, in turn.

    Args:
        limits_s: moments after which no second figure comes, and none at all.
    """
    until_s, never_s = limits_s
    feeds = [_values(m.inputs) for m in models]
    found: list[list[float]] = [[] for _ in models]
    for _ in range(NUM_ROUNDS):
        for session, feed, times in zip(sessions, feeds, found, strict=True):
            if session is not None and perf_counter() < (until_s if times else never_s):
                times += _timed(session, feed, times, caches)
    return found


def _opened(
    runtime: Runtime, model: Path, settings: Settings, refused: list[str]
) -> Session | None:
    """Compiled, or why not; the file is not needed afterwards."""
    try:
        return runtime.load(model, settings)
    except TrialFailed as failure:
        refused.append(one_line(failure.rule))
        return None
    finally:
        model.unlink()


def _values(inputs: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    draw = np.random.default_rng(1)
    return {n: draw.standard_normal(s).astype(np.float32) for n, s in inputs.items()}


def _timed(
    session: Session, feed: dict[str, Array], before: Sequence[float], caches: Caches
) -> list[float]:
    """Some runs, each after the caches were spoiled; the first of all is not counted."""
    if not before:
        session.run(feed)
    count = 1 if not before else max(1, min(MOST_REPEATS, int(ROUND_S / min(before))))
    times = []
    for _ in range(count):
        caches.spoil()
        begin = perf_counter()
        session.run(feed)
        times.append(perf_counter() - begin)
    return times

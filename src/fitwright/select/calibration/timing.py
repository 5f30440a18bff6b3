"""Timing of many small models in one child."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from fitwright.errors import TrialFailed, one_line
from fitwright.ports import Array, Runtime, Session
from fitwright.records.plan import Settings

TOGETHER: Mapping[str, int] = {"openvino": 100}
"""Sessions of a backend that live at the same time, in turn; of others one at a time: ONNX
Runtime gives each session its own threads, which go on spinning for 50 ms after a run, so that
another session's runs look two to three times as long."""
NUM_ROUNDS = 6
LEAST_SHARE = 0.25  # of the budget that is left to timing, however long loading took
LATE = 3.0  # so many budgets after the start what has no figure yet stays without
DISTURBED = 1.25  # times the gauge's fastest tenth: a neighbour is at work on the same units
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
        gauge_s: what the gauge took beside each model; 0 without a gauge.
    """

    seconds: tuple[float, ...]
    cpu_share: float
    gauge_s: tuple[float, ...]
    refused: tuple[str, ...] = ()


def time_models(
    runtime: Runtime,
    models: Sequence[Timed],
    settings: Settings,
    *,
    num_threads: int,
    budget_s: float,
    gauge: Timed | None = None,
) -> Times:
    """A typical run of each model: rounds over the sessions alive, each some runs long.

    Args:
        runtime: the backend.
        models: written already; each file is removed when it is loaded.
        settings: for all of them.
        num_threads: that the settings ask for.
        gauge: a model that is timed before every turn of another: matrix units that a
            neighbour uses too run at half of their rate for seconds on end.
        budget_s: for loading and timing, `LEAST_SHARE` of it for timing: then every model has
            one figure, and no more come.
    """
    begin_s, used_s = perf_counter(), process_time()
    refused: list[str] = []
    found: list[list[Turn]] = []
    caches = Caches(num_threads)
    watch = Gauge.opened(runtime, gauge, settings)
    together = TOGETHER.get(runtime.name, 1)
    for first in range(0, len(models), together):
        some = models[first : first + together]
        share_s = budget_s / len(models)
        sessions = [_opened(runtime, m.model, settings, refused) for m in some]
        least_s = perf_counter() + LEAST_SHARE * share_s * len(some)
        until_s = max(begin_s + share_s * (first + len(some)), least_s)
        limits = until_s, begin_s + LATE * budget_s
        found += _rounds(sessions, some, caches, watch, limits_s=limits)
        del sessions
    caches.close()
    asked_s = (perf_counter() - begin_s) * num_threads
    kept = [undisturbed(turns, watch) for turns in found]
    return Times(
        seconds=tuple(_fastest_tenth(turns) for turns in kept),
        gauge_s=tuple(median(t.gauge_s for t in turns) if turns else 0.0 for turns in kept),
        cpu_share=min(1.0, (process_time() - used_s) / asked_s),
        refused=tuple(dict.fromkeys(refused)),
    )


def fastest(passes: Sequence[Times]) -> Times:
    """Several passes over the same models: of each the fastest, for neighbours only add."""
    seconds = np.array([t.seconds for t in passes])
    best = np.argmin(np.where(np.isnan(seconds), np.inf, seconds), axis=0)
    return Times(
        seconds=tuple(float(s) for s in np.fmin.reduce(seconds)),
        cpu_share=max(t.cpu_share for t in passes),
        gauge_s=tuple(passes[which].gauge_s[i] for i, which in enumerate(best)),
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


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Some runs of a model, seconds each, and what the gauge said just before them."""

    seconds: tuple[float, ...]
    gauge_s: float


class Gauge:
    """A model whose time tells whether neighbours leave this machine's units alone."""

    def __init__(self, session: Session | None, feed: dict[str, Array]) -> None:
        self._session, self._feed = session, feed
        self._seen_s: list[float] = []

    @classmethod
    def opened(cls, runtime: Runtime, model: Timed | None, settings: Settings) -> Gauge:
        """One that finds nothing disturbed where there is no model."""
        if model is None:
            return cls(None, {})
        return cls(_opened(runtime, model.model, settings, []), _values(model.inputs))

    def read(self) -> float:
        """Seconds of a run; the one before it fetches the weights."""
        if self._session is None:
            return 0.0
        self._session.run(self._feed)
        begin = perf_counter()
        self._session.run(self._feed)
        took_s = perf_counter() - begin
        insort(self._seen_s, took_s)
        return took_s

    def is_quiet(self, gauge_s: float) -> bool:
        """Whether such a run was about as fast as the fastest tenth so far."""
        if self._session is None:
            return True
        return gauge_s <= DISTURBED * self._seen_s[int(QUANTILE * len(self._seen_s))]


def _rounds(
    sessions: Sequence[Session | None],
    models: Sequence[Timed],
    caches: Caches,
    gauge: Gauge,
    *,
    limits_s: tuple[float, float],
) -> list[list[Turn]]:
    """Turns of each session, in turn.

    Args:
        limits_s: moments after which no second figure comes, and none at all.
    """
    until_s, never_s = limits_s
    feeds = [_values(m.inputs) for m in models]
    found: list[list[Turn]] = [[] for _ in models]
    for _ in range(NUM_ROUNDS):
        for session, feed, turns in zip(sessions, feeds, found, strict=True):
            if session is not None and perf_counter() < (until_s if turns else never_s):
                gauge_s = gauge.read()
                runs = _timed(session, feed, [s for t in turns for s in t.seconds], caches)
                turns.append(Turn(seconds=tuple(runs), gauge_s=gauge_s))
    return found


def undisturbed(turns: Sequence[Turn], gauge: Gauge) -> Sequence[Turn]:
    """All of them where a neighbour was at work in each."""
    return [t for t in turns if gauge.is_quiet(t.gauge_s)] or turns


def _fastest_tenth(turns: Sequence[Turn]) -> float:
    """Of the runs; nan where there are none."""
    runs = [s for turn in turns for s in turn.seconds]
    return float(np.quantile(runs, QUANTILE)) if runs else float("nan")


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
    """Some runs, each after the cores' own caches were spoiled.

    The first is not counted: since this session's last turn its weights have left the cache
    that all cores share, in which a model that serves query after query finds them.
    """
    session.run(feed)
    count = 1 if not before else max(1, min(MOST_REPEATS, int(ROUND_S / min(before))))
    times = []
    for _ in range(count):
        caches.spoil()
        begin = perf_counter()
        session.run(feed)
        times.append(perf_counter() - begin)
    return times

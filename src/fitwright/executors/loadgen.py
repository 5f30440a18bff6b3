"""Load from MLCommons LoadGen, inside the child that holds the model.

LoadGen draws the queries, keeps the clock and counts the latencies; this file answers its
callbacks and reads its trace. Its demands for a valid submission (minutes, and hundreds of
thousands of queries) are lowered, since a block is one of many: the intervals over the
blocks say what is known, not LoadGen's own verdict.

Source: https://github.com/mlcommons/inference/tree/master/loadgen
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from typing import Any

from fitwright.errors import BackendMissing, TrialFailed
from fitwright.executors import timing
from fitwright.ports import LoadBlock, LoadGenLoad, Tensors

MODULE = "mlperf_loadgen"
SCENARIOS = {
    "single_stream": "SingleStream",
    "multi_stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}
FASTER = 4  # than the probe: a stream that runs out of drawn queries would end its block early
PROBE_SHARE, MIN_ROUNDS, ROUND = 0.02, 2, 4
OFFLINE_MARGIN = 1.1  # by which LoadGen itself raises the number of samples it expects
UNLIMITED_NS = 10**15  # no latency ends a block; bench judges latencies

Run = Callable[[Tensors], object]


def check_loadgen() -> None:
    """Whether LoadGen can be used; looks for the package and does not import it.

    Raises:
        BackendMissing: it is not installed.
    """
    if util.find_spec(MODULE) is None:
        raise _missing()


def _missing() -> BackendMissing:
    return BackendMissing(
        "traffic by LoadGen needs the package 'mlcommons-loadgen', which is not installed",
        code="FW302",
        remedy='Run `pip install "fitwright[loadgen]"`, or leave traffic.scheduler at `own`.',
    )


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One sample of LoadGen's trace: a query of ours.

    Attributes:
        query: number of the query of LoadGen's that it belongs to.
        begin_s: when it was due, since some fixed moment.
        latency_s: from then to its answer.
    """

    query: int
    begin_s: float
    latency_s: float


def block(run: Run, queries: Sequence[Tensors], *, load: LoadGenLoad) -> LoadBlock:
    """One block of LoadGen's traffic; latencies as LoadGen counts them, and the elapsed time.

    A latency is that of a whole burst in multi_stream, of one query elsewhere; in offline
    it counts from the beginning, when all queries are sent.

    Args:
        run: one query; must not raise, since LoadGen is native code.

    Raises:
        BackendMissing: LoadGen is not installed.
        TrialFailed: it sent nothing.
    """
    loadgen = _imported()
    probe_s = _probe_s(run, queries, load)
    with (
        tempfile.TemporaryDirectory(prefix="fitwright-loadgen-") as folder,
        timing.no_collection(),
        timing.prompt_switches(),
        _answering(loadgen, run, queries, callers=load.concurrency) as (sut, library),
    ):
        loadgen.StartTestWithLogSettings(
            sut,
            library,
            settings_for(loadgen, load, probe_s=probe_s),
            _logs(loadgen, folder),
            str(Path(folder) / "no-audit.config"),  # one in the working folder would be read
        )
        trace = (Path(folder) / "mlperf_log_trace.json").read_text()
    return summed_up(list(sent(trace)), scenario=load.scenario)


def _imported() -> Any:
    try:
        import mlperf_loadgen  # type: ignore[import-not-found]
    except ImportError as error:
        raise _missing() from error
    return mlperf_loadgen


def _probe_s(run: Run, queries: Sequence[Tensors], load: LoadGenLoad) -> float:
    """Time per query of the fastest of some rounds: LoadGen draws its queries in advance."""
    callers = load.concurrency if load.scenario == "offline" else 1
    end, rounds_s = time.perf_counter() + PROBE_SHARE * load.seconds, list[float]()
    with ThreadPoolExecutor(callers) as pool:
        while len(rounds_s) < MIN_ROUNDS or time.perf_counter() < end:
            begin = time.perf_counter()
            list(pool.map(run, [queries[i % len(queries)] for i in range(ROUND * callers)]))
            rounds_s.append(time.perf_counter() - begin)
    return max(1e-6, min(rounds_s) / (ROUND * callers))


def settings_for(loadgen: Any, load: LoadGenLoad, *, probe_s: float) -> Any:
    """LoadGen's settings for one short block."""
    settings = loadgen.TestSettings()
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.scenario = getattr(loadgen.TestScenario, SCENARIOS[load.scenario])
    settings.min_duration_ms = max(1, round(load.seconds * 1e3))
    settings.min_query_count = 1
    expected_ns = max(1, round(probe_s * 1e9 / FASTER))
    settings.single_stream_expected_latency_ns = expected_ns
    settings.multi_stream_expected_latency_ns = expected_ns
    settings.multi_stream_samples_per_query = load.streams
    settings.offline_expected_qps = 1 / (probe_s * OFFLINE_MARGIN)
    if load.rate_per_s is not None:
        settings.server_target_qps = load.rate_per_s
    settings.server_target_latency_ns = UNLIMITED_NS
    for seed in ("schedule_rng_seed", "sample_index_rng_seed", "qsl_rng_seed"):
        setattr(settings, seed, load.seed)
    return settings


def _logs(loadgen: Any, folder: str) -> Any:
    logs = loadgen.LogSettings()
    logs.log_output.outdir = folder
    logs.log_output.copy_summary_to_stdout = False
    logs.enable_trace = True
    return logs


@contextmanager
def _answering(
    loadgen: Any, run: Run, queries: Sequence[Tensors], *, callers: int
) -> Iterator[tuple[int, int]]:
    """The system under test and its library of samples, as LoadGen calls them."""

    def answered(sample_id: int, _done: Future[object] | None = None) -> None:
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample_id, 0, 0)])

    def at_once(samples: Sequence[Any]) -> None:
        for sample in samples:
            run(queries[sample.index])
            answered(sample.id)

    def by_callers(samples: Sequence[Any]) -> None:
        for sample in samples:
            done = pool.submit(run, queries[sample.index])
            done.add_done_callback(partial(answered, sample.id))

    def nothing(*_: object) -> None:
        """Queries are in memory, and nothing is held back that could be flushed."""

    with ThreadPoolExecutor(callers) as pool:
        sut = loadgen.ConstructSUT(at_once if callers == 1 else by_callers, nothing)
        library = loadgen.ConstructQSL(len(queries), len(queries), nothing, nothing)
        try:
            yield sut, library
        finally:
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(sut)


def sent(trace: str) -> Iterator[Sent]:
    """The samples of a trace: one event begins and one ends each, microseconds since a start."""
    for line in trace.splitlines():
        if not line.startswith('{"name":"Sample"'):
            continue
        event = json.loads(line.rstrip(","))
        if event["ph"] == "b":
            yield Sent(
                query=event["args"]["query_seq"],
                begin_s=event["ts"] * 1e-6,
                latency_s=event["args"]["complete_ns"] * 1e-9,
            )


def summed_up(samples: Sequence[Sent], *, scenario: str) -> LoadBlock:
    """Latencies by query of LoadGen's in multi_stream, by sample elsewhere; elapsed time.

    Raises:
        TrialFailed: there is none.
    """
    if not samples:
        raise TrialFailed("LoadGen sent no query", detail="LoadGen's trace holds no sample")
    begin_s = min(s.begin_s for s in samples)
    elapsed_s = max(s.begin_s + s.latency_s for s in samples) - begin_s
    if scenario != "multi_stream":
        return [s.latency_s for s in samples], elapsed_s
    slowest: dict[int, float] = {}
    for s in samples:
        slowest[s.query] = max(s.latency_s, slowest.get(s.query, 0.0))
    return list(slowest.values()), elapsed_s

"""What runs inside a child: it answers requests until its parent is gone.

A request is ``(verb, arguments)``; a reply is ``("ok", value)``, ``("error", FitwrightError)``
or ``("failed", cause, detail)``. Tensors travel apart, through shared memory.
"""

from __future__ import annotations

import errno
import os
import pickle
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fitwright.errors import FitwrightError, PlanError, StorageError, TrialFailed
from fitwright.executors import resident, tree
from fitwright.ports import Array, LoadBlock, Runtime, Session, Tensors
from fitwright.records.plan import Settings

if TYPE_CHECKING:
    from fitwright.executors.pages import InUse

Reply = tuple[object, int | None]
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class ChildTerms:
    """How a child starts: what its parent's world is now, and what it may use.

    Attributes:
        import_s: time that importing the framework took where it was done ahead, seconds.
        pages: of libraries, that were in use there; see `pages`.
    """

    environment: Mapping[str, str]
    folder: str
    import_path: tuple[str, ...]
    parent_pid: int
    memory_bytes: int
    output_bytes: int
    import_s: float = 0.0
    pages: InUse | None = None


@dataclass(kw_only=True)
class Held:
    """What a child keeps between requests.

    Attributes:
        import_s: time that importing the framework took before this process was copied.
        pages: of libraries, that were in use there; see `pages`.
        queries: one mapping of input views per query.
        cursor: the next query to run, so that blocks rotate through all of them.
        peak_bytes: peak resident memory up to the last `feed`, without shared tensors.
        batch: queries that one run takes; `queries` then holds one mapping per run.
        num_queries: as they were handed over.
    """

    import_s: float = 0.0
    pages: InUse | None = None
    session: Session | None = None
    queries: list[Tensors] = field(default_factory=list)
    cursor: int = 0
    peak_bytes: int = 0
    batch: int = 1
    num_queries: int = 0

    def ready(self) -> Session:
        """The compiled model; requests that need it come after one that loads it."""
        assert self.session is not None, "load comes first"
        return self.session


def pin(_held: Held, cores: Iterable[int]) -> Reply:
    """Keep to these cores, and all threads started from here on.

    Raises:
        PlanError: the system has no such call, or not these cores.
    """
    try:
        os.sched_setaffinity(0, cores)
    except (AttributeError, OSError, ValueError) as error:
        raise PlanError(
            f"a process cannot be pinned to the cores {sorted(cores)} here: {error}",
            code="FW333",
            remedy="Set pinned=False, or ask for fewer instances.",
        ) from error
    return None, None


def load(held: Held, runtime: Runtime, model: Path, settings: Settings) -> Reply:
    """Compile; the time counts the import of the framework too."""
    begin = time.perf_counter()
    held.session, held.batch = runtime.load(model, settings), settings.batch
    elapsed = time.perf_counter() - begin + held.import_s
    return (elapsed, dict(held.session.facts()), held.session.concurrency), None


def call(
    _held: Held, function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, Any]
) -> Reply:
    """Run one function."""
    return function(*args, **kwargs), None


def feed(held: Held, memory: int, tensors: Any) -> Reply:
    """Keep views of the queries; nothing is copied."""
    from fitwright.executors.shared import mapped

    held.peak_bytes = peak_memory_bytes(held)
    held.queries = []
    resident.forget_peak()
    held.num_queries, arrays = tensors[0].num_queries, mapped(memory, tensors)
    if held.batch > 1:
        from fitwright.executors.stacking import stacked

        arrays = stacked(arrays, batch=held.batch)
    held.queries = [
        {name: array[i, ...] for name, array in arrays.items()}
        for i in range(len(next(iter(arrays.values()))))
    ]
    held.cursor = 0
    return None, None


def outputs(held: Held) -> Reply:
    """Every query once, in order, straight into shared memory."""
    reply = _filled(held)
    resident.forget_peak()
    return reply


def _filled(held: Held) -> Reply:
    from fitwright.executors import shared

    each = _each_answer(held)
    found = next(each)
    shapes = {n: (a.shape, shared.check_numeric(n, a.dtype)) for n, a in found.items()}
    tensors = shared.layout(shapes, num_queries=held.num_queries)
    memory = shared.anonymous_memory(shared.num_bytes_of(tensors))
    stacked = shared.mapped(os.dup(memory), tensors)
    for i, answers in zip(range(held.num_queries), chain([found], each), strict=False):
        for name, array in answers.items():
            _check_same_shape(name, array.shape, stacked[name].shape[1:], i)
            stacked[name][i] = array
    held.peak_bytes = peak_memory_bytes(held)
    return tensors, memory


def _each_answer(held: Held) -> Iterator[dict[str, Array]]:
    """The outputs of one query after another; those that only fill up the last run at the end."""
    run = held.ready().run
    if held.batch == 1:
        yield from map(run, held.queries)
        return
    from fitwright.executors.stacking import split

    for query in held.queries:
        apart = {name: split(name, y, batch=held.batch) for name, y in run(query).items()}
        yield from ({name: y[i] for name, y in apart.items()} for i in range(held.batch))


def _check_same_shape(name: str, shape: object, first: object, query: int) -> None:
    if shape != first:
        raise TrialFailed(
            f"output '{name}' has shape {shape} for query {query} and {first} for query 0; "
            "outputs of changing size cannot be compared",
            remedy="Fix the sizes of the outputs inside the model.",
        )


def peak_memory_bytes(held: Held) -> int:
    """Peak resident memory so far, without the queries and outputs in shared memory."""
    from fitwright.executors import pages

    return max(held.peak_bytes, resident.peak_bytes() + pages.left_behind_bytes(held.pages))


def busy_s(_held: Held) -> Reply:
    """CPU time so far."""
    return time.process_time(), None


def _time_block(held: Held, seconds: float, min_runs: int) -> Reply:
    from fitwright.executors import timing

    latencies_s, held.cursor = timing.block(
        held.ready().run, held.queries, first=held.cursor, seconds=seconds, min_runs=min_runs
    )
    return latencies_s, None


def _load_block(held: Held, seconds: float, concurrency: int, arrivals_s: Any) -> Reply:
    from fitwright.executors import timing

    if len(arrivals_s):
        run = _one_by_one(held, "arrivals")
        return timing.open_loop(run, held.queries, arrivals_s, concurrency=concurrency), None
    run = held.ready().run
    block = timing.closed_loop(run, held.queries, seconds=seconds, concurrency=concurrency)
    return _of_queries(held, block), None


def _closed_part(held: Held, seconds: float, concurrency: int, begin_at: float) -> Reply:
    """This process's part of a closed loop over several."""
    from fitwright.executors import timing

    run, queries = held.ready().run, held.queries
    part = timing.closed_loop(
        run, queries, seconds=seconds, concurrency=concurrency, begin_at=begin_at
    )
    return _of_queries(held, part), None


def _of_queries(held: Held, block: LoadBlock) -> LoadBlock:
    """Of every query, where a run takes several."""
    if held.batch == 1:
        return block
    from fitwright.executors.stacking import answered

    return answered(block[0], batch=held.batch), block[1]


def _one_by_one(held: Held, load: str) -> Callable[[Tensors], dict[str, Array]]:
    """The session's `run`, where it takes one query.

    Raises:
        PlanError: it takes several, and these do not wait for each other.
    """
    if held.batch > 1:
        raise PlanError(
            f"{load} come one by one, and the model takes {held.batch} queries in a run",
            code="FW335",
            remedy="Use batch=1, or the offline scenario, where all queries are there.",
        )
    return held.ready().run


def _open_part(
    held: Held, reading_end: int, concurrency: int, arrivals_s: Sequence[float], begin_at: float
) -> Reply:
    """This process's part of an open loop over several, which share the turns."""
    from fitwright.executors import timing, turns

    try:
        part = timing.open_loop(
            _one_by_one(held, "arrivals"),
            held.queries,
            arrivals_s,
            concurrency=concurrency,
            begin_at=begin_at,
            take=turns.taker(reading_end),
        )
    finally:
        os.close(reading_end)
    return part, None


def _burst_block(held: Held, seconds: float, size: int) -> Reply:
    from fitwright.executors import timing

    run = _one_by_one(held, "bursts")
    return timing.bursts(run, held.queries, seconds=seconds, size=size), None


def _loadgen_block(held: Held, load: Any) -> Reply:
    """LoadGen calls back from native code, through which no exception may pass."""
    from fitwright.executors import loadgen

    run, raised = _one_by_one(held, "queries of LoadGen"), list[Exception]()

    def guarded(query: Tensors) -> None:
        try:
            run(query)
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything
            raised.append(error)

    guarded(held.queries[0])  # a query that fails now would fail thousands of times
    block = loadgen.block(guarded, held.queries, load=load) if not raised else None
    if raised:
        raise raised[0]
    return block, None


def _peak_memory_bytes(held: Held) -> Reply:
    return peak_memory_bytes(held), None


VERBS: Mapping[str, Callable[..., Reply]] = {
    "pin": pin,
    "load": load,
    "call": call,
    "feed": feed,
    "outputs": outputs,
    "time_block": _time_block,
    "load_block": _load_block,
    "closed_part": _closed_part,
    "open_part": _open_part,
    "burst_block": _burst_block,
    "loadgen_block": _loadgen_block,
    "peak_memory_bytes": _peak_memory_bytes,
    "busy_s": busy_s,
}


def answer(held: Held, body: bytes, memory: int | None) -> tuple[bytes, int | None]:
    """The pickled reply to one request. The edge between Fitwright and foreign code:
    whatever is raised becomes a reply."""
    try:
        verb, arguments = pickle.loads(body)
        given = () if memory is None else (memory,)
        value, sent = VERBS[verb](held, *given, *arguments)
        return pickle.dumps(("ok", value), protocol=pickle.HIGHEST_PROTOCOL), sent
    except FitwrightError as error:
        return _portable(error), None
    except (SystemExit, KeyboardInterrupt) as error:
        return _failed(TrialFailed.by(error, doing="it")), None
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return _portable(_no_space(error)), None
        return _failed(TrialFailed.by(error, doing="it")), None


def _failed(error: TrialFailed) -> bytes:
    return pickle.dumps(("failed", error.cause, error.detail))


def _portable(error: FitwrightError) -> bytes:
    """The error itself; its text where the class does not survive pickling."""
    try:
        body = pickle.dumps(("error", error))
        pickle.loads(body)
    except Exception:  # noqa: BLE001 - and so may its classes when pickled
        return _failed(TrialFailed.by(error, doing="it"))
    return body


def _no_space(error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {error.filename or 'a file'}: {os.strerror(error.errno or 0)}",
        code="FW520",
        remedy="Free some space and run `fitwright tune RUN` to go on from the last trial.",
    )


def settle(terms: ChildTerms, output: int) -> None:
    """Own session, the parent's environment, output into the pipe, limits in force."""
    tree.die_with_parent()
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(terms.environment)
    sys.path[:] = terms.import_path
    with suppress(OSError):  # a folder may be gone by now; paths are resolved by those who send
        os.chdir(terms.folder)
    # One allocation far beyond the limit fails at once; what lies between is polled. Twice
    # the limit and a gigabyte, because allocators reserve more than they touch.
    _lower(resource.RLIMIT_DATA, 2 * terms.memory_bytes + (1 << 30))
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, wanted: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (limit, hard))


def serve(connection: Connection, terms: ChildTerms, output: int) -> NoReturn:
    """Answer requests until the parent closes its end."""
    settle(terms, output)
    from fitwright.executors import shared

    held = Held(import_s=terms.import_s, pages=terms.pages)
    shared.send(connection, ("ok", None))
    while True:
        try:
            body, memory = shared.receive(connection)
            reply, sent = answer(held, body, memory)
            shared.send_pickled(connection, reply, memory=sent)
        except (EOFError, OSError):
            os._exit(0)

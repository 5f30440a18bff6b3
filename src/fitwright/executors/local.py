"""Child processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast, final

from fitwright import units
from fitwright.errors import FitwrightError, TrialFailed, one_line
from fitwright.executors import tree, warden
from fitwright.executors.child import ChildTerms
from fitwright.executors.instances import open_instances
from fitwright.ports import (
    Array,
    ChildLimits,
    LoadBlock,
    LoadGenLoad,
    P,
    Runtime,
    T,
    Tensors,
    Worker,
)
from fitwright.records.plan import Settings

START_S = 60.0  # to fork a child that answers; the first also starts Python anew
END_S = 8.0  # for the warden to kill and reap a whole tree and to report

_starting = threading.Lock()


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Children must not run the user's script again; `multiprocessing` looks for it here.

    A script without an ``if __name__ == "__main__"`` guard, a notebook and a prompt all
    work this way. The price: functions defined in `__main__` cannot be sent to a child.
    """
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _start(terms: ChildTerms) -> tuple[BaseProcess, Connection, Connection]:
    """A running warden and our ends of its pipes: control, and data of the worker."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(["fitwright.executors.warden"])
    control, theirs_control = context.Pipe()
    data, theirs_data = context.Pipe()
    process = cast("Any", context).Process(
        target=warden.watch, args=(theirs_control, theirs_data, terms), name="fitwright-trial"
    )
    with _main_hidden():
        process.start()
    theirs_control.close()
    theirs_data.close()
    return process, control, data


def _end(process: BaseProcess, control: Connection, data: Connection) -> None:
    """Leave no process: the warden sees the closed pipe and kills everything beneath it."""
    for connection in (data, control):
        with suppress(OSError):
            connection.close()
    process.join(END_S)
    if process.is_alive():
        for pid in [*tree.descendants(process.pid or 0), process.pid or 0]:
            tree.kill(pid)
        process.join(END_S)


@final
class LocalChild:
    """One child: requests with a clock, and the cause when it dies."""

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._death: TrialFailed | None = None
        terms = ChildTerms(
            environment=dict(os.environ),
            parent_pid=os.getpid(),
            memory_bytes=limits.memory_bytes,
            output_bytes=limits.output_bytes,
        )
        process, self._control, self._data = _start(terms)
        self.end = weakref.finalize(self, _end, process, self._control, self._data)
        self._reply("starting a child process", START_S)

    def ask(
        self, doing: str, verb: str, *arguments: object, memory: int | None = None
    ) -> tuple[Any, int | None]:
        """One request: the value, and the descriptor of shared memory if any came.

        Args:
            doing: for messages, such as ``timing model.onnx on openvino``.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that the request raised.
        """
        from fitwright.executors import shared

        if self._death is not None or not self.end.alive:
            if memory is not None:
                os.close(memory)
            raise self._death or TrialFailed(
                f"{doing}: the child process was closed", cause="killed", detail="closed"
            )
        # What cannot be pickled is the caller's mistake and raises here, before anything is sent.
        body = pickle.dumps((verb, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        with suppress(OSError):  # a dead child is noticed, with its cause, by the reply
            shared.send_pickled(self._data, body, memory=memory)
        try:
            return self._reply(doing, self._limits.wall_s)
        except KeyboardInterrupt:  # the answer would be taken for that of the next request
            self.end()
            raise

    def _reply(self, doing: str, limit_s: float) -> tuple[Any, int | None]:
        from fitwright.executors import shared

        if not wait([self._data, self._control], limit_s):
            self._stop()
            raise self._died(doing, limit_s)
        if not self._data.poll():  # the warden has spoken: the worker has ended
            raise self._died(doing, limit_s)
        try:
            body, memory = shared.receive(self._data)
        except (EOFError, OSError):
            raise self._died(doing, limit_s) from None
        status, *rest = pickle.loads(body)
        if status == "ok":
            return rest[0], memory
        if status == "error":
            raise cast("FitwrightError", rest[0])
        cause, detail = rest
        raise TrialFailed(f"{doing} failed: {detail}", cause=cause, detail=detail)

    def _died(self, doing: str, limit_s: float) -> TrialFailed:
        ended = self._report()
        if ended is None:  # it closed its pipe and lives on
            self._stop()
            ended = self._report()
        self.end()
        if ended is None:
            ended = warden.Ended(reason="", status=signal.SIGKILL, seen=0, tail=b"")
        self._death = _failure(doing, ended, self._limits, limit_s)
        return self._death

    def _stop(self) -> None:
        with suppress(OSError):  # a warden that is gone has nothing left to stop
            self._control.send("timeout")

    def _report(self) -> warden.Ended | None:
        """The warden's last word; None when none comes in time, or it is gone."""
        with suppress(EOFError, OSError):
            if self._control.poll(END_S):
                return cast("warden.Ended", self._control.recv())
        return None


def _failure(doing: str, ended: warden.Ended, limits: ChildLimits, limit_s: float) -> TrialFailed:
    """The cause in the user's words, with the last line that the child printed."""
    said = one_line("\n".join(reversed(ended.tail.decode(errors="replace").splitlines())))
    last = f"; it last printed: {one_line(said, length=160)}" if said else ""
    if ended.reason == "timeout":
        detail = f"no answer within {units.seconds(limit_s)}"
        return _trial_failed(doing, "timeout", detail + last, "Raise the time limit.")
    if ended.reason == "memory":
        detail = f"{units.bytes_(ended.seen)} resident, allowed {units.bytes_(limits.memory_bytes)}"
        return _trial_failed(doing, "memory", detail, "Use a smaller batch, or allow more memory.")
    if ended.reason == "output":
        detail = f"printed over {units.bytes_(limits.output_bytes)}"
        return _trial_failed(doing, "output", detail + last, "Print less.")
    code = os.waitstatus_to_exitcode(ended.status)
    if code == -signal.SIGKILL:
        detail = "SIGKILL from outside, often the kernel when memory runs out"
        return _trial_failed(doing, "killed", detail + last, "Free some memory and try again.")
    detail = signal.Signals(-code).name if code < 0 else f"ended by itself with status {code}"
    return _trial_failed(doing, "crashed", detail + last, "")


def _trial_failed(doing: str, cause: str, detail: str, remedy: str) -> TrialFailed:
    return TrialFailed(f"{doing}: {detail}", cause=cause, detail=detail, remedy=remedy)


@final
class LocalWorker:
    """A child that holds one compiled model; see `ports.Worker`."""

    def __init__(
        self,
        runtime: Runtime,
        model: Path,
        settings: Settings,
        *,
        limits: ChildLimits,
        cores: Sequence[int] = (),
    ) -> None:
        self._subject = f"{model.name} on {runtime.name}"
        self._child = LocalChild(limits)
        loaded = None
        try:
            if cores:
                self._child.ask(f"pinning {self._subject}", "pin", tuple(cores))
            loaded, _ = self._child.ask(
                f"loading {self._subject}", "load", runtime, model, settings
            )
        finally:
            if loaded is None:
                self._child.end()
        self._load_s, self._facts, self._concurrency = loaded

    @property
    def load_s(self) -> float:
        """Time to import the backend and compile the model, seconds."""
        return float(self._load_s)

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened: see `ports.Session.facts`."""
        return cast("Mapping[str, str]", self._facts)

    @property
    def concurrency(self) -> int:
        """How many queries in flight the session is made for."""
        return int(self._concurrency)

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries through shared memory; shape (queries, *input shape)."""
        from fitwright.executors import shared

        self.feed_shared(*shared.packed(inputs))

    def feed_shared(self, memory: int, tensors: Any) -> None:
        """Take queries that lie in shared memory already; the descriptor is used up."""
        self._child.ask(f"feeding {self._subject}", "feed", tensors, memory=memory)

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order; shape (queries, *output shape)."""
        from fitwright.executors import shared

        tensors, memory = self._child.ask(f"running {self._subject}", "outputs")
        assert memory is not None, "outputs come through shared memory"
        return shared.mapped(memory, tensors)

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Run queries in turn, one at a time; latency of each, seconds."""
        latencies_s, _ = self._child.ask(f"timing {self._subject}", "time_block", seconds, min_runs)
        return cast("Sequence[float]", latencies_s)

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> tuple[Sequence[float], float]:
        """Run queries under load; latencies and the elapsed time, seconds."""
        block, _ = self._child.ask(
            f"loading {self._subject} with traffic",
            "load_block",
            seconds,
            concurrency,
            tuple(arrivals_s),
        )
        return cast("tuple[Sequence[float], float]", block)

    def closed_part(self, *, seconds: float, concurrency: int, begin_at: float) -> LoadBlock:
        """This child's part of a closed loop over several; see `timing.closed_loop`."""
        doing = f"loading {self._subject} with traffic"
        part, _ = self._child.ask(doing, "closed_part", seconds, concurrency, begin_at)
        return cast("LoadBlock", part)

    def open_part(
        self, reading_end: int, *, concurrency: int, arrivals_s: Sequence[float], begin_at: float
    ) -> LoadBlock:
        """This child's part of an open loop over several; closes its end of the turns."""
        doing, arrivals_s = f"loading {self._subject} with traffic", tuple(arrivals_s)
        part, _ = self._child.ask(
            doing, "open_part", concurrency, arrivals_s, begin_at, memory=reading_end
        )
        return cast("LoadBlock", part)

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Bursts of queries; latency of each burst and the elapsed time, seconds."""
        doing = f"loading {self._subject} with bursts"
        return cast("LoadBlock", self._child.ask(doing, "burst_block", seconds, size)[0])

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Under the load of MLCommons LoadGen; latencies and the elapsed time, seconds."""
        doing = f"loading {self._subject} by LoadGen"
        return cast("LoadBlock", self._child.ask(doing, "loadgen_block", load)[0])

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of the child so far, without queries and outputs in transit."""
        return int(self._child.ask(f"watching {self._subject}", "peak_memory_bytes")[0])

    def busy_s(self) -> float:
        """CPU time the child has used so far, seconds, over all its threads."""
        return float(self._child.ask(f"watching {self._subject}", "busy_s")[0])

    def close(self) -> None:
        """End the child; never raises, leaves no process behind."""
        self._child.end()


@final
class LocalExecutor:
    """Runs every trial in a fresh process of this machine; see `ports.Executor`."""

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """Start a fresh child, or several instances, and compile in it. Raises TrialFailed."""
        if settings.instances > 1 or settings.pinned is not None:
            return open_instances(LocalWorker, runtime, model, settings, limits=limits)
        return LocalWorker(runtime, model, settings, limits=limits)

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one picklable function in a fresh child.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that the function raised.
        """
        child = LocalChild(limits)
        try:
            name = getattr(function, "__name__", type(function).__name__)
            value, _ = child.ask(name, "call", function, args, kwargs)
            return cast("T", value)
        finally:
            child.end()

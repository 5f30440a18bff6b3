"""Processes that are copied for each child: they have imported a backend once, for all.

Importing a framework costs a child more time than anything else about it. A template imports
it, starts no thread, and from then on does nothing but fork: each copy becomes a warden, which
forks its worker. Copies share nothing that either could change: what one writes, it alone sees.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe, reduction
from multiprocessing.connection import Connection
from typing import NoReturn, final

from fitwright.errors import FitwrightError, TrialFailed
from fitwright.executors import pages, tree, warden
from fitwright.executors.child import ChildTerms
from fitwright.ports import Preparable, Runtime

START_S = 60.0  # to start Python and import a framework on a busy machine
PARENT_LOOK_S = 1.0
# libraries read these once, when they are loaded; a change needs another template
READ_ON_LOAD = ("OMP_", "KMP_", "GOMP_", "OPENBLAS_", "MKL_", "ORT_", "OV_", "OPENVINO_", "TBB_",
                "LD_", "MALLOC_", "GLIBC_", "PYTHON")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a template says once it stands.

    Attributes:
        import_s: time that the framework's import took, seconds.
        num_threads: alive where it forks; a copy of a process with more than one may hang.
    """

    import_s: float
    num_threads: int


@final
class Template:
    """A process that waits to be copied."""

    def __init__(self, runtime: bytes | None) -> None:
        ours, theirs = Pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from fitwright.executors.template import serve; "
            f"serve({theirs.fileno()}, {os.getpid()})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is for the driver, which then ends its children
        )
        theirs.close()
        self.owner_pid = os.getpid()
        self._connection = ours
        self._turn = threading.Lock()
        self.close = weakref.finalize(self, _close, process, ours)
        self.prepared = self._first_word(runtime)

    def _first_word(self, runtime: bytes | None) -> Prepared:
        with suppress(EOFError, OSError):
            self._connection.send_bytes(runtime or b"")
            if self._connection.poll(START_S):
                prepared = self._connection.recv()
                assert isinstance(prepared, Prepared)
                return prepared
        self.close()
        raise TrialFailed(
            "starting a child process: the process that is copied for it did not start",
            cause="killed",
            detail=f"no template within {START_S:g} s",
            remedy="Free some memory and try again.",
        )

    def copy(self, terms: ChildTerms, control: Connection, data: Connection) -> int:
        """Fork a warden that takes these ends of its pipes; its process id.

        Raises:
            EOFError, OSError: the template is gone.
        """
        with self._turn:
            self._connection.send(terms)
            for connection in (control, data):
                reduction.send_handle(self._connection, connection.fileno(), os.getpid())
            return int(self._connection.recv())


def _close(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    try:
        process.wait(START_S if process.poll() is None else 0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_templates: dict[tuple[object, ...], Template] = {}
_finding = threading.Lock()


def start_warden(
    terms: ChildTerms, control: Connection, data: Connection, *, runtime: Runtime | None
) -> int:
    """A running warden, copied from the template for that runtime; its process id."""
    key = _key(runtime)
    for _ in range(2):  # a template that somebody killed is started again, once
        template = _template(key)
        try:
            return template.copy(replace(terms, import_s=template.prepared.import_s), control, data)
        except (EOFError, OSError):
            with _finding:
                if _templates.get(key) is template:
                    del _templates[key]
    raise TrialFailed(
        "starting a child process: the process that is copied for it was killed twice",
        cause="killed",
        detail="template killed",
        remedy="Free some memory and try again.",
    )


def _key(runtime: Runtime | None) -> tuple[object, ...]:
    stated = tuple(sorted(i for i in os.environ.items() if i[0].startswith(READ_ON_LOAD)))
    body = pickle.dumps(runtime) if isinstance(runtime, Preparable) else None
    return (os.getpid(), body, stated)


def _template(key: tuple[object, ...]) -> Template:
    """The template for that key; the bare one where the framework starts threads."""
    with _finding:
        if key not in _templates:
            body = key[1]
            assert body is None or isinstance(body, bytes)
            _templates[key] = _prepared_template(body) if body else Template(None)
        return _templates[key]


def _prepared_template(runtime: bytes) -> Template:
    """Bare where the framework starts threads, or cannot be imported: the worker says why."""
    try:
        made = Template(runtime)
    except TrialFailed:
        return Template(None)
    if made.prepared.num_threads == 1:
        return made
    made.close()
    return Template(None)


# --- inside the template --------------------------------------------------------------


def serve(descriptor: int, parent_pid: int) -> NoReturn:
    """Import, then fork on request until the driver is gone."""
    connection = Connection(descriptor)
    try:
        _serve(connection, parent_pid)
    except (EOFError, OSError):
        os._exit(0)


def _serve(connection: Connection, parent_pid: int) -> NoReturn:
    connection.send(_prepare(connection.recv_bytes()))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the wardens
    in_use = pages.in_use()
    while True:
        while not connection.poll(PARENT_LOOK_S):
            if not tree.runs(parent_pid):  # a fork of the driver may hold our pipe open
                os._exit(0)
        terms: ChildTerms = connection.recv()
        control, data = (Connection(reduction.recv_handle(connection)) for _ in range(2))
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                connection.close()
                warden.watch(control, data, replace(terms, pages=in_use))
            finally:
                os._exit(0)
        control.close()
        data.close()
        connection.send(pid)


def _prepare(runtime: bytes) -> Prepared:
    """Import what every worker needs; of the framework, the time it took."""
    import fitwright.executors.shared  # noqa: F401 - numpy, which every worker needs

    import_s = 0.0
    if runtime:
        prepared = pickle.loads(runtime)
        begin = time.perf_counter()
        with suppress(FitwrightError):  # the worker imports again and says what is missing
            prepared.prepare()
            import_s = time.perf_counter() - begin
    gc.collect()
    gc.freeze()
    _end_pools_of_libraries()
    return Prepared(import_s=import_s, num_threads=tree.num_threads(os.getpid()))


def _end_pools_of_libraries() -> None:
    """Libraries such as OpenBLAS end their threads before a fork and start them on demand."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

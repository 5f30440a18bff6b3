"""A child process as its parent sees it: requests with a clock, and the cause when it dies."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import weakref
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast, final

from fitwright import units
from fitwright.errors import FitwrightError, TrialFailed, one_line
from fitwright.executors import tree, warden
from fitwright.executors.child import ChildTerms
from fitwright.executors.slots import Pause
from fitwright.executors.template import start_warden
from fitwright.ports import ChildLimits, Runtime

START_S = 60.0  # for a fresh child to answer
END_S = 8.0  # for the warden to kill and reap a whole tree and to report


def _end(warden_pid: int, control: Connection, data: Connection) -> None:
    """Leave no process: the warden kills everything beneath it, says so and ends."""
    data.close()
    with control:
        if not _told_to_end(control):
            for pid in [*tree.descendants(warden_pid), warden_pid]:
                tree.kill(pid)


def _told_to_end(control: Connection) -> bool:
    """Whether the warden reports in time that nothing is left, or is gone itself."""
    with suppress(EOFError, OSError):
        control.send("closed")
        if not control.poll(END_S):
            return False
        control.recv()
    return True


@final
class LocalChild:
    """One child: requests with a clock, and the cause when it dies."""

    def __init__(self, limits: ChildLimits, *, runtime: Runtime | None = None) -> None:
        self._limits = limits
        self.pause = Pause()
        self._death: TrialFailed | None = None
        terms = ChildTerms(
            environment=dict(os.environ),
            folder=str(Path.cwd()),
            import_path=tuple(sys.path),
            parent_pid=os.getpid(),
            memory_bytes=limits.memory_bytes,
            output_bytes=limits.output_bytes,
        )
        self._control, theirs_control = Pipe()
        self._data, theirs_data = Pipe()
        with theirs_control, theirs_data:
            self.warden_pid = start_warden(terms, theirs_control, theirs_data, runtime=runtime)
        self.end = weakref.finalize(self, _end, self.warden_pid, self._control, self._data)
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

        if not self._answers(limit_s):
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

    def _answers(self, limit_s: float) -> bool:
        """Whether anything comes in time; while the child is stopped its clock stands still."""
        end = time.monotonic() + limit_s - self.pause.stopped_s()
        while (left_s := end + self.pause.stopped_s() - time.monotonic()) > 0:
            if wait([self._data, self._control], left_s):
                return True
        return False

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

"""The process between parent and worker: it sees to the worker's end, whatever happens.

The warden runs no foreign code, so nothing that a model does can stop it. It drains what
the worker prints, polls the memory of the worker's whole tree, adopts its orphans, kills
all of it on the parent's word or when the parent is gone, and reports how it ended.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, cast

from fitwright.errors import Exit
from fitwright.executors import child, tree

TAIL_BYTES = 4096
SHORTEST_TICK_S, LONGEST_TICK_S = 0.02, 0.2
FILL_BYTES_PER_S = 8e9  # no process touches fresh pages faster on today's machines
REAP_S = 5.0

Reason = Literal["", "memory", "output", "timeout", "closed", "parent_gone"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a worker ended.

    Attributes:
        reason: why the warden killed it; empty when it ended by itself.
        status: as `os.waitpid` gives it.
        seen: bytes that broke the limit, when one did.
        tail: the end of what it printed.
    """

    reason: Reason
    status: int
    seen: int
    tail: bytes


class Printed:
    """Counts what the worker prints and keeps the end of it."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.num_bytes = 0
        self.tail = b""

    def drain(self) -> bool:
        """Read what is there, a bounded amount; False at the end of the stream."""
        for _ in range(64):
            try:
                part = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return True
            if not part:
                return False
            self.num_bytes += len(part)
            self.tail = (self.tail + part)[-TAIL_BYTES:]
        return True


def watch(control: Connection, data: Connection, terms: child.ChildTerms) -> None:
    """Fork the worker, then watch over it until it has ended."""
    read_end, write_end = os.pipe()
    worker = os.fork()  # at once: what follows here is done while the worker begins
    if worker == 0:
        try:
            control.close()
            os.close(read_end)
            child.serve(data, terms, write_end)
        finally:
            os._exit(Exit.BUG)
    os.setsid()
    tree.adopt_orphans()
    data.close()
    os.close(write_end)
    ended = _until_it_ends(control, worker, terms, Printed(read_end))
    _leave_nobody()
    with suppress(OSError):
        control.send(ended)


def _until_it_ends(
    control: Connection, worker: int, terms: child.ChildTerms, printed: Printed
) -> Ended:
    poller = select.poll()
    poller.register(control.fileno(), select.POLLIN)
    poller.register(printed.descriptor, select.POLLIN)
    tick_s, next_look = SHORTEST_TICK_S, 0.0
    while True:
        events = dict(poller.poll(tick_s * 1e3))
        if printed.descriptor in events and not printed.drain():
            poller.unregister(printed.descriptor)  # everyone who could print has closed it
            tick_s = SHORTEST_TICK_S
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            printed.drain()
            return Ended(reason="", status=status, seen=0, tail=printed.tail)
        if control.fileno() in events:
            return _killed(worker, _word(control), 0, printed)
        if printed.num_bytes > terms.output_bytes:
            return _killed(worker, "output", printed.num_bytes, printed)
        if (now := time.monotonic()) >= next_look:
            if not tree.runs(terms.parent_pid):  # a fork of the parent may hold our pipe open
                return _killed(worker, "parent_gone", 0, printed)
            used = sum(map(tree.resident_bytes, (worker, *tree.descendants(worker))))
            if used > terms.memory_bytes:
                return _killed(worker, "memory", used, printed)
            headroom_s = (terms.memory_bytes - used) / FILL_BYTES_PER_S
            tick_s = min(max(headroom_s, SHORTEST_TICK_S), LONGEST_TICK_S)
            next_look = now + tick_s


def _word(control: Connection) -> Reason:
    """What the parent says: a reason to stop, or nothing because it is gone."""
    try:
        return cast("Reason", control.recv())
    except (EOFError, OSError):
        return "parent_gone"


def _killed(worker: int, reason: Reason, seen: int, printed: Printed) -> Ended:
    tree.kill(worker)
    _, status = os.waitpid(worker, 0)
    printed.drain()
    return Ended(reason=reason, status=status, seen=seen, tail=printed.tail)


def _leave_nobody() -> None:
    """Kill and reap what the worker left; orphans have become children of this process."""
    end = time.monotonic() + REAP_S
    while time.monotonic() < end:
        for pid in tree.descendants(os.getpid()):
            tree.kill(pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)

"""Processes by the hundred: forked from one that has imported everything, and killed.

Run as a program it is that one: it reads ``ROLE FOLDER NAME`` from its input, forks a
process that plays the role, and answers with its id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIDE = "side.log"


def note(folder: Path, **fields: object) -> None:
    """One line in the side log, on disk before this returns."""
    line = b"\n" + json.dumps(fields).encode() + b"\n"  # the first ends what a kill tore off
    handle = os.open(folder / SIDE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def notes(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of the side log."""
    path = folder / SIDE
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"}")]


@dataclass
class Nursery:
    """The process that forks the others."""

    process: subprocess.Popen[str]

    def start(self, role: str, folder: Path, name: str = "one") -> int:
        """The id of a new process that plays the role."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(role, name, folder, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def wait(self, pid: int) -> int:
        """Its status when it has ended: 0, or minus the number of the signal."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("wait", pid, "", file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def kill(self, pid: int) -> int:
        """SIGKILL, unless it has ended; its status."""
        os.kill(pid, signal.SIGKILL)  # the nursery keeps the dead until they are waited for
        return self.wait(pid)


@contextmanager
def nursery(program: Path) -> Iterator[Nursery]:
    """Runs `program`, which calls `serve`, until the block ends."""
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()


def serve(roles: dict[str, Callable[[Path, str], None]]) -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin:
        role, name, folder = line.rstrip("\n").split(" ", 2)
        if role == "wait":
            status = os.waitstatus_to_exitcode(os.waitpid(int(name), 0)[1])
            print(status, flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _play(roles[role], Path(folder), name)
        print(pid, flush=True)


def _play(role: Callable[[Path, str], None], folder: Path, name: str) -> None:
    """In the forked process; never returns."""
    status = 1
    try:
        os.setsid()
        role(folder, name)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)

"""Functions that go wrong in every way a trial can; importable, so that a child finds them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fitwright.errors import ModelRefused
from fitwright.ports import Array, Availability, Session, Tensors
from fitwright.records.plan import Settings

MIB = 1 << 20
_remembered: list[object] = []


def echo(value: object) -> object:
    """No fault at all."""
    return value


def remember(value: object) -> list[object]:
    """Everything this process was ever told to remember."""
    _remembered.append(value)
    return _remembered


def keep_memory(num_bytes: int) -> None:
    """Memory that stays in use after the call."""
    _remembered.append(bytearray(os.urandom(4096)) * (num_bytes // 4096))


def spin(seconds: float, file: Path | None = None) -> int:
    """Use so much CPU time, seconds; how often it looked. The process writes its id into `file`,
    and ends early when that is removed."""
    if file is not None:
        file.write_text(str(os.getpid()))
    end, looks = time.process_time() + seconds, 0
    while time.process_time() < end and (file is None or file.exists()):
        looks += 1
    return looks + 1


def copy_into(file: Path, folder: Path) -> Path:
    """A copy of a file in a folder, with its name as it was found."""
    copy = folder / "copy.txt"
    copy.write_text(f"{file.read_text()}, from {file.name}")
    return copy


def meet(folder: Path, number: int) -> int:
    """Returns its number once the other of two is there too."""
    (folder / str(number)).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return number


def raise_value_error() -> None:
    """An exception of the function's own."""
    raise ValueError("seven is not a shape\nsecond line")


def raise_refusal() -> None:
    """An error meant for the user; passes through unchanged."""
    raise ModelRefused("a file that nobody can read", code="FW200", remedy="Give another.")


def raise_memory_error() -> None:
    """What Python raises when an allocation fails."""
    raise MemoryError


def raise_no_space(path: Path) -> None:
    """What the system says when the disk is full."""
    raise OSError(28, "No space left on device", str(path))


def exit_from_python() -> None:
    """`sys.exit` inside foreign code."""
    sys.exit(3)


def segfault() -> None:
    """Read address 0."""
    ctypes.string_at(0)


def abort() -> None:
    """What an assertion in native code does."""
    os.abort()


def exit_at_once() -> None:
    """End without unwinding."""
    os._exit(3)


def kill_self() -> None:
    """As the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_parent() -> None:
    """Turn against the process that watches."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(3600)


def touch_memory(num_bytes: int) -> None:
    """Allocate and write pages a little at a time, and keep them until somebody looks."""
    _remembered.extend(bytearray(os.urandom(4096)) * (MIB // 4096) for _ in range(num_bytes // MIB))
    time.sleep(3600)


def allocate_at_once(num_bytes: int) -> int:
    """One allocation far beyond any limit."""
    return len(bytearray(num_bytes))


def environment(name: str) -> str | None:
    """What the child sees of its parent's environment."""
    return os.environ.get(name)


def loop_forever() -> None:
    """Python that never ends."""
    while True:
        pass


def wait_natively() -> None:
    """Native code that never returns and never lets go of the interpreter."""
    ctypes.PyDLL(None).pause()


def ignore_signals_forever() -> None:
    """Refuses to be asked politely."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    loop_forever()


def print_forever() -> None:
    """Output without end, past Python's buffers."""
    line = b"x" * 65535 + b"\n"
    while True:
        os.write(1, line)


def print_words(text: str) -> None:
    """A little output, then a crash."""
    print(text, file=sys.stderr, flush=True)
    os.abort()


def print_gigabyte() -> None:
    """More than anyone reads, but not without end."""
    line = b"x" * (MIB - 1) + b"\n"
    for _ in range(1024):
        os.write(1, line)


def pids_in(folder: Path) -> list[int]:
    """The processes that have left their id there."""
    return [int(file.name) for file in folder.iterdir() if file.name.isdigit()]


def leave_grandchildren(folder: Path, *, then_die: bool) -> None:
    """Two processes that outlive this one, one of them in a session of its own.

    They write their ids into `folder`.
    """
    code = "import os,sys,time;open(sys.argv[1]+'/%d'%os.getpid(),'w').close();time.sleep(3600)"
    for detached in (False, True):
        subprocess.Popen([sys.executable, "-c", code, str(folder)], start_new_session=detached)
    while len(pids_in(folder)) < 2:
        time.sleep(0.01)
    if then_die:
        kill_self()


def fork_away(folder: Path) -> None:
    """The classic daemon: fork, new session, fork again, and the middle one ends."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (folder / str(os.getpid())).touch()
            time.sleep(3600)
        os._exit(0)
    while not list(folder.iterdir()):
        time.sleep(0.01)


@dataclass(frozen=True)
class Unprepared:
    """A runtime whose framework cannot be imported ahead; see `ports.Preparable`."""

    fault: Literal["starts a thread", "raises", "ends"]
    name: str = "unprepared"

    def prepare(self) -> None:
        """What a template must cope with."""
        if self.fault == "raises":
            raise ValueError("a framework that cannot be imported")
        if self.fault == "ends":
            exit_at_once()
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


@dataclass(frozen=True)
class Faulty:
    """A runtime whose session goes wrong when it runs.

    Attributes:
        fault: what `run` calls; None gives the inputs back.
    """

    fault: Callable[[], object] | None
    name: str = "faulty"

    def availability(self) -> Availability:
        """Always there."""
        return Availability(version="1")

    def formats(self) -> tuple[str, ...]:
        """Whatever it is given."""
        return ("onnx",)

    def load(self, model: Path, settings: Settings) -> Session:
        """Itself: there is nothing to compile."""
        del model, settings
        return self

    @property
    def concurrency(self) -> int:
        """One caller."""
        return 1

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """The fault, or the inputs."""
        if self.fault is not None:
            self.fault()
        return dict(inputs)

    def facts(self) -> Mapping[str, str]:
        """Nothing happens."""
        return {"device": "CPU"}

"""The part of a driver that runs on another machine: it opens local children there.

So the limits on time, memory and output, the causes of failures and the end of every process
are those of `local`, wherever the driver is.
"""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, final

from fitwright.errors import FitwrightError
from fitwright.executors import shipping
from fitwright.executors.local import LocalExecutor
from fitwright.executors.shipping import FileCache, FileSet
from fitwright.ports import ChildLimits, Runtime, Worker
from fitwright.records.plan import Settings

Reply = tuple[Literal["ok"], Any] | tuple[Literal["error"], FitwrightError]


@final
class Host:
    """Opens children on its machine for one driver. Its methods may run at once, in threads."""

    def __init__(self) -> None:
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it, by the cores that it counts
        self._executor = LocalExecutor()
        self._cache = FileCache(_cache_folder())
        self._workers: dict[int, Worker] = {}
        self._numbers = itertools.count()

    def fitwright(self) -> str:
        """The version that is installed here."""
        return version("fitwright")

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Files that must be sent."""
        return self._cache.missing(digests)

    def store(self, digest: str, content: bytes) -> None:
        """Keep a file."""
        self._cache.store(digest, content)

    def open(
        self, runtime: Runtime, files: FileSet, settings: Settings, limits: ChildLimits
    ) -> Reply:
        """Start a child and compile in it: its number here, load time and facts."""

        def opened() -> tuple[int, float, dict[str, str]]:
            model = self._cache.main_file(files)
            worker = self._executor.open(runtime, model, settings, limits=limits)
            number = next(self._numbers)
            self._workers[number] = worker
            return number, worker.load_s, dict(worker.facts)

        return _reply(opened)

    def ask(self, number: int, method: str, *args: object, **kwargs: object) -> Reply:
        """One request to a child."""
        return _reply(lambda: getattr(self._workers[number], method)(*args, **kwargs))

    def close(self, number: int) -> None:
        """End a child; never raises."""
        worker = self._workers.pop(number, None)
        if worker is not None:
            worker.close()

    def call(
        self, body: bytes, sets: Sequence[FileSet], folders: int, limits: ChildLimits
    ) -> Reply:
        """Run a packed function: its packed result, and what it wrote into each folder."""
        with tempfile.TemporaryDirectory(prefix="fitwright-node-") as place:
            mains = [self._cache.main_file(files) for files in sets]
            made = [Path(place, str(number)) for number in range(folders)]
            for folder in made:
                folder.mkdir()

            def called() -> tuple[bytes, list[dict[str, bytes]]]:
                value = self._executor.call(_unpacked, limits, body, mains, made)
                return value, [shipping.contents(folder) for folder in made]

            return _reply(called)

    def end(self) -> None:
        """Close every child; the driver is done."""
        for number in list(self._workers):
            self.close(number)


def _unpacked(body: bytes, mains: Sequence[Path], folders: Sequence[Path]) -> bytes:
    """Runs in the child: nothing that was sent is unpickled outside of it."""
    function, args, kwargs = shipping.unpack(body, mains=mains, folders=folders)
    return shipping.packed_result(function(*args, **kwargs), mains=mains, folders=folders)


def _reply(work: Callable[[], Any]) -> Reply:
    """Errors for the user travel as values, so that Ray does not wrap or print them."""
    try:
        return "ok", work()
    except FitwrightError as error:
        return "error", pickle.loads(pickle.dumps(error))


def _cache_folder() -> Path:
    stated = os.environ.get("FITWRIGHT_CACHE_DIR")
    base = Path(stated) if stated else Path.home() / ".cache" / "fitwright"
    return base / "node"

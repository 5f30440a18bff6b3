"""Children that are used again: the cheapest way to call many small functions.

A call costs a message each way instead of a process. The price: what a function leaves behind
in memory, the next one finds, so this is for functions of our own that leave nothing. A child
that died, was stopped, or left processes behind is not used again, nor is one that grew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import cast, final

from fitwright.errors import TrialFailed
from fitwright.executors import tree
from fitwright.executors.local import LocalExecutor
from fitwright.executors.parent import LocalChild
from fitwright.ports import ChildLimits, P, Runtime, T, Worker
from fitwright.records.plan import Settings

MOST_IDLE = 4
GROWN_SHARE = 0.5  # of the memory limit: half of it stays for the next function


@final
class PoolExecutor:
    """Calls functions in children that are used again; see `ports.Executor`.

    A child that measures is always fresh, as those of the executor it is given.
    """

    def __init__(self, executor: LocalExecutor | None = None) -> None:
        self._executor = executor or LocalExecutor()
        self._lock = threading.Lock()
        self._idle: list[tuple[Hashable, LocalChild]] = []

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """Start a fresh child and compile in it. Raises TrialFailed."""
        return self._executor.open(runtime, model, settings, limits=limits)

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one picklable function in a child that may have run others before.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that the function raised.
        """
        key = _key(limits)
        child, clean = self._taken(key) or LocalChild(limits), False
        try:
            name = getattr(function, "__name__", type(function).__name__)
            value, _ = child.ask(name, "call", function, args, kwargs)
            clean = True
            return cast("T", value)
        except TrialFailed as error:
            clean = error.cause == "raised"
            raise
        finally:
            self._given_back(key, child, clean=clean, limits=limits)

    def close(self) -> None:
        """End the idle children; those at work end with their call."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, child in idle:
            child.end()

    def _taken(self, key: Hashable) -> LocalChild | None:
        with self._lock:
            found = next((one for one in self._idle if one[0] == key), None)
            if found is not None:
                self._idle.remove(found)
            return found[1] if found else None

    def _given_back(
        self, key: Hashable, child: LocalChild, *, clean: bool, limits: ChildLimits
    ) -> None:
        if clean and _is_as_new(child, limits):
            with self._lock:
                if len(self._idle) < MOST_IDLE:
                    return self._idle.append((key, child))
        child.end()
        return None


def _key(limits: ChildLimits) -> Hashable:
    """A child serves calls with its limits, in the surroundings in which it was started."""
    return limits, str(Path.cwd()), tuple(sorted(os.environ.items()))


def _is_as_new(child: LocalChild, limits: ChildLimits) -> bool:
    """Whether nothing but the worker is left, and little in its memory."""
    left = tree.descendants(child.warden_pid)
    if len(left) != 1:
        return False
    return tree.resident_bytes(left[0]) < GROWN_SHARE * limits.memory_bytes

"""First come, first served among callers that share a few infer requests."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Hands out a few things to many threads, in the order in which they asked.

    A plain queue lets the thread that has just given a thing back take it again before a
    waiting one wakes up; under steady load the others starve, and their latency becomes the
    length of the measurement.
    """

    def __init__(self, things: Iterable[T]) -> None:
        self._free = deque(things)
        self._waiting: deque[SimpleQueue[T]] = deque()
        self._lock = threading.Lock()

    def take(self) -> T:
        """The next free thing; waits behind everybody who asked before."""
        with self._lock:
            if self._free:
                return self._free.popleft()
            turn: SimpleQueue[T] = SimpleQueue()
            self._waiting.append(turn)
        return turn.get()

    def give(self, thing: T) -> None:
        """To whoever waits longest, if anybody does."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(thing)
            else:
                self._free.append(thing)

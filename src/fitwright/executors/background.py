"""Calls that are waited for later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import final

from fitwright.ports import T


@final
class Background:
    """Runs functions in threads that do not hold up the end of the process.

    Args:
        num: how many at once; the others wait in the order in which they came.
    """

    def __init__(self, num: int) -> None:
        self._places = threading.BoundedSemaphore(num)

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Begin when there is a place; a future that has not begun can be cancelled."""
        future: Future[T] = Future()

        def work() -> None:
            with self._places:
                if future.set_running_or_notify_cancel():
                    with _settling(future):
                        future.set_result(function())

        threading.Thread(target=work, name="fitwright-background", daemon=True).start()
        return future


@contextmanager
def _settling(future: Future[T]) -> Iterator[None]:
    """What is raised within the block is what the future raises."""
    with ExitStack() as stack:
        stack.push(lambda _kind, error, _trace: _passed_on(future, error))
        yield


def _passed_on(future: Future[T], error: BaseException | None) -> bool:
    if error is not None:
        future.set_exception(error)
    return error is not None

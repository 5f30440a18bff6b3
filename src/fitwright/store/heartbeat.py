"""A thread that renews a lease while its worker is busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fitwright.errors import StorageError
from fitwright.store.lease import Lease

BEATS_PER_LEASE = 3


@contextmanager
def heartbeat(lease: Lease, renew: Callable[[Lease], bool]) -> Iterator[threading.Event]:
    """Beats three times per lease until the block ends; the event is set when it is lost.

    A store that is out of reach for a while is no loss: the next beat may come through, and
    should another worker take over meanwhile, the first result still counts.
    """
    lost, over = threading.Event(), threading.Event()

    def beat() -> None:
        while not over.wait(lease.lease_s / BEATS_PER_LEASE):
            try:
                alive = renew(lease)
            except StorageError:
                continue
            if not alive:
                lost.set()
                return

    thread = threading.Thread(target=beat, name=f"heartbeat {lease.key}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()

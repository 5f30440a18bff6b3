"""One driver at a time works on a run that a database keeps, wherever its folder lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar, final
from uuid import uuid4

from fitwright.errors import StorageError, UsageError
from fitwright.store.heartbeat import heartbeat
from fitwright.store.lease import ANY_NUMBER, LEASE_S, Lease, is_alive_here, this_worker

DRIVER = "(driver)"
"""The key under which the run itself is claimed; no candidate has it."""
ASK_S = 0.2
MARGIN = 1.2  # of a lease: how long a newcomer watches for a sign of life

D = TypeVar("D")


class Driven(Protocol[D]):
    """The part of a store that this module uses."""

    def trials(self) -> tuple[D, ...]: ...

    def record(self, trial: D, lease: Lease | None = ..., *, driver: Lease | None = ...) -> D: ...

    def claim(
        self, key: str, *, worker: str, lease_s: float = ..., most_attempts: int = ...
    ) -> Lease | None: ...

    def renew(self, lease: Lease) -> bool: ...

    def release(self, lease: Lease) -> None: ...

    def held(self) -> tuple[Lease, ...]: ...

    def abandoned(self) -> tuple[Lease, ...]: ...


@final
class DriverStore(Driven[D]):
    """The store as the run's only driver has it: it records while it holds the run, no longer."""

    def __init__(self, store: Driven[D], driver: Lease) -> None:
        self._store, self._driver = store, driver

    def trials(self) -> tuple[D, ...]:
        """Every finished trial, by number."""
        return self._store.trials()

    def record(self, trial: D, lease: Lease | None = None, *, driver: Lease | None = None) -> D:
        """See `SqlStore.record`. Raises RunStopped when another has taken over."""
        return self._store.record(trial, lease, driver=driver or self._driver)

    def claim(
        self,
        key: str,
        *,
        worker: str,
        lease_s: float = LEASE_S,
        most_attempts: int = ANY_NUMBER,
    ) -> Lease | None:
        """See `SqlStore.claim`."""
        return self._store.claim(key, worker=worker, lease_s=lease_s, most_attempts=most_attempts)

    def renew(self, lease: Lease) -> bool:
        """See `SqlStore.renew`."""
        return self._store.renew(lease)

    def release(self, lease: Lease) -> None:
        """See `SqlStore.release`."""
        self._store.release(lease)

    def held(self) -> tuple[Lease, ...]:
        """Of candidates, and the driver's own."""
        return self._store.held()

    def abandoned(self) -> tuple[Lease, ...]:
        """See `SqlStore.abandoned`."""
        return self._store.abandoned()


@contextmanager
def driver(
    store: Driven[D], *, say: Callable[[str], None], lease_s: float = LEASE_S
) -> Iterator[DriverStore[D]]:
    """Drive the run until the block ends; a thread gives the signs of life meanwhile.

    Args:
        say: tells the user why there is a wait.
        lease_s: silence after which another process may go on with the run, seconds.

    Raises:
        UsageError: another process drives it.
    """
    lease = _taken(store, say=say, lease_s=lease_s)
    try:
        with heartbeat(lease, store.renew):
            yield DriverStore(store, lease)
    finally:
        with suppress(StorageError):  # then its silence tells that it has ended
            store.release(lease)


def _taken(store: Driven[D], *, say: Callable[[str], None], lease_s: float) -> Lease:
    worker = f"{this_worker()}/{uuid4().hex[:6]}"  # two machines may share name and process id
    end_s: float | None = None
    while True:
        lease = store.claim(DRIVER, worker=worker, lease_s=lease_s, most_attempts=ANY_NUMBER)
        if lease is not None:
            return lease
        other = next((one for one in store.held() if one.key == DRIVER), None)
        if other is None:
            continue  # it has just ended
        if end_s is None:
            end_s = time.monotonic() + MARGIN * other.lease_s
            if not is_alive_here(other.process):
                say(f"{_told(other)} had this run; watching {other.lease_s:g} s whether it lives")
        if is_alive_here(other.process) or time.monotonic() > end_s:
            raise _at_work(other)
        time.sleep(ASK_S)


def _told(driver: Lease) -> str:
    host, pid, _ = driver.worker.rsplit("/", 2)
    return f"process {pid} on {host}"


def _at_work(other: Lease) -> UsageError:
    return UsageError(
        f"{_told(other)} is at work on this run",
        code="FW121",
        remedy="Wait until it has ended and go on with `fitwright tune RUN`; should it die, the "
        f"run is free {other.lease_s:g} s after its last sign of life.",
    )

"""Ask and tell for workers that share a store: claim, beat, record; give up what is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from fitwright.store.heartbeat import heartbeat
from fitwright.store.lease import LEASE_S, Lease

D = TypeVar("D")


class Claims(Protocol[D]):
    """The part of a store that this module uses."""

    def claim(self, key: str, *, worker: str, lease_s: float = ...) -> Lease | None: ...

    def renew(self, lease: Lease) -> bool: ...

    def release(self, lease: Lease) -> None: ...

    def abandoned(self) -> tuple[Lease, ...]: ...

    def record(self, trial: D, lease: Lease | None = None) -> D: ...


def ask(
    store: Claims[D], keys: Iterable[str], *, worker: str, lease_s: float = LEASE_S
) -> Lease | None:
    """The first of these candidates that nobody has; None when all are done or in hands."""
    claims = (store.claim(key, worker=worker, lease_s=lease_s) for key in keys)
    return next((lease for lease in claims if lease is not None), None)


def tell(store: Claims[D], lease: Lease, measure: Callable[[], D]) -> D:
    """Measure the candidate while a thread keeps the lease alive, and store the trial.

    When `measure` raises or is interrupted, the candidate is given back untried.

    Returns:
        The trial as it is stored; another worker's when this one was thought dead.
    """
    measured = False
    try:
        with heartbeat(lease, store.renew):
            trial = measure()
        measured = True
    finally:
        if not measured:
            store.release(lease)
    return store.record(trial, lease)


def give_up(store: Claims[D], failed: Callable[[Lease], D | None]) -> list[D]:
    """Record a failed trial for every candidate whose retry died as well.

    Args:
        failed: the trial that says so, see `Trial.given_up`; None for a candidate that
            this worker does not know.
    """
    lost = [(lease, failed(lease)) for lease in store.abandoned() if lease.is_last]
    return [store.record(trial, lease) for lease, trial in lost if trial is not None]

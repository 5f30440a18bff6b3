"""What is never lost."""

from __future__ import annotations

from typing import Protocol

from fitwright.records.trial import Trial
from fitwright.store.lease import Lease


class TrialStore(Protocol):
    """Trials of one run, and who is at work on which candidate.

    Any number of threads, processes and machines may share one. Every method that writes
    raises StorageError and then has changed nothing.
    """

    def trials(self) -> tuple[Trial, ...]:
        """Every finished trial, by number."""
        ...

    def record(
        self, trial: Trial, lease: Lease | None = None, *, driver: Lease | None = None
    ) -> Trial:
        """Store a finished trial for good and end the lease; gives it as it is stored.

        The same trial again changes nothing; a number taken by another is replaced by the
        next free one; of two results of one claimed candidate the first counts. Raises
        RunStopped when the driver has lost its lease of the run.
        """
        ...

    def claim(
        self, key: str, *, worker: str, lease_s: float = ..., most_attempts: int = ...
    ) -> Lease | None:
        """Take on a candidate; None when it is done, in good hands, or given up."""
        ...

    def renew(self, lease: Lease) -> bool:
        """One sign of life; False when the lease was lost or has ended."""
        ...

    def release(self, lease: Lease) -> None:
        """Give a candidate back untried; the attempt does not count."""
        ...

    def held(self) -> tuple[Lease, ...]:
        """Every lease that has neither ended nor been given back."""
        ...

    def abandoned(self) -> tuple[Lease, ...]:
        """Leases whose worker has stopped answering; `Lease.is_last`: nobody may retry."""
        ...

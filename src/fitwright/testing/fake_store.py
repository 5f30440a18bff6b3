"""A trial store in memory: what the real ones promise, without a database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fitwright.records.trial import Trial
from fitwright.store.lease import LEASE_S, MOST_ATTEMPTS, Lease, taken_over


@dataclass
class _Claim:
    """One candidate's row: the last lease, whether it is held, and the trial that ended it."""

    lease: Lease
    held: bool = True
    number: int | None = None
    beat_s: float = 0.0


@dataclass(kw_only=True)
class FakeStore:
    """Keeps trials and leases in dictionaries; a worker dies by not renewing on `clock`."""

    clock: Callable[[], float] = time.monotonic
    _trials: dict[int, Trial] = field(default_factory=dict)
    _claims: dict[str, _Claim] = field(default_factory=dict)

    def trials(self) -> tuple[Trial, ...]:
        """By number."""
        return tuple(self._trials[number] for number in sorted(self._trials))

    def record(
        self, trial: Trial, lease: Lease | None = None, *, driver: Lease | None = None
    ) -> Trial:
        """The first result of a claimed candidate counts."""
        if driver is not None and not self.renew(driver):
            raise taken_over(driver)
        claim = self._claims[lease.key] if lease is not None else None
        if claim is not None and claim.number is not None:
            return self._trials[claim.number]
        if self._trials.get(trial.number, trial) != trial:
            trial = trial.model_copy(update={"number": max(self._trials) + 1})
        self._trials[trial.number] = trial
        if claim is not None:
            claim.number, claim.held = trial.number, False
        return trial

    def claim(
        self,
        key: str,
        *,
        worker: str,
        lease_s: float = LEASE_S,
        most_attempts: int = MOST_ATTEMPTS,
    ) -> Lease | None:
        """New, given back, or abandoned once."""
        lease = Lease(key=key, worker=worker, process="", attempt=1, lease_s=lease_s)
        claim = self._claims.get(key)
        if claim is not None:
            if claim.held and claim.lease.worker == worker:
                return claim.lease
            tried_out = claim.lease.attempt >= most_attempts
            if claim.number is not None or (claim.held and (tried_out or not self._old(claim))):
                return None
            lease = replace(lease, attempt=claim.lease.attempt + 1)
        self._claims[key] = _Claim(lease=lease, beat_s=self.clock())
        return lease

    def renew(self, lease: Lease) -> bool:
        """Only for the one who holds it."""
        claim = self._claims.get(lease.key)
        if claim is None or not claim.held or claim.lease != lease:
            return False
        claim.beat_s = self.clock()
        return True

    def release(self, lease: Lease) -> None:
        """As if it had never been claimed, the earlier attempts apart."""
        if self.renew(lease):
            claim = self._claims[lease.key]
            claim.held, claim.lease = False, replace(lease, attempt=lease.attempt - 1)

    def held(self) -> tuple[Lease, ...]:
        """By key."""
        return tuple(c.lease for _, c in sorted(self._claims.items()) if c.held)

    def abandoned(self) -> tuple[Lease, ...]:
        """Those that were not renewed in time."""
        return tuple(c.lease for _, c in sorted(self._claims.items()) if c.held and self._old(c))

    def _old(self, claim: _Claim) -> bool:
        return self.clock() - claim.beat_s > claim.lease.lease_s

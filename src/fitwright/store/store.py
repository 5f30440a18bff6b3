"""Trials and leases of one run, in any database: the same statements everywhere.

Whether a worker is alive is told without comparing clocks. A worker counts its beats in the
database; another sees the count and, on its own monotonic clock, how long it has stood
still. So neither skew between machines nor a clock that is set back can end a lease early.
On the same machine the process itself is looked up, which needs no waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar, final

from fitwright.errors import StorageError
from fitwright.store import sql
from fitwright.store.database import Database, Row, Statements
from fitwright.store.lease import (
    LEASE_S,
    MOST_ATTEMPTS,
    Lease,
    is_gone,
    taken_over,
    this_process,
)


class Document(Protocol):
    """What is stored: a frozen record with a number of its own."""

    @property
    def number(self) -> int: ...

    def model_copy(self, *, update: Mapping[str, object] | None = None) -> Self: ...

    def model_dump_json(self) -> str: ...


T = TypeVar("T", bound=Document)


@dataclass(frozen=True)
class _Seen:
    """A lease's beats, and when this process first saw that many."""

    beats: int
    since_s: float


@final
class SqlStore(Generic[T]):
    """Never loses what `record` has returned; any number of workers, threads and machines.

    Args:
        database: where the tables are.
        read: a document from its text; raises for one that it cannot read.
        run: which run of the database.
        clock: seconds, monotonic; of this process alone.
    """

    def __init__(
        self,
        database: Database,
        *,
        read: Callable[[str], T],
        run: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._read, self._run, self._clock = database, read, run, clock
        self._is_ready = False
        self._known: dict[int, T] = {}
        self._seen: dict[Lease, _Seen] = {}

    # --- trials ----------------------------------------------------------------------

    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return not self._database.holds(sql.CLAIMS)

    def trials(self) -> tuple[T, ...]:
        """Every finished trial, by number; what was read before is not read again."""
        if self.is_new():
            return ()
        with self._database.reading() as run:
            here = {"run": self._run}
            numbers = [number for (number,) in run(sql.NUMBERS, here).rows]
            missing = [n for n in numbers if n not in self._known]
            first = {"first": missing[0] if missing else 0}
            rows = run(sql.DOCUMENTS, here | first).rows if missing else ()
        for number, text in rows:
            if number not in self._known:
                self._known[number] = self._read(text)
        return tuple(self._known[number] for number in numbers)

    def record(self, trial: T, lease: Lease | None = None, *, driver: Lease | None = None) -> T:
        """Store one finished trial; once this returns, it is never lost.

        Storing the same trial again changes nothing. A number that another trial has by now
        is replaced by the next free one. With a lease the first result of a candidate is
        the one that counts, whoever brings it.

        Args:
            driver: the caller's lease of the whole run; one beat more for it.

        Returns:
            The trial as it is stored; another worker's when that one came first.

        Raises:
            StorageError: nothing was stored.
            RunStopped: the driver has lost its lease to another; nothing was stored.
        """
        with self._writing(num_bytes=len(trial.model_dump_json())) as run:
            if driver is not None and not self._renewed(run, driver):
                raise taken_over(driver)
            kept = self._ended(run, lease) or self._added(run, trial)
            if lease is not None:
                ended = {"run": self._run, "candidate": lease.key, "number": kept.number}
                run(sql.END_CLAIM, ended)
        self._known[kept.number] = kept
        return kept

    def adopt(self, trials: Sequence[T]) -> None:
        """Store trials from elsewhere under their own numbers, all or none; known ones stay."""
        with self._writing(num_bytes=sum(len(t.model_dump_json()) for t in trials)) as run:
            have = {number for (number,) in run(sql.NUMBERS, {"run": self._run}).rows}
            for trial in trials:
                if trial.number not in have:
                    self._insert(run, trial)

    def _ended(self, run: Statements, lease: Lease | None) -> T | None:
        """The result that another worker has brought already."""
        if lease is None:
            return None
        found = run(sql.CLAIM, {"run": self._run, "candidate": lease.key}).rows
        if not found or found[0][0] != sql.DONE:
            return None
        return self._stored(run, found[0][1])

    def _added(self, run: Statements, trial: T) -> T:
        there = self._stored(run, trial.number)
        if there == trial:
            return trial
        if there is not None:
            ((last,),) = run(sql.LAST_NUMBER, {"run": self._run}).rows
            trial = trial.model_copy(update={"number": last + 1})
        self._insert(run, trial)
        return trial

    def _stored(self, run: Statements, number: int) -> T | None:
        rows = run(sql.DOCUMENT, {"run": self._run, "number": number}).rows
        return self._read(rows[0][0]) if rows else None

    def _insert(self, run: Statements, trial: T) -> None:
        text = trial.model_dump_json()
        run(sql.ADD_TRIAL, {"run": self._run, "number": trial.number, "document": text})

    # --- leases ----------------------------------------------------------------------

    def claim(
        self,
        key: str,
        *,
        worker: str,
        lease_s: float = LEASE_S,
        most_attempts: int = MOST_ATTEMPTS,
    ) -> Lease | None:
        """Take on a candidate; None when it is done, in good hands, or given up.

        A candidate whose worker is gone may be taken on once more. A worker that asks for
        what it holds already is given the same lease again.

        Args:
            worker: name of the asking worker, unique in the run.
            lease_s: the silence after which others may think it dead, seconds; renew at
                least three times as often.
            most_attempts: how many workers may die of it before nobody tries again.
        """
        mine = {"worker": worker, "process": this_process(), "lease_s": lease_s}
        here = {"run": self._run, "candidate": key}
        with self._writing(num_bytes=len(key)) as run:
            found = run(sql.CLAIM, here).rows
            if not found:
                run(sql.ADD_CLAIM, here | mine)
                return Lease(key=key, attempt=1, **mine)  # type: ignore[arg-type]
            state, _, *rest = found[0]
            lease, beats = _lease(rest)
            if state == sql.HELD and lease.worker == worker:
                return lease
            if state == sql.DONE:
                return None
            tried_out = lease.attempt >= most_attempts
            if state == sql.HELD and (tried_out or not self._silent(lease, beats)):
                return None
            run(sql.TAKE_CLAIM, here | mine)
            return Lease(key=key, attempt=lease.attempt + 1, **mine)  # type: ignore[arg-type]

    def renew(self, lease: Lease) -> bool:
        """One beat; False when the lease was lost to another worker or has ended."""
        with self._writing(num_bytes=len(lease.key)) as run:
            return self._renewed(run, lease)

    def release(self, lease: Lease) -> None:
        """Give a candidate back untried; the attempt does not count."""
        with self._writing(num_bytes=len(lease.key)) as run:
            run(sql.FREE_CLAIM, self._mine(lease))

    def held(self) -> tuple[Lease, ...]:
        """Every lease that has neither ended nor been given back, dead workers' included."""
        return tuple(lease for lease, _ in self._held())

    def abandoned(self) -> tuple[Lease, ...]:
        """Leases whose worker has stopped answering.

        The first call begins to watch: a worker of another machine counts as gone once its
        beats have stood still for `lease_s` of this process's own time.
        """
        return tuple(lease for lease, beats in self._held() if self._silent(lease, beats))

    def _held(self) -> list[tuple[Lease, int]]:
        if self.is_new():
            return []
        with self._database.reading() as run:
            return [_lease(row) for row in run(sql.HELD_CLAIMS, {"run": self._run}).rows]

    def _renewed(self, run: Statements, lease: Lease) -> bool:
        return run(sql.RENEW_CLAIM, self._mine(lease)).num_changed == 1

    def _silent(self, lease: Lease, beats: int) -> bool:
        if is_gone(lease.process):
            return True
        now_s = self._clock()
        seen = self._seen.get(lease)
        if seen is None or seen.beats != beats:
            self._seen[lease] = seen = _Seen(beats, now_s)
        return now_s - seen.since_s > lease.lease_s

    def _mine(self, lease: Lease) -> dict[str, object]:
        return {
            "run": self._run,
            "candidate": lease.key,
            "worker": lease.worker,
            "attempt": lease.attempt,
        }

    # --- transactions ----------------------------------------------------------------

    @contextmanager
    def _writing(self, *, num_bytes: int) -> Iterator[Statements]:
        """A transaction that holds the run's lock from its first statement on."""
        if not self._is_ready:
            self._once(sql.SCHEMA, there=lambda: not self.is_new())
            self._once((sql.ADD_RUN,), there=self._has_run)
            self._is_ready = True
        with self._database.writing(num_bytes=num_bytes) as run:
            run(sql.LOCK_RUN, {"run": self._run})
            yield run

    def _once(self, statements: Sequence[str], *, there: Callable[[], bool]) -> None:
        """Make what every worker needs; that another made it at the same moment is no error."""
        if there():
            return
        try:
            with self._database.writing(num_bytes=sum(map(len, statements))) as run:
                for statement in statements:
                    run(statement, {"run": self._run})
        except StorageError:
            if not there():
                raise

    def _has_run(self) -> bool:
        with self._database.reading() as run:
            return bool(run(sql.RUN, {"run": self._run}).rows)


def _lease(row: Row | Sequence[object]) -> tuple[Lease, int]:
    key, worker, process, attempt, beats, lease_s = row
    lease = Lease(
        key=str(key),
        worker=str(worker),
        process=str(process),
        attempt=int(str(attempt)),
        lease_s=float(str(lease_s)),
    )
    return lease, int(str(beats))

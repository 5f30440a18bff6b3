"""A database in one file, by Python's own SQLite: a rollback journal, synced in full.

A write-ahead log would be as fast, but leaves a second file behind after a kill that holds
finished trials, grows by megabytes on a small disk, and does not work on network folders.
The journal is kept between transactions (``PERSIST``), because making and deleting it costs
ten times the rest; its header is zeroed on commit, so the database file alone is whole
whenever no transaction is open. See docs/decisions/0004.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import final

from fitwright.errors import FitwrightError, StorageError, UsageError
from fitwright.store.database import Answer, Statements

BUSY_S = 30.0
"""How long a process waits for another's transaction."""

_FULL = {sqlite3.SQLITE_FULL}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FREE_SPACE = "Free some space and run `fitwright tune RUN` to go on from the last trial."


@final
class SqliteFile:
    """Opened anew for every transaction: threads and forks share nothing, nothing stays open.

    Attributes:
        path: of the file; made, with its folder, by the first write.
        busy_s: patience with other writers, seconds.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self.path, self.busy_s = path, busy_s

    def holds(self, table: str) -> bool:
        """Whether the file is there and has that table."""
        if not self.path.is_file():
            return False
        with self.reading() as run:
            query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
            return bool(run(query, {"name": table}).rows)

    @contextmanager
    def reading(self) -> Iterator[Statements]:
        """One consistent view; undoes what a killed writer left half-done.

        Raises:
            StorageError: locked for too long, or not readable.
            UsageError: the file is damaged.
        """
        try:
            connection = self._connect("rw")
            try:
                connection.execute("BEGIN")
                yield _statements(connection)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._told(error, 0) from error

    @contextmanager
    def writing(self, *, num_bytes: int) -> Iterator[Statements]:
        """See `Database.writing`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connect("rwc")
            try:
                connection.execute("PRAGMA journal_mode = PERSIST")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                yield _statements(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()  # rolls back what was not committed
        except (sqlite3.Error, OSError) as error:
            raise self._told(error, num_bytes) from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=self.busy_s, isolation_level=None)

    def _told(self, error: sqlite3.Error | OSError, num_bytes: int) -> FitwrightError:
        """The user's words for what went wrong with the file."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells where it happened
        folder = self.path.parent
        if code in _DAMAGED:
            return UsageError(
                f"{self.path} is no trial store this version reads: {error}",
                code="FW102",
                remedy="Put back a copy of the file, or start a new run with `fitwright fit`.",
            )
        if code in _BUSY:
            return StorageError(
                f"{self.path} was locked by another process for {self.busy_s:g} s",
                code="FW522",
                remedy="End the other process that works on this run, then go on with "
                "`fitwright tune RUN`.",
            )
        full = code in _FULL or getattr(error, "errno", None) == 28
        what = "No space left on device" if full else str(error)
        return StorageError(
            f"cannot write {num_bytes} bytes under {folder}: {what}",
            code="FW520" if full else "FW521",
            remedy=_FREE_SPACE
            if full
            else "Choose another folder with --runs, or change its permissions.",
        )


def _statements(connection: sqlite3.Connection) -> Statements:
    def run(sql: str, values: Mapping[str, object], /) -> Answer:
        cursor = connection.execute(sql, dict(values))
        return Answer(rows=cursor.fetchall(), num_changed=cursor.rowcount)

    return run

"""From a path or a URL to a store."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fitwright.store.database import Database
from fitwright.store.sqlite import SqliteFile
from fitwright.store.store import SqlStore, T
from fitwright.store.url import UrlDatabase

_SQLITE = "sqlite:///"


def file_store(path: Path, *, read: Callable[[str], T]) -> SqlStore[T]:
    """The store of one run, in a file of its own."""
    return SqlStore(SqliteFile(path), read=read)


def url_store(
    url: str,
    *,
    run: str,
    read: Callable[[str], T],
    clock: Callable[[], float] = time.monotonic,
) -> SqlStore[T]:
    """A store that several workers share.

    Args:
        url: ``postgresql://user@host/name``, any other that SQLAlchemy reads, or
            ``sqlite:///path`` (four slashes for an absolute one), which needs no extra.
        run: which run of that database.
        clock: seconds, monotonic; see `SqlStore`.

    Raises:
        BackendMissing: SQLAlchemy or the driver is not installed.
        UsageError: this is no URL of a database.
    """
    database: Database
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        database = SqliteFile(Path(url.removeprefix(_SQLITE)))
    else:
        database = UrlDatabase(url)
    return SqlStore(database, read=read, run=run, clock=clock)

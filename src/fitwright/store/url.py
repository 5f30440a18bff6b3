"""A database by its URL, through SQLAlchemy: the extra ``store``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from fitwright.errors import BackendMissing, StorageError, UsageError
from fitwright.store.database import Answer, Statements

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
}
"""What a URL without a driver means; the first is the one that the extra installs."""
_EXTRA, _IN_EXTRA = "'fitwright[store]'", ("sqlalchemy", "psycopg")


@final
class UrlDatabase:
    """Connects anew for every transaction, so a database that was restarted is no matter.

    Args:
        url: as SQLAlchemy reads it, ``postgresql://user:password@host/name``. It is kept in
            memory only: it may hold a password.

    Raises:
        BackendMissing: SQLAlchemy or the driver is not installed.
        UsageError: this is no URL of a database.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._place = self._engine.url.render_as_string(hide_password=True)

    def holds(self, table: str) -> bool:
        """Whether the database has that table."""
        from sqlalchemy import inspect
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return bool(inspect(self._engine).has_table(table))
        except SQLAlchemyError as error:
            raise self._told(error, 0) from error

    @contextmanager
    def reading(self) -> Iterator[Statements]:
        """One transaction that is rolled back."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine.connect() as connection:
                yield _statements(connection)
        except SQLAlchemyError as error:
            raise self._told(error, 0) from error

    @contextmanager
    def writing(self, *, num_bytes: int) -> Iterator[Statements]:
        """See `Database.writing`."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine.begin() as connection:
                yield _statements(connection)
        except SQLAlchemyError as error:
            raise self._told(error, num_bytes) from error

    def _told(self, error: Exception, num_bytes: int) -> StorageError:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        return StorageError(
            f"the trial store {self._place} did not take {num_bytes} bytes: "
            f"{cause[0] if cause else type(error).__name__}",
            code="FW523",
            remedy="See that the database is up, has room and lets this user make tables; then "
            "go on with `fitwright tune RUN`.",
        )


def _engine(url: str) -> Engine:
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme:
        raise UsageError(
            f"{url!r} is no URL of a database",
            code="FW160",
            remedy="Write it as postgresql://user@host/name or sqlite:///trials.db.",
        )
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from sqlalchemy.pool import NullPool
    except ImportError as error:
        raise _missing("sqlalchemy") from error
    try:
        known = f"{DRIVERS.get(scheme, scheme)}://{rest}"
        return create_engine(known, poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(
            f"no database speaks '{scheme}': {str(error).splitlines()[0]}",
            code="FW160",
            remedy="Write it as postgresql://user@host/name or sqlite:///trials.db.",
        ) from error
    except ImportError as error:
        raise _missing(error.name or scheme) from error


def _missing(package: str) -> BackendMissing:
    return BackendMissing(
        f"a trial store in a database needs the package '{package}', which is not installed",
        code="FW308",
        remedy=f"pip install {package if package not in _IN_EXTRA else _EXTRA}",
    )


def _statements(connection: Connection) -> Statements:
    from sqlalchemy import text

    def run(sql: str, values: Mapping[str, object], /) -> Answer:
        statement = text(sql)
        named: dict[str, Any] = {n: v for n, v in values.items() if n in statement._bindparams}
        result = connection.execute(statement, named)
        rows = [tuple(row) for row in result] if result.returns_rows else []
        return Answer(rows=rows, num_changed=result.rowcount)

    return run

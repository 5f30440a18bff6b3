"""What the store needs of a database: transactions, one writer of a run at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one statement gave: its rows, and how many it changed."""

    rows: Sequence[Row] = ()
    num_changed: int = 0


class Statements(Protocol):
    """Runs one statement inside the transaction that is open."""

    def __call__(self, sql: str, values: Mapping[str, object], /) -> Answer: ...


class Database(Protocol):
    """A place for the tables."""

    def holds(self, table: str) -> bool:
        """Whether the table was made; never makes anything."""
        ...

    def reading(self) -> AbstractContextManager[Statements]:
        """A transaction that changes nothing."""
        ...

    def writing(self, *, num_bytes: int) -> AbstractContextManager[Statements]:
        """A transaction that is on disk, whole, once the block has ended without error.

        Args:
            num_bytes: about what it writes, for the message when there is no room.

        Raises:
            StorageError: full, not writable, locked for too long or out of reach; then
                nothing of the transaction has happened.
        """
        ...

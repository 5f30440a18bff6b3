"""A run on disk: the numbered records and the trials, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from fitwright.errors import StorageError, UsageError
from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.front import Front
from fitwright.records.ledger import Ledger
from fitwright.records.need import Analysis
from fitwright.records.origin import Origin
from fitwright.records.plan import Plan
from fitwright.records.recipe import Adapted
from fitwright.records.record import Record
from fitwright.records.selection import Selection
from fitwright.records.taken_apart import TakenApart
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.store.open import file_store

if TYPE_CHECKING:
    from fitwright.ports import TrialStore
    from fitwright.store.lease import Lease

R = TypeVar("R", bound=Record)

FILES: dict[type[Record], str] = {
    Origin: "origin.json",
    Contract: "contract.json",
    Environment: "environment.json",
    Analysis: "1-analysis.json",
    Selection: "2-selection.json",
    Plan: "3-plan.json",
    Adapted: "4-adapted.json",
    Verdict: "6-verdict.json",
    Ledger: "ledger.json",
    Front: "front.json",
    TakenApart: "taken-apart.json",
}
TRIALS = "trials.db"


def write_atomically(path: Path, content: bytes) -> None:
    """The file holds all of `content` or what it held before.

    Raises:
        StorageError: the disk is full or may not be written; nothing half-written is left,
            no empty folder either.
    """
    temporary: str | None = None
    made: list[Path] = []
    try:
        made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        _remove_empty(made)
        raise storage_error(error, path.parent, len(content)) from error


def _remove_empty(folders: list[Path]) -> None:
    """Innermost first; what holds something by now stays."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def storage_error(error: OSError, folder: Path, num_bytes: int) -> StorageError:
    """The message for a disk that is full or may not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageError(
        f"cannot write {num_bytes} bytes under {folder}: {os.strerror(error.errno or 0)}",
        code="FW520" if full else "FW521",
        remedy="Free some space and run `fitwright tune RUN` to go on from the last trial."
        if full
        else "Choose another folder with --runs, or change its permissions.",
    )


def _loaded(kind: type[R], file: Path) -> R:
    try:
        return kind.from_file(file)
    except ValidationError as error:
        raise UsageError(
            f"{file} is not a {kind.__name__} this version reads: "
            f"{error.error_count()} problem(s), first: {error.errors()[0]['msg']}",
            code="FW102",
            remedy="Start a new run with `fitwright fit`.",
        ) from error


class RunFolder:
    """Paths and records of one run; reading never changes anything.

    Args:
        path: ``runs/<name>/``, with ``trials.db``, ``variants/``, ``data/`` beneath.
        shared: a store that several workers write into; ``trials.db`` then keeps a copy, so
            the folder can be moved and read without it. Default: ``trials.db`` alone.

    Attributes:
        store: where trials are recorded and candidates claimed.
        is_shared: whether that is a database which other folders may share.
    """

    def __init__(self, path: Path, *, shared: TrialStore | None = None) -> None:
        self.path = path
        self.variants = path / "variants"
        self.data = path / "data"
        self.report = path / "report.html"
        self.bundle = path / "bundle"
        self._own = file_store(path / TRIALS, read=Trial.model_validate_json)
        self.store: TrialStore = self._own if shared is None else shared
        self.is_shared = shared is not None

    def write(self, record: Record) -> None:
        """Store one of the run's records under its numbered name."""
        write_atomically(self.path / FILES[type(record)], record.to_json().encode())

    def read(self, kind: type[R]) -> R:
        """Load one of the run's records.

        Raises:
            UsageError: this is no run, or the run has not come that far.
        """
        file = self.path / FILES[kind]
        if not file.is_file():
            raise UsageError(
                f"{self.path} holds no {FILES[kind]}; it is not a run or has not come that far",
                code="FW101",
                remedy="Give the folder that `fitwright fit` printed, such as runs/digits-1.",
            )
        return _loaded(kind, file)

    def has(self, kind: type[Record]) -> bool:
        """Whether that record was written."""
        return (self.path / FILES[kind]).is_file()

    def record_trial(self, trial: Trial, lease: Lease | None = None) -> Trial:
        """Store one finished trial; once this returns, it is never lost.

        Args:
            lease: of the worker that claimed the candidate, where several share the run.

        Returns:
            The trial as it is stored: under the next free number when another has its own
            by now, or another worker's when that one finished the same candidate first.
        """
        if (old := self._one_file_each()) and not self._own.trials():
            self._own.adopt(old)
        kept = self.store.record(trial, lease)
        if self.store is not self._own:
            self._own.adopt((kept,))
        return kept

    def trials(self) -> tuple[Trial, ...]:
        """Every finished trial, in order.

        Raises:
            UsageError: one of them is damaged.
        """
        try:
            found = self.store.trials()
            if self.store is not self._own and found:
                self._own.adopt(found)
        except ValidationError as error:
            raise UsageError(
                f"{self.path / TRIALS} holds a trial that this version does not read: "
                f"{error.error_count()} problem(s), first: {error.errors()[0]['msg']}",
                code="FW102",
                remedy="Start a new run with `fitwright fit`.",
            ) from error
        return found or self._one_file_each()

    def _one_file_each(self) -> tuple[Trial, ...]:
        """Trials as runs before ``trials.db`` kept them."""
        folder = self.path / "trials"
        return tuple(_loaded(Trial, f) for f in sorted(folder.glob("[0-9]*.json")))

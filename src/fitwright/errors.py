"""Every exception Fitwright raises, with its stable code and exit status.

::

    FitwrightError               FW1xx usage       exit 2
    ├── UsageError               FW100, FW160      exit 2
    ├── ContractError            FW110 .. FW129    exit 2
    │   └── DataError            FW130 .. FW149    exit 2 (and FW152)
    ├── ModelRefused             FW200 .. FW249    exit 3
    ├── BackendMissing           FW300 .. FW319    exit 4
    ├── PlanError                FW320 .. FW339    exit 4
    ├── TrialFailed              FW400 .. FW449    exit 1; inside a run a value
    ├── RunStopped               FW500 .. FW519    exit 5
    └── StorageError             FW520 .. FW539    exit 5

A message gives the rule, the values and the remedy, in the user's words. Each code has
a page in ``fitwright explain CODE``; the texts are in ``explain.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """What the process returns; the public table of the design."""

    MET = 0
    NOT_MET = 1
    USAGE = 2
    MODEL_REFUSED = 3
    MISSING = 4
    STOPPED = 5
    BUG = 70
    INTERRUPTED = 130


class FitwrightError(Exception):
    """Something the user can act on.

    Args:
        rule: what must hold and the value that breaks it, one or two sentences.
        code: stable, ``FW`` and three digits; explained by ``fitwright explain``.
        remedy: what to do next; may hold a command.
    """

    exit: Exit = Exit.USAGE

    def __init__(self, rule: str, *, code: str, remedy: str = "") -> None:
        super().__init__(rule)
        self.rule = rule
        self.code = code
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.rule}\n{self.remedy}" if self.remedy else self.rule

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.rule, self.code, self.remedy)


def _rebuilt(kind: type[FitwrightError], rule: str, code: str, remedy: str) -> FitwrightError:
    """Errors cross process borders; keyword-only arguments need a hand to unpickle."""
    return kind(rule, code=code, remedy=remedy)


class UsageError(FitwrightError):
    """The command line or a call is wrong."""


class ContractError(FitwrightError):
    """The contract cannot be read or asks for the impossible."""


class DataError(ContractError):
    """The data or the labels do not fit the model or the metric."""


class ModelRefused(FitwrightError):
    """The model file is broken, hostile or beyond what Fitwright reads."""

    exit = Exit.MODEL_REFUSED


class BackendMissing(FitwrightError):
    """Hardware or a package this needs is not here."""

    exit = Exit.MISSING


class PlanError(FitwrightError):
    """The plan asks for something this device or backend cannot do."""

    exit = Exit.MISSING


class TrialFailed(FitwrightError):
    """A trial died; inside a run it becomes a value with this cause and the run goes on.

    Args:
        code: by default the one of the cause.
        cause: one word of `records.trial.Cause`.
        detail: the exception, the signal or the limit; shortened to one line.
    """

    exit = Exit.NOT_MET
    CODES: ClassVar[Mapping[str, str]] = {
        "raised": "FW400",
        "crashed": "FW401",
        "killed": "FW402",
        "timeout": "FW403",
        "memory": "FW404",
        "output": "FW405",
        "disagrees": "FW406",
        "not_finite": "FW407",
    }

    def __init__(
        self,
        rule: str,
        *,
        code: str = "",
        remedy: str = "",
        cause: str = "raised",
        detail: str = "",
    ) -> None:
        super().__init__(rule, code=code or self.CODES[cause], remedy=remedy)
        self.cause = cause
        self.detail = one_line(detail or rule)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt_trial, (self.rule, self.code, self.remedy, self.cause, self.detail)

    @classmethod
    def by(cls, error: BaseException, *, doing: str) -> TrialFailed:
        """What a foreign exception means for a trial; allocation failures count as memory."""
        text = one_line(str(error))
        no_memory = isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY)
        detail = f"{type(error).__name__}: {text}" if text else type(error).__name__
        cause = "memory" if no_memory else "raised"
        return cls(f"{doing} failed: {detail}", cause=cause, detail=detail)


_NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory", "Cannot allocate memory")


def one_line(text: str, *, length: int = 300) -> str:
    """The first line that says something, at most `length` characters."""
    line = next((stripped for raw in text.splitlines() if (stripped := raw.strip())), "")
    return line if len(line) <= length else line[: length - 1] + "…"


def _rebuilt_trial(rule: str, code: str, remedy: str, cause: str, detail: str) -> TrialFailed:
    return TrialFailed(rule, code=code, remedy=remedy, cause=cause, detail=detail)


class RunStopped(FitwrightError):
    """The run ended early; nothing finished is lost and ``fitwright tune RUN`` resumes."""

    exit = Exit.STOPPED


class StorageError(RunStopped):
    """The disk is full or may not be written."""

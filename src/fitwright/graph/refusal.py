"""Refusals in the user's words, safe to print whatever the file says."""

from __future__ import annotations

from collections.abc import Iterable

from fitwright.errors import ModelRefused

LONGEST_NAME = 80


def shown(text: object, *, limit: int = LONGEST_NAME) -> str:
    """A name from an untrusted file: one line, no control characters, cut at `limit`."""
    clean = "".join(c if c.isprintable() else "?" for c in str(text)[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def some(names: Iterable[str], *, most: int = 5) -> str:
    """The first names of a list that may be long, e.g. ``a, b, c and 7 more``."""
    every = [shown(n) for n in names]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")


def refused(code: str, rule: str, remedy: str) -> ModelRefused:
    """The exception to raise; `rule` and `remedy` are built from `shown` names."""
    return ModelRefused(rule, code=code, remedy=remedy)

"""Functions that the contract names as ``package.module:function``: the user's own code.

The one place of this room that meets any exception: what a user's code raises is turned
into one line that says where and what.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fitwright.errors import DataError

_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Whether `text` reads ``package.module:function``."""
    return _REFERENCE.fullmatch(text) is not None


def load_function(reference: str, folder: Path) -> Callable[..., Any]:
    """Import the function; modules beside the contract come first.

    Raises:
        DataError: no such module or function, it cannot be called, or importing it raised.
    """
    module_name, name = reference.split(":")
    with _beside(folder), _told(reference, "importing"):
        function = getattr(importlib.import_module(module_name), name, None)
    if callable(function):
        found: Callable[..., Any] = function
        return found
    raise DataError(
        f"{module_name} has no function '{name}'",
        code="FW142",
        remedy=f"Define it in {module_name} or correct '{reference}' in the contract.",
    )


def call(reference: str, folder: Path) -> Any:
    """What the function returns; what it prints goes to stderr.

    Raises:
        DataError: as `load_function`, or calling it raised.
    """
    function = load_function(reference, folder)
    with _beside(folder), _told(reference, "calling"), contextlib.redirect_stdout(sys.stderr):
        return function()


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """The contract's folder is importable for a moment."""
    entry = str(folder.absolute())
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


@contextlib.contextmanager
def _told(reference: str, doing: str) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        last = " ".join(str(error).split())[:200]
        raise DataError(
            f"{doing} '{reference}' raised {type(error).__name__}: {last}",
            code="FW142",
            remedy="Correct the function; try it alone in Python from the contract's folder.",
        ) from error

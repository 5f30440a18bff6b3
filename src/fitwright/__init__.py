"""Fitwright: fit a trained model to hardware under a contract, and prove the fit.

    >>> import fitwright
    >>> verdict = fitwright.fit("contract.yaml")  # doctest: +SKIP

Importing the package loads no framework and no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitwright.errors import Exit, FitwrightError

if TYPE_CHECKING:
    from fitwright.records.contract import Contract
    from fitwright.records.run import RunFolder
    from fitwright.records.verdict import Verdict
    from fitwright.start import fit

__all__ = ["Contract", "Exit", "FitwrightError", "RunFolder", "Verdict", "fit"]

_HOMES = {
    "Contract": "fitwright.records.contract",
    "RunFolder": "fitwright.records.run",
    "Verdict": "fitwright.records.verdict",
    "fit": "fitwright.start",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fitwright' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

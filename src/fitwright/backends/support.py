"""What every runtime checks the same way: is it installed, what did it refuse."""

from __future__ import annotations

import os
from importlib import metadata, util
from pathlib import Path

from fitwright.errors import BackendMissing, PlanError
from fitwright.ports import Availability


def availability(package: str, *, extra: str) -> Availability:
    """Looks for the package without importing it."""
    missing = f'pip install "fitwright{f"[{extra}]" if extra else ""}"'
    if util.find_spec(package) is None:
        return Availability(version=None, missing=missing)
    try:
        return Availability(version=metadata.version(package))
    except metadata.PackageNotFoundError:
        return Availability(version=None)


def missing(package: str, *, extra: str) -> BackendMissing:
    """The error for an import that failed."""
    return BackendMissing(
        f"the backend '{package}' is not installed",
        code="FW301",
        remedy=f"Run `{availability(package, extra=extra).missing or f'pip install {package}'}`.",
    )


def refused(backend: str, setting: str, value: object, *, why: str) -> PlanError:
    """The error for a setting that this backend cannot honour here."""
    return PlanError(
        f"{backend} cannot honour {setting}={value}: {why}",
        code="FW332",
        remedy=f"Leave {setting} unset, or choose another backend.",
    )


def unreadable_type(backend: str, tensor: str, element_type: str) -> PlanError:
    """The error for an input or output that numpy has no type for."""
    return PlanError(
        f"{backend}: tensor '{tensor}' of the model has element type {element_type}, which numpy "
        "cannot hold",
        code="FW331",
        remedy="Add a Cast to float32 at that input or output of the model.",
    )


def num_tasks() -> int | None:
    """Threads of this process; None where the system does not tell."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return None


def num_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""What the run depends on: versions and machine, without host name, user or paths."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fitwright.records.environment import Environment

RELEVANT = (
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "openvino",
    "nncf",
    "torch",
    "pydantic",
    "psutil",
    "jinja2",
    "scikit-learn",
)
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def describe_environment(command: str) -> Environment:
    """Versions of Fitwright, Python, the system and every package a result can depend on.

    Args:
        command: what the user typed; it goes into the report to repeat the run.
    """
    packages = {name: v for name in _with_requirements(RELEVANT) if (v := version_of(name))}
    return Environment(
        fitwright=version_of("fitwright") or "unknown",
        python=platform.python_version(),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_name(),
        num_cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        packages=dict(sorted(packages.items())),
        command=command,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def version_of(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def requirements_of(package: str) -> tuple[str, ...]:
    """`package` and everything installed that it needs, without extras, sorted."""
    return tuple(sorted(n for n in _with_requirements((package,)) if version_of(n)))


def _with_requirements(packages: tuple[str, ...]) -> Iterator[str]:
    seen: set[str] = set()
    waiting = [normalised(p) for p in packages]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        waiting.extend(_direct_requirements(name))


def _direct_requirements(package: str) -> list[str]:
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    needed = (line for line in lines if "extra ==" not in line)
    return [normalised(m[0]) for line in needed if (m := _REQUIREMENT_NAME.match(line))]


def normalised(package: str) -> str:
    """The one spelling of a package name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def cpu_name() -> str:
    """The marketing name from the kernel, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()

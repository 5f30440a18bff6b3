"""Every error code and what to do about it; the texts behind ``fitwright explain CODE``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fitwright.explain.explanation import Explanation
from fitwright.explain.model import MODEL
from fitwright.explain.placing import PLACING
from fitwright.explain.running import RUNNING
from fitwright.explain.storage import STORAGE
from fitwright.explain.usage import DATA, USAGE

EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    dict(sorted({**USAGE, **DATA, **MODEL, **RUNNING, **PLACING, **STORAGE}.items()))
)
"""Code to text, in the order of the codes."""

__all__ = ["EXPLANATIONS", "Explanation"]

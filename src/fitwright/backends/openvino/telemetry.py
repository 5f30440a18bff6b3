"""OpenVINO's and NNCF's usage reports: never sent from Fitwright.

NNCF reports by default, without asking. With the reporting package hidden before the first
import, both fall back to their own stubs, and no reporting code is loaded at all.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast


def switch_off() -> None:
    """Call before the first import of `openvino` or `nncf`, inside a child process."""
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault("openvino_telemetry", None)

"""The only home of the frameworks: each backend runs or transforms models.

`RUNTIMES` is the whole list; importing it loads no framework.
"""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.backends.openvino.runtime import OpenVino
from fitwright.ports import Runtime

RUNTIMES: Mapping[str, Runtime] = {r.name: r for r in (OnnxRuntime(), OpenVino())}

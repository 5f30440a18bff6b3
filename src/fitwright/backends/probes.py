"""How each backend's models are taken apart: the table that `flow` hands to `adapt`."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.backends.onnxruntime.profile import OnnxRuntimeProbe
from fitwright.backends.openvino.profile import OpenVinoProbe
from fitwright.ports.probe import Probe

PROBES: Mapping[str, Probe] = {
    "onnxruntime": OnnxRuntimeProbe(),
    "openvino": OpenVinoProbe(),
}

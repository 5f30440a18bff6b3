"""Every pass there is, by recipe and toolkit: the table that `flow` hands to `adapt`."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.backends import lengths, rewriting
from fitwright.backends.onnxruntime import transforms as onnxruntime
from fitwright.backends.openvino import transforms as openvino
from fitwright.ports import Transform
from fitwright.records.record import Record

RECIPES: Mapping[tuple[type[Record], str], Transform] = {
    **rewriting.TRANSFORMS,
    **lengths.TRANSFORMS,
    **onnxruntime.TRANSFORMS,
    **openvino.TRANSFORMS,
}

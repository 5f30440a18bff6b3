"""Both backends keep the contract of a runtime."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.backends.openvino.runtime import OpenVino
from fitwright.executors.local import LocalExecutor
from fitwright.ports import ChildLimits, Runtime
from fitwright.records.plan import Settings
from fitwright.testing.models import write_two_layers
from fitwright.testing.network import network_events
from fitwright.testing.runtime_contract import RuntimeContract


class TestOnnxRuntime(RuntimeContract):
    runtime = OnnxRuntime()
    refused = (Settings(instances=2), Settings(precision="float16"))


class TestOpenVino(RuntimeContract):
    runtime = OpenVino()
    refused = (
        Settings(instances=2),
        Settings(threads=4096),
        Settings(spinning=False),
        Settings(memory_arena=False),
        Settings(graph_optimization="basic"),
    )


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_loading_reaches_for_no_network(runtime: Runtime, tmp_path: Path) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    limits = ChildLimits(wall_s=60.0)
    seen = LocalExecutor().call(network_events, limits, runtime.load, model, Settings())
    assert seen == []


def test_a_reach_for_the_network_is_seen() -> None:
    """Otherwise the test above could not fail."""
    resolve = socket.getaddrinfo
    seen = LocalExecutor().call(network_events, ChildLimits(), resolve, "localhost", 80)
    assert len(seen) == 1

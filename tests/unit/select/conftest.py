"""Small records to select over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.device import Cache, Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, OperatorCost, TensorInfo
from fitwright.records.need import Limit, Need

MIB = 1 << 20


def rate(value: float, *, unit: str = "FLOP/s", spread: float = 1.0) -> Figure:
    return Figure.measured(value, unit=unit, low=value / spread, high=value * spread)


@pytest.fixture
def device() -> Callable[..., Device]:
    """100 GFLOP/s float32, 400 GOP/s int8, 10 GB/s, 1 MiB of cache, 1 GiB of memory."""

    def make(**changes: Any) -> Device:
        facts: dict[str, Any] = {
            "id": "local",
            "kind": "cpu",
            "name": "A CPU",
            "architecture": "x86_64",
            "instruction_sets": ("avx2",),
            "num_cores": 2,
            "num_threads": 2,
            "caches": (Cache(level=2, bytes=MIB),),
            "memory_bytes": 1 << 30,
            "peaks": {"float32": rate(100e9), "int8": rate(400e9)},
            "bandwidth": rate(10e9, unit="B/s"),
            "idle_power": Figure(value=2.0, low=1.0, high=4.0, unit="W", label="estimated"),
            "loaded_power": Figure(value=10.0, low=5.0, high=20.0, unit="W", label="estimated"),
            "software": {},
            "backends": ("onnxruntime",),
        }
        return Device(**(facts | changes))

    return make


@pytest.fixture
def summary() -> Callable[..., ModelSummary]:
    """One MatMul: 4 GFLOP, 8 MiB of float32 weights."""

    def make(
        *,
        flops: int = 4_000_000_000,
        weight_bytes: int = 8 * MIB,
        kind: str = "MatMul",
        **changes: Any,
    ) -> ModelSummary:
        operator = OperatorCost(
            name="head",
            kind=kind,
            flops=flops,
            elementwise_flops=0,
            bytes_read=weight_bytes + 4096,
            bytes_written=4096,
            weight_bytes=weight_bytes,
            num_parameters=weight_bytes // 4,
            activation_bytes=4096,
        )
        facts: dict[str, Any] = {
            "path": "m.onnx",
            "sha256": "0",
            "size_bytes": weight_bytes,
            "ir_version": 10,
            "opsets": {"": 20},
            "inputs": (TensorInfo(name="x", dtype="float32", shape=("batch", 1024)),),
            "outputs": (TensorInfo(name="y", dtype="float32", shape=(1, 1024)),),
            "bindings": {"batch": 1},
            "operators": (operator,),
            "uncounted": (),
            "lifetimes": (),
            "num_parameters": weight_bytes // 4,
            "weight_bytes": weight_bytes,
            "peak_activation_bytes": 8192,
        }
        return ModelSummary(**(facts | changes))

    return make


@pytest.fixture
def need() -> Callable[..., Need]:
    def make(*limits: Limit, **changes: Any) -> Need:
        facts: dict[str, Any] = {
            "limits": limits,
            "agreement": Agreement(),
            "traffic": Traffic(),
            "budget": Budget(),
            "objective": "latency_p50",
            "percentile": 50,
            "metric": "agreement",
            "data_origin": "synthetic",
            "has_labels": False,
            "check_top1": False,
            "num_calibration": 1,
            "num_evaluation": 1,
        }
        return Need(**(facts | changes))

    return make

"""A small digit reader: its contract, model, device and plan."""

from __future__ import annotations

from fitwright.records.contract import Contract
from fitwright.records.device import Cache, Device
from fitwright.records.figure import Figure
from fitwright.records.model import Lifetime, ModelSummary, OperatorCost, TensorInfo, Uncounted
from fitwright.records.need import Limit, Need
from fitwright.records.plan import (
    BackendPlan,
    Buffer,
    MemoryPlan,
    Parallelism,
    Placement,
    Plan,
    Settings,
)
from fitwright.records.selection import Choice, Refused, Selection

KIB, MIB = 1 << 10, 1 << 20


def contract() -> Contract:
    return Contract.model_validate(
        {
            "model": "digits.onnx",
            "data": {"source": "digits:load", "metric": "accuracy"},
            "limits": {
                "latency_p99": "5 ms",
                "peak_memory": "512 MiB",
                "size": "480 KiB",
                "energy": "50 mJ",
                "accuracy": {"drop": 0.01},
            },
            "budget": {"time": "2 min"},
        },
        context={"user": True},
    )


def conv(name: str, channels: tuple[int, int], side: int) -> OperatorCost:
    """3x3 convolution, stride 1, same padding, float32."""
    before, after = channels
    weights, pixels = before * after * 9 + after, side * side
    return OperatorCost(
        name=name,
        kind="Conv",
        flops=2 * before * after * 9 * pixels,
        elementwise_flops=after * pixels,
        bytes_read=4 * (weights + before * pixels),
        bytes_written=4 * after * pixels,
        weight_bytes=4 * weights,
        num_parameters=weights,
        activation_bytes=4 * after * pixels,
    )


def pointwise(name: str, kind: str, num_in: int, num_out: int) -> OperatorCost:
    return OperatorCost(
        name=name,
        kind=kind,
        flops=0,
        elementwise_flops=num_in,
        bytes_read=4 * num_in,
        bytes_written=4 * num_out,
        weight_bytes=0,
        num_parameters=0,
        activation_bytes=4 * num_out,
    )


def gemm(name: str, num_in: int, num_out: int) -> OperatorCost:
    weights = num_in * num_out + num_out
    return OperatorCost(
        name=name,
        kind="Gemm",
        flops=2 * num_in * num_out,
        elementwise_flops=num_out,
        bytes_read=4 * (weights + num_in),
        bytes_written=4 * num_out,
        weight_bytes=4 * weights,
        num_parameters=weights,
        activation_bytes=4 * num_out,
    )


def operators(hostile: str = "") -> tuple[OperatorCost, ...]:
    return (
        conv("/features/0/Conv", (1, 32), 28),
        pointwise("/features/1/Relu", "Relu", 32 * 784, 32 * 784),
        conv("/features/2/Conv", (32, 64), 28),
        pointwise("/features/3/Relu", "Relu", 64 * 784, 64 * 784),
        pointwise("/features/4/MaxPool", "MaxPool", 64 * 784, 64 * 196),
        conv(hostile or "/features/5/Conv", (64, 96), 14),
        pointwise("/features/6/Relu", "Relu", 96 * 196, 96 * 196),
        pointwise("/features/7/MaxPool", "MaxPool", 96 * 196, 96 * 49),
        OperatorCost(
            name="/head/Center",
            kind="CenterCrop",
            domain="example.digits",
            flops=None,
            elementwise_flops=None,
            bytes_read=4 * 96 * 49,
            bytes_written=4 * 96 * 49,
            weight_bytes=0,
            num_parameters=0,
            activation_bytes=4 * 96 * 49,
        ),
        gemm("/head/0/Gemm", 96 * 49, 48),
        pointwise("/head/1/Relu", "Relu", 48, 48),
        gemm("/head/2/Gemm", 48, 10),
        pointwise("/Softmax", "Softmax", 50, 10),
    )


def summary(hostile: str = "") -> ModelSummary:
    rows = operators(hostile)
    return ModelSummary(
        path="digits.onnx",
        sha256="9b6f" * 16,
        size_bytes=1_312_400,
        ir_version=10,
        opsets={"": 18, "example.digits": 1},
        inputs=(TensorInfo(name="image", dtype="float32", shape=(1, 1, 28, 28)),),
        outputs=(TensorInfo(name="scores", dtype="float32", shape=(1, 10)),),
        bindings={"batch": 1},
        operators=rows,
        uncounted=(
            Uncounted(
                kind="CenterCrop",
                domain="example.digits",
                num_operators=1,
                reason="no rule for this domain",
            ),
        ),
        lifetimes=tuple(
            Lifetime(name=f"{r.name}_output", bytes=r.activation_bytes, first=i, last=i + 1)
            for i, r in enumerate(rows)
        ),
        num_parameters=sum(r.num_parameters for r in rows),
        weight_bytes=sum(r.weight_bytes for r in rows),
        peak_activation_bytes=4 * 2 * 64 * 784,
        is_classifier_shape=True,
    )


def limits() -> tuple[Limit, ...]:
    return (
        Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=0.005, unit="s"),
        Limit(
            name="peak_memory",
            figure="peak_memory",
            sense="at_most",
            bound=512 * MIB,
            unit="bytes",
        ),
        Limit(name="size", figure="size", sense="at_most", bound=480 * KIB, unit="bytes"),
        Limit(name="energy", figure="energy", sense="at_most", bound=0.05, unit="J"),
        Limit(name="accuracy", figure="accuracy_drop", sense="at_most", bound=0.01),
    )


def need() -> Need:
    agreed = contract()
    return Need(
        limits=limits(),
        agreement=agreed.agreement,
        traffic=agreed.traffic,
        budget=agreed.budget,
        objective="latency_p99",
        percentile=99,
        metric="accuracy",
        data_origin="contract",
        has_labels=True,
        check_top1=True,
        num_calibration=359,
        num_evaluation=1438,
        notes=("labels found: accuracy is judged against them",),
    )


def measured(value: float, spread: float, unit: str, *, samples: int = 0) -> Figure:
    return Figure.measured(
        value,
        low=value * (1 - spread),
        high=value * (1 + spread),
        unit=unit,
        num_samples=samples,
        source=f"{samples} runs in a fresh child process" if samples else "one fresh child",
    )


def device() -> Device:
    return Device(
        id="local",
        kind="cpu",
        name="A CPU with 2 cores",
        architecture="x86_64",
        instruction_sets=("avx2", "avx512f", "avx512_bf16", "avx512_vnni"),
        num_cores=2,
        num_threads=2,
        caches=(Cache(level=2, bytes=2 * MIB), Cache(level=3, bytes=32 * MIB, shared_by_cores=2)),
        memory_bytes=24 << 30,
        peaks={
            "float32": measured(183e9, 0.02, "FLOP/s", samples=20),
            "bfloat16": measured(341e9, 0.03, "FLOP/s", samples=20),
            "int8": measured(612e9, 0.04, "FLOP/s", samples=20),
        },
        bandwidth=measured(28.4e9, 0.02, "B/s", samples=20),
        idle_power=Figure.unavailable("no public figure for this part", unit="W"),
        loaded_power=Figure(
            value=70, low=55, high=85, unit="W", label="estimated", source="data sheet"
        ),
        software={"onnxruntime": "1.31.1", "openvino": "2026.4.1"},
        backends=("onnxruntime", "openvino"),
    )


def selection() -> Selection:
    return Selection(
        choices=(
            Choice(
                device=device(),
                floors={
                    "latency_p50": Figure(
                        value=0.000239,
                        unit="s",
                        label="predicted",
                        source="roofline over measured peaks, float32",
                    ),
                    "peak_memory": Figure(
                        value=1.7 * MIB,
                        unit="bytes",
                        label="predicted",
                        source="weights plus live activations",
                    ),
                },
                margins={"latency_p99": 20.9, "peak_memory": 301.0},
                reasons=("the only device asked for",),
            ),
        ),
        refused=(
            Refused(device_id="pico", limit="peak_memory", reason="264 KiB of memory", gap=6.6),
        ),
    )


def memory_plan(num_buffers: int | None = None) -> MemoryPlan:
    """Two slots, used in turn: the best packing of a chain."""
    rows = operators() if num_buffers is None else ()
    buffers, top = [], 4 * 64 * 784
    for i, row in enumerate(rows):
        size = max(64, row.activation_bytes)
        offset = 0 if i % 2 == 0 else top
        buffers.append(
            Buffer(
                name=f"{row.name}_output", bytes=size, offset=offset, first=i, last=min(i + 1, 12)
            )
        )
    for i in range(num_buffers or 0):
        buffers.append(
            Buffer(name=f"b{i}", bytes=64 * (1 + i % 7), offset=64 * (i % 50), first=i, last=i + 3)
        )
    return MemoryPlan(
        arena_bytes=max(b.offset + b.bytes for b in buffers),
        lower_bound_bytes=4 * 2 * 64 * 784 if rows else 64,
        method="greedy by size",
        alignment_bytes=64,
        buffers=tuple(buffers),
    )


def plan() -> Plan:
    return Plan(
        device_id="local",
        placements=(Placement(device_id="local", first=0, last=12),),
        memory=memory_plan(),
        parallelism=Parallelism(),
        backends=(
            BackendPlan(backend="onnxruntime", settings=(Settings(), Settings(threads=1))),
            BackendPlan(backend="openvino", settings=(Settings(), Settings(threads=1))),
        ),
    )

"""What physics allows one device to do with one model, at best.

Every floor is a prediction with an interval. `value` uses the measured peaks as they are;
`low` is what a refusal rests on, so it gives the device every benefit: peaks at the upper
end of their interval, weights in 4 bits, activations in 8, the last cache already full of
weights, convolutions by Winograd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from fitwright.perf.roofline import ModelFloor, Roof, model_floor
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, OperatorCost, TensorInfo
from fitwright.records.need import Need

SMALLEST_WEIGHT_BYTES = 0.5  # int4, the smallest weights a recipe makes
ACTIVATION_SHRINK = 4  # float32 to int8
# F(4x4, 3x3) does with 36 multiplications what 144 do directly
# (Lavin, Gray: "Fast algorithms for convolutional neural networks", CVPR 2016).
WINOGRAD_GAIN = 4.0

LATENCIES = ("latency_p50", "latency_p90", "latency_p95", "latency_p99", "latency_mean")

End = Literal["value", "low", "high"]


def floors(need: Need, summary: ModelSummary, device: Device) -> dict[str, Figure]:
    """By figure name: the best this device could do.

    For ``throughput`` it is a ceiling, inferences per second; all else is a floor.
    """
    latency = latency_floor(summary, device)
    throughput = _throughput_ceiling(summary, device, batch=need.traffic.batch)
    return {
        **dict.fromkeys(LATENCIES, latency),
        "throughput": throughput,
        "peak_memory": memory_floor(summary),
        "energy": _energy_floor(latency, device.loaded_power, batch=need.traffic.batch),
        "cost": _cost_floor(need.price_usd_per_s, throughput),
    }


def memory_floor(summary: ModelSummary) -> Figure:
    """Weights and live activations: as they are, and (low) after the strongest recipes.

    What Python and the backend need themselves is not counted.
    """
    stored = summary.weight_bytes + summary.peak_activation_bytes
    smallest = smallest_weights(summary) + summary.peak_activation_bytes / ACTIVATION_SHRINK
    return Figure(
        value=stored,
        low=smallest,
        high=stored,
        unit="bytes",
        label="predicted",
        source="weights and peak live activations as stored; low end: int4 weights and int8 "
        "activations; the process around them comes on top",
    )


def latency_floor(summary: ModelSummary, device: Device) -> Figure:
    """Time of one query by the whole-graph roofline at the fastest measured dtype, seconds."""
    if not _measured(device):
        return Figure.unavailable("no GEMM peak was measured on this device", unit="s")
    moved = smallest_weights(summary) + boundary_bytes(summary, with_weights=False)
    from_memory = max(0.0, moved - last_cache_bytes(device))
    value, low, high = (
        max(_compute_s(summary, device, end), _move_s(from_memory, device.bandwidth, end))
        for end in ("value", "high", "low")
    )
    return Figure(
        value=value,
        low=low,
        high=high,
        unit="s",
        label="predicted",
        source="counted FLOP over the fastest measured GEMM peak, and the bytes that no cache "
        "holds over the measured copy bandwidth, whichever takes longer",
    )


def roofline_at(summary: ModelSummary, device: Device, dtype: str) -> ModelFloor | None:
    """The model under the roof of one dtype; None when a peak is unavailable."""
    peak = device.peaks.get(dtype)
    if peak is None or peak.value is None or device.bandwidth.value is None:
        return None
    roof = Roof(flop_per_s=peak.value, bandwidth_bytes_per_s=device.bandwidth.value)
    boundary = boundary_bytes(summary, with_weights=True)
    return model_floor(summary.operators, boundary_bytes=boundary, roof=roof)


def boundary_bytes(summary: ModelSummary, *, with_weights: bool) -> int:
    """Inputs and outputs once each, and the weights if asked: what must cross the boundary."""
    tensors = (*summary.inputs, *summary.outputs)
    moved = sum(_tensor_bytes(t, summary.bindings) for t in tensors)
    return moved + (summary.weight_bytes if with_weights else 0)


def last_cache_bytes(device: Device) -> int:
    """Size of the largest cache level; 0 when unknown, which only loosens no bound."""
    return max((c.bytes for c in device.caches), default=0)


def smallest_weights(summary: ModelSummary) -> float:
    """Bytes of the weights in the smallest form that a recipe makes."""
    return min(summary.weight_bytes, summary.num_parameters * SMALLEST_WEIGHT_BYTES)


def _tensor_bytes(tensor: TensorInfo, bindings: Mapping[str, int]) -> int:
    sizes = (bindings.get(d, 1) if isinstance(d, str) else d or 1 for d in tensor.shape)
    return math.prod(sizes) * _item_bytes(tensor.dtype)


def _item_bytes(dtype: str) -> int:
    """Bytes per element; 1 for types numpy does not know, so that the floor stays a floor."""
    try:
        return np.dtype(dtype).itemsize or 1
    except TypeError:
        return 1


def _measured(device: Device) -> dict[str, Figure]:
    return {dtype: f for dtype, f in device.peaks.items() if f.value is not None}


def _end(figure: Figure, end: End) -> float:
    """One end of the interval; the value where the interval is open."""
    wanted = getattr(figure, end)
    found = figure.value if wanted is None else wanted
    assert found is not None, "asked for an end of an unavailable figure"
    return float(found)


def _compute_s(summary: ModelSummary, device: Device, end: End) -> float:
    """Counted FLOP over the fastest peak, operator by operator."""
    rates = {dtype: _end(figure, end) for dtype, figure in _measured(device).items()}
    best = max(rates.values())
    convolution = max(best, rates.get("float32", 0.0) * (WINOGRAD_GAIN if end == "high" else 1.0))
    return sum(_operator_s(o, best, convolution) for o in summary.operators)


def _operator_s(operator: OperatorCost, best: float, convolution: float) -> float:
    return (operator.flops or 0) / (convolution if operator.kind == "Conv" else best)


def _move_s(num_bytes: float, bandwidth: Figure, end: End) -> float:
    """0 when the bandwidth is unknown: then only compute bounds the time."""
    if bandwidth.value is None:
        return 0.0
    return num_bytes / _end(bandwidth, end)


def _throughput_ceiling(summary: ModelSummary, device: Device, *, batch: int) -> Figure:
    """Inferences per second; queries in flight may share every weight they read."""
    if not _measured(device):
        return Figure.unavailable("no GEMM peak was measured on this device", unit="/s")
    if not summary.flops:
        return Figure.unavailable("the model has no counted FLOP to bound it", unit="/s")
    value, low, high = (
        batch / _compute_s(summary, device, end) for end in ("value", "low", "high")
    )
    return Figure(
        value=value,
        low=low,
        high=high,
        unit="/s",
        label="predicted",
        source="the fastest measured GEMM peak over counted FLOP; a ceiling",
    )


def _energy_floor(latency: Figure, power: Figure, *, batch: int) -> Figure:
    """Energy per inference: the latency floor at the power of full load."""
    if power.value is None:
        return Figure.unavailable(f"power unknown: {power.source}", unit="J")
    if latency.value is None:
        return Figure.unavailable(latency.source, unit="J")
    value, low, high = (
        _end(latency, end) * _end(power, end) / batch for end in ("value", "low", "high")
    )
    return Figure(
        value=value,
        low=low,
        high=high,
        unit="J",
        label="predicted",
        source=f"latency floor at full load; power: {power.source}",
    )


def _cost_floor(price_usd_per_s: float | None, throughput: Figure) -> Figure:
    """Price of one inference when the machine never waits, US dollars."""
    if price_usd_per_s is None:
        return Figure.unavailable("the contract states no `price`", unit="usd")
    if throughput.value is None:
        return Figure.unavailable(throughput.source, unit="usd")
    value, low, high = (price_usd_per_s / _end(throughput, end) for end in ("value", "high", "low"))
    return Figure(
        value=value,
        low=low,
        high=high,
        unit="usd",
        label="predicted",
        source="the contract's price over the throughput ceiling",
    )

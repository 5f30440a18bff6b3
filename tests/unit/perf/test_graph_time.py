"""The time of a whole model on a device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effort import counted_calls
from fitwright.perf.graph_time import GraphTime, graph_time, prepare
from fitwright.records.estimate import NoData
from fitwright.records.model import Uncounted
from fitwright.testing.summaries import TABLE, fact, matmul, operator, sheet, summary


def timed(operators, device=None, *, runtime="openvino", dtype="float32", **more) -> GraphTime:
    prepared = prepare(summary(operators), runtime=runtime)
    found = graph_time(prepared, device or sheet(), TABLE, dtype=dtype, **more)
    assert isinstance(found, GraphTime), found
    return found


def layers(count: int) -> list:
    return [matmul(i - 1) if i else matmul() for i in range(count)]


def test_equal_layers_add_up() -> None:
    one, ten = timed(layers(1)), timed(layers(10))
    # the kernels run one after the other; only the sum is rounded
    assert ten.latency.value == pytest.approx(10 * one.latency.value, rel=1e-9)
    assert [p.seconds for p in ten.parts()] == pytest.approx([one.latency.value] * 10)


@given(st.floats(1e9, 1e13), st.floats(1.0, 100.0))
def test_more_bandwidth_is_never_slower(bandwidth, factor) -> None:
    slow = timed(layers(3), sheet(bandwidth_bytes_per_s=fact(bandwidth)))
    fast = timed(layers(3), sheet(bandwidth_bytes_per_s=fact(bandwidth * factor)))
    assert fast.latency.value <= slow.latency.value * (1 + 1e-12)


@given(st.floats(1e10, 1e15), st.floats(1e9, 1e13), st.sampled_from(["eager", "onnxruntime"]))
def test_no_time_is_under_the_roofline(peak, bandwidth, runtime) -> None:
    device = sheet(peaks={"float32": fact(peak)}, bandwidth_bytes_per_s=fact(bandwidth))
    found = timed([*layers(3), operator("Softmax", 2)], device, runtime=runtime)
    assert found.latency.value >= found.floor_s > 0


def test_a_dtype_without_a_fast_path_is_refused() -> None:
    device = sheet(peaks={"float32": fact(1e13)})
    found = graph_time(prepare(summary(layers(1)), runtime="openvino"), device, TABLE, dtype="int8")
    assert isinstance(found, NoData)
    assert "int8" in found.reason


def test_eager_needs_the_host_for_every_operator() -> None:
    many = timed(layers(100), runtime="eager")
    assert many.latency.value == pytest.approx(100 * 6e-6)  # the table's time per operator


def test_an_operator_without_a_rule_is_named_and_widens_the_band() -> None:
    known = [matmul(), operator("Mystery", 0, elementwise_flops=0)]
    unknown = [matmul(), operator("Mystery", 0, flops=None, elementwise_flops=None)]
    gap = Uncounted(kind="Mystery", domain="", num_operators=1, reason="no counting rule")
    prepared = prepare(summary(unknown, uncounted=[gap]), runtime="openvino")
    found = graph_time(prepared, sheet(), TABLE, dtype="float32")
    assert isinstance(found, GraphTime)
    assert found.uncovered == ("1 x ai.onnx.Mystery: no counting rule",)
    narrow = timed(known).latency
    assert found.latency.high / found.latency.value > narrow.high / narrow.value


def test_streams_share_the_device() -> None:
    alone, four = timed(layers(4)), timed(layers(4), streams=4)
    assert four.latency.value > alone.latency.value
    # overheads are not shared, so that together they are never slower
    assert four.throughput_per_s >= alone.throughput_per_s
    assert four.memory.value > alone.memory.value


def test_a_batch_costs_less_than_its_queries_one_by_one() -> None:
    one, eight = timed(layers(4)), timed(layers(4), batch=8)
    assert one.latency.value < eight.latency.value < 8 * one.latency.value


def test_a_graph_of_views_has_no_time() -> None:
    view = operator("Reshape", is_view=True, bytes_read=0, bytes_written=0)
    prepared = prepare(summary([view]), runtime="openvino")
    assert isinstance(graph_time(prepared, sheet(), TABLE, dtype="float32"), NoData)


def num_calls_for_another_device(operators: list) -> int:
    """Functions called for a device when the model has been looked at on one already."""
    prepared = prepare(summary(operators), runtime="openvino")
    graph_time(prepared, sheet(id="first"), TABLE, dtype="float32")
    with counted_calls() as effort:
        graph_time(prepared, sheet(id="second"), TABLE, dtype="float32")
    return effort.num_calls


def test_another_device_costs_no_work_in_python_for_each_operator() -> None:
    few, many = (num_calls_for_another_device(layers(n)) for n in (10, 1000))
    assert many < few + 100  # all kernels at once: so a catalogue of devices is quick

"""Devices that are known by whole networks."""

from __future__ import annotations

from typing import Any

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary, OperatorCost, Product
from fitwright.select.asked import Asked
from fitwright.select.fabric import onchip_bytes
from fitwright.select.predict import Forecaster
from fitwright.select.whole import style_of, whole_network


def operator(kind: str, k: int, n: int, **product: Any) -> OperatorCost:
    shape = Product(m=1, n=n, k=k, **product)
    return OperatorCost(
        name=kind, kind=kind, flops=2 * k * n * shape.num_products, elementwise_flops=0,
        bytes_read=4 * k * n, bytes_written=4 * n, weight_bytes=4 * k * n, num_parameters=k * n,
        activation_bytes=4 * n, dtype="float32", product=shape, reads_inputs=True,
    )  # fmt: skip


def chain(*operators: OperatorCost) -> ModelSummary:
    weights = sum(o.weight_bytes for o in operators)
    return ModelSummary(
        path="m.onnx", sha256="0", size_bytes=weights, ir_version=9, opsets={}, inputs=(),
        outputs=(), bindings={}, operators=operators, uncounted=(), lifetimes=(),
        num_parameters=weights // 4, weight_bytes=weights, peak_activation_bytes=1024,
    )  # fmt: skip


SMALL = chain(operator("Gemm", 64, 32), operator("Gemm", 32, 10))
LARGE = chain(operator("Gemm", 4096, 4096), operator("Gemm", 4096, 4096))
CONVOLUTION = chain(operator("Conv", 27, 16, kernel=(3, 3)))


def time_of(model: ModelSummary, device: str, backend: str) -> Estimate | NoData:
    forecast = Forecaster(summary=model, table=all_evidence())
    return forecast(find_sheet(device), Asked(dtype="int8", runtime=backend)).latency_s


@pytest.mark.parametrize(
    ("device", "backend"),
    [("stm32h743", "mcu-c"), ("hailo-8", "hailo"), ("coral-edgetpu", "litert"), ("zu3eg", "rtl")],
)
def test_small_chains_are_predicted_on_each_of_them(device: str, backend: str) -> None:
    assert whole_network(find_sheet(device)) is not None
    found = time_of(SMALL, device, backend)
    assert isinstance(found, Estimate)
    assert 1e-8 < found.value < 0.1


def test_more_multiplications_never_take_less_on_a_microcontroller() -> None:
    small, large = (time_of(m, "stm32h743", "mcu-c") for m in (SMALL, LARGE))
    assert isinstance(small, Estimate) and isinstance(large, Estimate)
    assert small.value < large.value


def test_logic_is_predicted_for_chains_that_stay_on_the_chip_alone() -> None:
    streamed, odd = time_of(LARGE, "zu3eg", "rtl"), time_of(CONVOLUTION, "zu3eg", "rtl")
    assert isinstance(streamed, NoData) and "do not stay on the chip" in streamed.reason
    assert isinstance(odd, NoData) and "this graph has Conv" in odd.reason
    assert onchip_bytes(find_sheet("zu3eg")) >= 216 * 4608


def test_the_style_of_a_network_is_read_from_its_operators() -> None:
    assert style_of(SMALL) == "dense"
    assert style_of(CONVOLUTION) == "plain"
    narrow = operator("Conv", 9, 1, kernel=(3, 3), num_products=16)
    assert style_of(chain(narrow)) == "depthwise"


def test_operators_answer_everywhere_else() -> None:
    assert whole_network(find_sheet("l4")) is None
    assert whole_network(find_sheet("tpu-v5e")) is None

"""What runs a model on a device, and what the performance model says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.perf.fusion import FUSIONS
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import Product
from fitwright.select.asked import RUNTIMES, Asked
from fitwright.select.predict import Forecaster
from fitwright.select.ways import classes_of, ways_of

Make = Callable[..., Any]


@pytest.fixture
def linear(summary: Make) -> Any:
    """One product of 64 rows with a square matrix of 1448."""
    plain = summary(flops=2 * 64 * 1448 * 1448)
    (operator,) = plain.operators
    known = operator.model_copy(
        update={"product": Product(m=64, n=1448, k=1448), "dtype": "float32", "reads_inputs": True}
    )
    return plain.model_copy(update={"operators": (known,)})


def test_every_backend_that_runs_a_graph_follows_known_fusion_rules() -> None:
    assert set(RUNTIMES.values()) <= set(FUSIONS)


def test_ways_are_dtypes_with_a_fast_path_on_backends_with_kernels(linear: Any) -> None:
    ways = ways_of(find_sheet("l4"), classes_of(linear))
    assert not isinstance(ways, str)
    assert Asked(dtype="float16", runtime="tensorrt") in ways
    assert {w.dtype for w in ways} <= set(find_sheet("l4").peaks)
    assert "vllm" not in {w.runtime for w in ways}


def test_on_this_machine_what_is_installed_runs(linear: Any) -> None:
    here = find_sheet("xeon-8480").model_copy(update={"id": "local", "runs": ("onnxruntime",)})
    ways = ways_of(here, classes_of(linear))
    assert not isinstance(ways, str)
    assert {w.runtime for w in ways} == {"onnxruntime"}


def test_a_class_without_any_kernel_there_is_the_reason(linear: Any) -> None:
    why = ways_of(find_sheet("hailo-8"), ("recurrent", "memory"))
    assert isinstance(why, str)
    assert "recurrent" in why


def test_the_heaviest_operators_come_first(summary: Make) -> None:
    assert classes_of(summary(kind="Conv"))[0] == "conv"
    assert classes_of(summary(kind="MatMul"))[0] == "gemm"


def test_every_device_answers_with_figures_or_a_reason(linear: Any) -> None:
    forecast, known = Forecaster(summary=linear, table=all_evidence()), 0
    for sheet in load_sheets().values():
        ways = ways_of(sheet, classes_of(linear))
        if isinstance(ways, str):
            assert ways
            continue
        found = forecast(sheet, ways[0])
        if isinstance(found.latency_s, NoData):
            assert found.latency_s.reason
            continue
        known += 1
        assert found.latency_s.value >= (found.roofline_s or 0.0)
        if found.binds:  # whole networks have no parts
            assert sum(found.binds.values()) == pytest.approx(1)
    assert known > 100


def test_energy_is_shared_among_the_inferences_of_a_run(linear: Any) -> None:
    table = all_evidence()
    asked = Asked(dtype="float16", runtime="onnxruntime")
    one = Forecaster(summary=linear, table=table)(find_sheet("l4"), asked).energy_j
    four = Forecaster(summary=linear, table=table, batch=4)(find_sheet("l4"), asked).energy_j
    assert isinstance(one, Estimate) and isinstance(four, Estimate)
    assert four.value == pytest.approx(one.value / 4)

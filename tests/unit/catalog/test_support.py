"""The table of what runs where speaks of devices, formats and operators that exist."""

from __future__ import annotations

from typing import get_args

import pytest

from fitwright.backends import RUNTIMES
from fitwright.catalog.sheet_file import DTYPES
from fitwright.catalog.sheets import find_sheet, load_sheets
from fitwright.catalog.support import (
    Backend,
    backends_of,
    fast_dtypes,
    find_backend,
    load_backends,
    supports,
)
from fitwright.errors import ContractError
from fitwright.perf.work import OperatorClass

BACKENDS = pytest.mark.parametrize("backend", load_backends().values(), ids=lambda b: b.name)


@BACKENDS
def test_a_backend_names_families_formats_and_operators_that_exist(backend: Backend) -> None:
    families = {s.family for s in load_sheets().values()}
    architectures = {s.architecture for s in load_sheets().values()}
    for row in backend.rows:
        assert row.families or row.architectures
        assert row.families <= families
        assert row.architectures <= architectures
        assert row.dtypes
        assert row.dtypes <= set(DTYPES)
        assert row.operators
        assert row.operators <= set(get_args(OperatorClass))


@BACKENDS
def test_a_row_of_the_table_runs_somewhere(backend: Backend) -> None:
    sheets = load_sheets().values()
    assert any(
        supports(s, backend=backend.name, dtype=d, operator_class=o)
        for s in sheets
        for row in backend.rows
        if row.on(s)
        for d in row.dtypes
        for o in row.operators
    )


def test_the_backends_that_are_built_in_are_in_the_table() -> None:
    assert set(RUNTIMES) <= set(load_backends())


def test_every_device_of_the_catalogue_runs_something_fast() -> None:
    for sheet in load_sheets().values():
        assert sheet.runs == backends_of(sheet)
        assert sheet.runs, sheet.id
        if sheet.kind != "fpga":
            assert any(fast_dtypes(sheet, backend=b, operator_class="gemm") for b in sheet.runs)


@pytest.mark.parametrize(
    ("device", "backend", "dtype", "operator", "reason"),
    [
        ("xeon-8480", "tensorrt", "float32", "gemm", "TensorRT does not run on Xeon"),
        ("t4", "torch", "bfloat16", "gemm", "T4 has no fast path for bfloat16, only float64"),
        ("coral-edgetpu", "litert", "int8", "attention_prefill", "no attention_prefill kernels"),
        ("coral-edgetpu", "litert", "float32", "conv", "no float32 kernels for conv"),
        ("xeon-8480", "onnxruntime", "bfloat16", "gemm", "no bfloat16 kernels for gemm"),
    ],
)
def test_what_does_not_run_is_refused_with_its_reason(
    device, backend, dtype, operator, reason
) -> None:
    refusal = supports(find_sheet(device), backend=backend, dtype=dtype, operator_class=operator)
    assert not refusal
    assert refusal is not True
    assert reason in refusal.reason


def test_what_runs_is_supported() -> None:
    sheet = find_sheet("h100-sxm")
    assert supports(sheet, backend="tensorrt", dtype="float8", operator_class="gemm") is True
    assert fast_dtypes(sheet, backend="vllm", operator_class="attention_decode") == (
        "bfloat16",
        "float16",
    )


def test_moving_bytes_needs_no_peak() -> None:
    sheet = find_sheet("rpi4")
    assert supports(sheet, backend="openvino", dtype="float16", operator_class="memory")
    assert not supports(sheet, backend="openvino", dtype="float16", operator_class="gemm")


def test_a_device_of_ones_own_runs_what_its_file_says(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        """
id: mine
name: Mine
kind: npu
vendor: Me
architecture: Mine
family: my-npu
sources: {me: measured}
peaks: {int8: [26 TOP/s, A, me]}
memory: [8 GB, A, me]
bandwidth: [68 GB/s, A, me]
runs: [onnxruntime]
"""
    )
    mine = find_sheet(str(file))
    assert supports(mine, backend="onnxruntime", dtype="int8", operator_class="conv")
    assert not supports(mine, backend="onnxruntime", dtype="float32", operator_class="conv")
    assert not supports(mine, backend="openvino", dtype="int8", operator_class="conv")


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(ContractError, match="did you mean 'onnxruntime'") as caught:
        find_backend("onnx-runtime")
    assert caught.value.code == "FW128"

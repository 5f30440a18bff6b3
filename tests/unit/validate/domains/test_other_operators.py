"""Cases of convolutions and of operators that move bytes."""

from __future__ import annotations

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import PREDICTORS

CONV = {"batch": 8, "in_channels": 64, "out_channels": 64, "height": 56, "width": 56}
A100 = find_sheet("a100-80-sxm")


def asked(domain: str, inputs: dict[str, object]) -> Estimate | NoData:
    case = Case(
        case="one", domain=domain, device_id=A100.id, inputs=inputs, metric="latency_ms",
        measured=None, unit="ms",
    )  # fmt: skip
    return PREDICTORS[domain](case, Knowledge(sheet=A100, evidence=all_evidence()))


def seconds(domain: str, inputs: dict[str, object]) -> float:
    answer = asked(domain, inputs)
    assert isinstance(answer, Estimate), answer
    return answer.value


@pytest.mark.parametrize("domain", ["op/copy", "op/elementwise", "op/softmax", "op/layernorm"])
def test_what_moves_bytes_takes_between_one_and_two_rooflines(domain: str) -> None:
    assert A100.bandwidth_bytes_per_s is not None
    roofline = 2 * 4 * 2**28 / A100.bandwidth_bytes_per_s.value
    time = seconds(domain, {"shape": [2**14, 2**14], "dtype": "fp32"})
    assert roofline <= time <= 2 * roofline


def test_a_second_operand_is_read_too() -> None:
    one = seconds("op/elementwise", {"numel": 2**28})
    two = seconds("op/elementwise", {"numel": 2**28, "num_inputs": 2})
    assert two == pytest.approx(1.5 * one, rel=0.02)


def test_a_convolution_is_no_faster_than_its_arithmetic_allows() -> None:
    flops = 2 * 8 * 56 * 56 * 64 * 64 * 9
    assert seconds("op/conv", CONV) >= flops / A100.peaks["float16"].value


def test_a_depthwise_convolution_is_cheaper_than_a_dense_one() -> None:
    wide = {**CONV, "in_channels": 512, "out_channels": 512}
    assert seconds("op/depthwise", {**wide, "groups": 512}) < seconds("op/conv", wide)


@pytest.mark.parametrize(
    ("domain", "inputs", "said"),
    [
        ("op/conv", {"in_channels": 3}, "does not say out_channels"),
        ("op/conv", {**CONV, "groups": 7}, "groups=7 must divide"),
        ("op/copy", {"shape": [2, -1]}, "must not be negative"),
        ("op/copy", {"numel": 8, "dtype": "posit8"}, "posit8"),
    ],
)
def test_what_cannot_be_answered_says_why(
    domain: str, inputs: dict[str, object], said: str
) -> None:
    refused = asked(domain, inputs)
    assert isinstance(refused, NoData)
    assert said in refused.reason

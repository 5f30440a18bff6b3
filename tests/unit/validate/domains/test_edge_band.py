from __future__ import annotations

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.edge import predict_edge


def band(benchmark: str, precision: str) -> float:
    """Upper end of the band over the value."""
    case = Case(
        case="a",
        domain="e2e/vision-edge-cpu",
        device_id="rk3588",
        inputs={"benchmark": benchmark, "precision": precision},
        metric="latency_mean_ms",
        measured=None,
        unit="ms",
    )
    found = predict_edge(case, Knowledge(sheet=find_sheet("rk3588"), evidence=all_evidence()))
    assert isinstance(found, Estimate)
    return found.high / found.value


def test_networks_and_dtypes_that_no_board_was_measured_with_have_a_wider_band() -> None:
    measured = band("resnet50", "fp32")
    assert band("mobilenet-v2-1.0-224", "fp32") > measured
    assert band("resnet50", "uint8") > measured

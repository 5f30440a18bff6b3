"""Joules of language models in MLPerf: watts of the system over its pace."""

from __future__ import annotations

import pytest

from fitwright.catalog.evidence import all_evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.mlperf import predict_mlperf


def answered(metric: str, unit: str, *, domain: str, scenario: str) -> Estimate | NoData:
    inputs = {"benchmark": "llama2-70b-99", "scenario": scenario, "n_devices": 8}
    case = Case(
        case="a",
        domain=domain,
        device_id="h100-sxm",
        inputs=inputs,
        metric=metric,
        measured=None,
        unit=unit,
    )
    return predict_mlperf(case, Knowledge(sheet=find_sheet("h100-sxm"), evidence=all_evidence()))


def test_joules_of_a_language_model_are_the_systems_watts_over_its_samples() -> None:
    rate = answered("best_value", "samples/s/device", domain="e2e/mlperf", scenario="Offline")
    watts = answered("avg_power_W", "W", domain="energy/mlperf", scenario="Offline")
    joules = answered(
        "best_energy_J_per_sample", "J/sample", domain="energy/mlperf", scenario="Offline"
    )
    assert isinstance(rate, Estimate)
    assert isinstance(watts, Estimate)
    assert isinstance(joules, Estimate)
    # exact up to rounding: the same three numbers, divided
    assert joules.value == pytest.approx(watts.value / (8 * rate.value))


def test_one_request_at_a_time_is_answered_by_its_latency() -> None:
    asked = answered("best_value", "ms_p90", domain="e2e/mlperf", scenario="SingleStream")
    assert isinstance(asked, Estimate)
    assert asked.unit == "s"

"""Needs and limits that several tests judge by."""

from __future__ import annotations

from fitwright.records.contract import Agreement, Budget, Traffic
from fitwright.records.need import Limit, Need

P99 = Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=0.010, unit="s")
RATE = Limit(name="throughput", figure="throughput", sense="at_least", bound=200.0, unit="/s")
SIZE = Limit(name="size", figure="size", sense="at_most", bound=1000.0, unit="bytes")


def need(*limits: Limit) -> Need:
    return Need(
        limits=limits,
        agreement=Agreement(),
        traffic=Traffic(),
        budget=Budget(),
        objective="latency_p50",
        percentile=99,
        metric="agreement",
        data_origin="synthetic",
        has_labels=False,
        check_top1=False,
        num_calibration=4,
        num_evaluation=8,
    )

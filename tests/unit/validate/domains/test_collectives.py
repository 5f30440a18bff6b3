"""Cases of collectives: operations and payloads in the words of tables."""

from __future__ import annotations

import pytest

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains.collectives import operation_of, payload_bytes, predict_collective


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        ("ncclAllReduce", "all_reduce"),
        ("all_reduce_perf (ring)", "all_reduce"),
        ("Reduce-Scatter", "reduce_scatter"),
        ("alltoall", "all_to_all"),
        ("gather", None),
    ],
)
def test_operations_are_known_by_every_usual_spelling(words: str, operation: str | None) -> None:
    assert operation_of(words) == operation


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"bytes": 16777216}, 2.0**24),
        ({"bytes": "16777216"}, 2.0**24),
        ({"bytes": "16 MiB"}, 2.0**24),
        ({"size": "16MB"}, 16e6),
        ({"size_mb": 16}, 16e6),
        ({"num_gpus": 8}, None),
    ],
)
def test_a_payload_counts_in_the_unit_it_is_written_in(
    given: dict[str, object], expected: float | None
) -> None:
    assert payload_bytes(given) == expected


def asked(**inputs: object) -> Estimate | NoData:
    case = Case(
        case="", domain="op/collective", device_id="h100-sxm", inputs=inputs,
        metric="latency_us", measured=None, unit="us",
    )  # fmt: skip
    knowledge = Knowledge(sheet=find_sheet("h100-sxm"), evidence=evidence("collectives"))
    return predict_collective(case, knowledge)


def test_how_many_take_part_is_asked_for_and_never_assumed() -> None:
    refused = asked(op_name="all_reduce", bytes=2**24)
    assert isinstance(refused, NoData)
    assert "num_gpus" in refused.reason
    plain = asked(op_name="all_reduce", bytes=2**24, num_gpus=8)
    other = asked(collective="all_reduce", size="16 MiB", nranks="8")
    assert isinstance(plain, Estimate) and isinstance(other, Estimate)
    assert other.value == plain.value

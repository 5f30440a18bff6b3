"""Cases of collectives: operations and payloads in the words of tables."""

from __future__ import annotations

import pytest

from fitwright.validate.domains.collectives import operation_of, payload_bytes


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

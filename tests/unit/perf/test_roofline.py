"""The roofline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.roofline import (
    Roof,
    attainable_flop_per_s,
    binding_resource,
    floor_s,
    model_floor,
    operator_floor,
)
from fitwright.records.model import OperatorCost

RATES = st.floats(min_value=1e6, max_value=1e15)
AMOUNTS = st.integers(min_value=0, max_value=10**12)
ROOFS = st.builds(lambda f, b: Roof(flop_per_s=f, bandwidth_bytes_per_s=b), RATES, RATES)


def operator(flops: int | None, moved: int, *, name: str = "op") -> OperatorCost:
    return OperatorCost(
        name=name,
        kind="MatMul",
        flops=flops,
        elementwise_flops=0,
        bytes_read=moved - moved // 2,
        bytes_written=moved // 2,
        weight_bytes=0,
        num_parameters=0,
        activation_bytes=moved // 2,
    )


OPERATORS = st.lists(st.builds(operator, AMOUNTS, AMOUNTS), max_size=6)


def test_below_the_ridge_bandwidth_binds_and_above_it_compute() -> None:
    roof = Roof(flop_per_s=100.0, bandwidth_bytes_per_s=10.0)
    assert roof.ridge_flop_per_byte == 10
    assert attainable_flop_per_s(5, roof) == 50
    assert attainable_flop_per_s(20, roof) == 100
    assert binding_resource(flops=5, bytes_moved=1, roof=roof) == "bandwidth"
    assert binding_resource(flops=20, bytes_moved=1, roof=roof) == "compute"


@given(flops=AMOUNTS, moved=AMOUNTS, roof=ROOFS, factor=st.floats(1, 100))
def test_a_better_peak_is_never_slower(flops: int, moved: int, roof: Roof, factor: float) -> None:
    before = floor_s(flops=flops, bytes_moved=moved, roof=roof)
    wider = replace(roof, bandwidth_bytes_per_s=roof.bandwidth_bytes_per_s * factor)
    faster = replace(roof, flop_per_s=roof.flop_per_s * factor)
    assert floor_s(flops=flops, bytes_moved=moved, roof=wider) <= before
    assert floor_s(flops=flops, bytes_moved=moved, roof=faster) <= before


@given(flops=AMOUNTS, moved=AMOUNTS, roof=ROOFS)
def test_a_floor_is_never_below_either_bound(flops: int, moved: int, roof: Roof) -> None:
    floor = floor_s(flops=flops, bytes_moved=moved, roof=roof)
    assert floor >= flops / roof.flop_per_s
    assert floor >= moved / roof.bandwidth_bytes_per_s


@given(flops=st.integers(1, 10**12), moved=st.integers(1, 10**12), roof=ROOFS)
def test_the_floor_is_the_work_at_the_attainable_rate(flops: int, moved: int, roof: Roof) -> None:
    rate = attainable_flop_per_s(flops / moved, roof)
    # rounding of two divisions
    assert floor_s(flops=flops, bytes_moved=moved, roof=roof) == pytest.approx(
        flops / rate, rel=1e-12
    )


@given(left=OPERATORS, right=OPERATORS, roof=ROOFS)
def test_operator_floors_add_up(
    left: list[OperatorCost], right: list[OperatorCost], roof: Roof
) -> None:
    def total(operators: list[OperatorCost]) -> float:
        return model_floor(operators, boundary_bytes=0, roof=roof).operators_s

    # rounding of a dozen additions
    assert total(left + right) == pytest.approx(total(left) + total(right), rel=1e-12)


@given(operators=OPERATORS, roof=ROOFS, share=st.floats(0, 1))
def test_perfect_fusion_is_never_slower_than_operator_by_operator(
    operators: list[OperatorCost], roof: Roof, share: float
) -> None:
    moved = sum(o.bytes_read + o.bytes_written for o in operators)
    floor = model_floor(operators, boundary_bytes=moved * share, roof=roof)
    # rounding of half a dozen additions
    assert floor.graph_s <= floor.operators_s * (1 + 1e-12)


def test_an_operator_without_a_rule_still_moves_its_bytes_and_is_marked() -> None:
    roof = Roof(flop_per_s=1e9, bandwidth_bytes_per_s=1e3)
    floor = operator_floor(operator(None, 2000), index=3, roof=roof)
    assert (floor.floor_s, floor.binds, floor.counted) == (2.0, "bandwidth", False)


def test_slowest_names_the_largest_floors_first() -> None:
    roof = Roof(flop_per_s=1.0, bandwidth_bytes_per_s=1.0)
    operators = [operator(n, 0, name=str(n)) for n in (3, 9, 5)]
    floor = model_floor(operators, boundary_bytes=0, roof=roof)
    assert [o.name for o in floor.slowest(2)] == ["9", "5"]


def test_a_roof_without_a_peak_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Roof(flop_per_s=0, bandwidth_bytes_per_s=1)

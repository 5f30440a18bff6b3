"""The multiplicative ledger."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.errors import UsageError
from fitwright.perf.ledger import book, calculate
from fitwright.records.figure import Figure
from fitwright.records.ledger import LedgerEntry

FACTORS = st.floats(min_value=0.01, max_value=100)


def entry(factor: float, *, quantity: Any = "speed", low: float = 0.9, high: float = 1.1) -> Any:
    figure = Figure.measured(factor, low=factor * low, high=factor * high)
    return LedgerEntry(technique="compression", quantity=quantity, step="a step", factor=figure)


def reference(**changes: float) -> Any:
    case: dict[str, Any] = {
        "k": 4,
        "m": 2,
        "n": 4,
        "c": 2,
        "capacity_flop_per_s": 1e12,
        "storage_bytes": 200e9,
        "energy_w": 500,
    }
    return calculate(**(case | changes))


def test_the_reference_case_of_the_design() -> None:
    case = reference()
    # exact: products and quotients of small whole numbers
    assert case.capacity_flop_per_s == 32e12
    assert case.effective_flop_per_s == 64e12
    assert case.speedup == 64
    assert case.storage_bytes == 100e9
    assert case.energy_w == 250


def test_storage_and_energy_can_have_factors_of_their_own() -> None:
    case = reference(storage_factor=8, energy_factor=1)
    assert (case.storage_bytes, case.energy_w) == (25e9, 500)
    assert case.effective_flop_per_s == 64e12


def test_a_calculation_without_any_technique_changes_nothing() -> None:
    case = reference(k=1, m=1, n=1, c=1)
    assert case.effective_flop_per_s == case.capacity_flop_per_s == 1e12
    assert (case.storage_bytes, case.energy_w, case.speedup) == (200e9, 500, 1)


@pytest.mark.parametrize("wrong", [0.0, -2.0, math.inf, math.nan])
def test_a_factor_that_is_not_finite_and_above_zero_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(UsageError, match="k=") as caught:
        reference(k=wrong)
    assert caught.value.code == "FW103"


def test_an_empty_ledger_predicts_no_change() -> None:
    ledger = book([], total=Figure.measured(1.0))
    assert ledger.product.value == ledger.storage.value == ledger.energy.value == 1
    assert ledger.interaction.value == 1


@given(factors=st.lists(FACTORS, max_size=6))
def test_the_product_multiplies_and_order_does_not_matter(factors: list[float]) -> None:
    entries = [entry(f) for f in factors]
    forward = book(entries, total=Figure.measured(1.0)).product
    backward = book(entries[::-1], total=Figure.measured(1.0)).product
    # rounding of at most 6 multiplications in another order
    assert forward.value == pytest.approx(math.prod(factors), rel=1e-12)
    assert forward.value == pytest.approx(backward.value, rel=1e-12)
    assert forward.low == pytest.approx(backward.low, rel=1e-12)


@given(factor=FACTORS, ones=st.integers(min_value=0, max_value=4))
def test_exact_ones_change_neither_product_nor_interval(factor: float, ones: int) -> None:
    exact = entry(1.0, low=1, high=1)
    alone = book([entry(factor)], total=Figure.measured(1.0)).product
    among = book([exact] * ones + [entry(factor)], total=Figure.measured(1.0)).product
    # rounding of exp(log(x))
    assert (among.value, among.low, among.high) == pytest.approx(
        (alone.value, alone.low, alone.high), rel=1e-12
    )


def test_independent_intervals_add_in_quadrature_on_the_log_scale() -> None:
    three = entry(2.0, low=math.exp(-0.03), high=math.exp(0.03))
    four = entry(3.0, low=math.exp(-0.04), high=math.exp(0.04))
    product = book([three, four], total=Figure.measured(6.0)).product
    # 3-4-5 triangle; rounding of exp and log
    assert product.low == pytest.approx(6 * math.exp(-0.05), rel=1e-12)
    assert product.high == pytest.approx(6 * math.exp(0.05), rel=1e-12)


def test_interaction_is_total_over_product() -> None:
    entries = [entry(2.0, low=1, high=1), entry(3.0, low=1, high=1)]
    ledger = book(entries, total=Figure.measured(4.5, low=4.0, high=5.0))
    assert ledger.interaction.value == pytest.approx(0.75)
    assert ledger.interaction.low == pytest.approx(4 / 6)
    assert ledger.interaction.high == pytest.approx(5 / 6)
    assert ledger.interaction.label == "measured"
    assert ledger.product.label == "predicted"


def test_each_quantity_multiplies_its_own_factors_only() -> None:
    entries = [entry(2.0), entry(4.0, quantity="storage"), entry(1.5, quantity="energy")]
    ledger = book([*entries, entry(2.0, quantity="storage")], total=Figure.measured(2.0))
    assert (ledger.product.value, ledger.storage.value, ledger.energy.value) == (2, 8, 1.5)
    assert ledger.storage.label == "measured"


def test_an_estimated_factor_makes_its_product_estimated() -> None:
    guess = Figure(value=2.0, low=1.0, high=4.0, label="estimated")
    row = LedgerEntry(technique="energy_efficiency", quantity="energy", step="s", factor=guess)
    ledger = book([row, entry(1.1, quantity="energy")], total=Figure.measured(1.0))
    assert ledger.energy.label == "estimated"


def test_an_unavailable_factor_makes_the_product_unavailable_and_says_why() -> None:
    row = LedgerEntry(
        technique="energy_efficiency",
        quantity="energy",
        step="s",
        factor=Figure.unavailable("no meter here"),
    )
    ledger = book([row], total=Figure.unavailable("the run was stopped"))
    assert ledger.energy.label == "unavailable"
    assert "no meter here" in ledger.energy.source
    assert "the run was stopped" in ledger.interaction.source


def test_an_interval_that_touches_zero_reaches_down_to_zero() -> None:
    wide = Figure.measured(1.0, low=0.0, high=2.0)
    row = LedgerEntry(technique="compression", quantity="speed", step="s", factor=wide)
    assert book([row], total=Figure.measured(1.0)).product.low == 0

from __future__ import annotations

import pytest

from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.measures import in_base_units, in_unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("ms", 1e-3),
        ("us", 1e-6),
        ("GiB", 2.0**30),
        ("J/sample (whole system)", 1.0),
        ("J/request (GPU)", 1.0),
        ("TFLOP/s/GPU", 1e12),
        ("tok/s/device", 1.0),
        ("tok/s/GPU", 1.0),
        ("img/s", 1.0),
        ("FPS", 1.0),
        ("cycles", 1.0),
        ("LUT", 1.0),
        ("uJ", 1e-6),
        ("samples/s/device", 1.0),
        ("images/sec", 1.0),
        ("samples per second", 1.0),
        ("QPS", 1.0),
        ("IPS", 1.0),
        ("tok/s/user", 1.0),
        ("it/s", 1.0),
        ("s/it", 1.0),
        ("clock cycles", 1.0),
        ("kLUT", 1e3),
        ("milliseconds", 1e-3),
        ("msec", 1e-3),
        ("μs", 1e-6),
        ("ms/batch", 1e-3),
        ("mJ/inf", 1e-3),
        ("watts", 1.0),
        ("bytes", 1.0),
        ("GiB/s", 2.0**30),
        ("MB/sec", 1e6),
        ("GOP/s", 1e9),
    ],
)
def test_units_of_published_tables_are_known(unit: str, factor: float) -> None:
    assert in_base_units(unit) == factor


def test_an_estimate_is_told_in_the_unit_of_the_table() -> None:
    base = Estimate(value=0.002, low=0.001, high=0.004, unit="s", rung="family")
    told = in_unit(base, "ms")
    assert isinstance(told, Estimate)
    # a division by a power of ten may differ in the last bit
    assert (told.value, told.low, told.high) == pytest.approx((2, 1, 4))
    assert (told.unit, told.rung) == ("ms", "family")


def test_an_unknown_unit_is_no_data() -> None:
    base = Estimate(value=1, low=1, high=1, unit="s", rung="family")
    told = in_unit(base, "furlongs")
    assert isinstance(told, NoData)
    assert "furlongs" in told.reason


@pytest.mark.parametrize("unit", ["tok/s per GPU (median)", "tok/s/GPU", "samples/s per device"])
def test_what_a_rate_is_stated_per_does_not_change_it(unit: str) -> None:
    assert in_base_units(unit) == 1.0


@pytest.mark.parametrize(
    ("predicted", "asked"),
    [
        ("s", "W"),
        ("s", "images/sec"),
        ("1/s", "milliseconds"),
        ("1/s", "ms_p90"),
        ("J", "GiB"),
        ("cycles", "FPS"),
    ],
)
def test_an_answer_of_another_kind_than_asked_for_is_no_answer(predicted: str, asked: str) -> None:
    one = Estimate(value=1.0, low=0.5, high=2.0, unit=predicted, rung="kind")
    answer = in_unit(one, asked)
    assert isinstance(answer, NoData)
    assert repr(asked) in answer.reason

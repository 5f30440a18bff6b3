"""Quantities are read in the user's units and printed so that they read back."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright import units

QUANTITIES = tuple(units._UNITS)


@pytest.mark.parametrize(
    ("text", "quantity", "expected"),
    [
        ("10 ms", "seconds", 0.01),
        ("10ms", "seconds", 0.01),
        (" 1.5 min ", "seconds", 90),
        ("5m", "seconds", 300),
        ("2e3 us", "seconds", 2e-3),
        ("512 MiB", "bytes", 512 * 2**20),
        ("1 GB", "bytes", 1e9),
        (".5 KiB", "bytes", 512),
        ("50 mJ", "joules", 0.05),
        ("1 kWh", "joules", 3.6e6),
        ("200/s", "per_second", 200),
        ("60 /min", "per_second", 1),
        ("0.40 USD/1M", "usd_per_inference", 0.4e-6),
        ("3.6 USD/h", "usd_per_second", 1e-3),
        ("1TFLOPS", "flop_per_s", 1e12),
        ("0.98", "share", 0.98),
        (0.98, "share", 0.98),
        ("98 %", "share", 0.98),
        ("15 W", "watts", 15),
        ("312 TFLOP/s", "flop_per_s", 312e12),
        ("624 TOP/s", "flop_per_s", 624e12),
        ("2039 GB/s", "bytes_per_s", 2039e9),
        ("820 GiB/s", "bytes_per_s", 820 * 2**30),
        ("1.41 GHz", "hertz", 1.41e9),
        ("1999 USD", "usd", 1999),
        ("108", "number", 108),
        ("1728 k", "number", 1.728e6),
    ],
)
def test_what_users_write_is_read_in_base_units(text, quantity, expected) -> None:
    # both sides are one or two decimal products; a few units in the last place may differ
    assert units.parse(text, quantity) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("value", "quantity", "expected"),
    [
        ("10", "seconds", "has no unit; write it as '10 ms'"),
        (10, "seconds", "has no unit"),
        ("10 parsecs", "seconds", "unknown unit 'parsecs'"),
        ("ten ms", "seconds", "cannot read 'ten ms'"),
        ("", "bytes", "cannot read ''"),
        ("1e999 s", "seconds", "is not finite"),
        ("nan s", "seconds", "cannot read"),
        (None, "bytes", "expected a quantity such as '512 MiB', got None"),
        (True, "share", "got True"),
        ([1], "share", "got [1]"),
        ("10 mb", "bytes", "unknown unit 'mb'"),
        ("10 ms ms", "seconds", "unknown unit"),
    ],
)
def test_what_cannot_be_read_is_told_with_an_example(value, quantity, expected) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        units.parse(value, quantity)


@given(st.floats(min_value=1e-9, max_value=1e15))
@pytest.mark.parametrize(
    ("show", "quantity"),
    [(units.seconds, "seconds"), (units.bytes_, "bytes"), (units.joules, "joules")],
)
def test_what_is_printed_reads_back(show, quantity, value) -> None:
    text = show(value).replace(",", "")
    # three significant digits are printed (half a digit of 100 is 0.5 %); bytes and energies
    # far below their smallest unit are printed in that unit all the same
    assert units.parse(text, quantity) == pytest.approx(value, rel=0.0051)


@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(QUANTITIES), st.data())
def test_every_unit_scales_by_its_factor(number, quantity, data) -> None:
    unit = data.draw(st.sampled_from(sorted(units._UNITS[quantity])))
    if unit == "" and quantity not in units._BARE_OK:
        return
    assert units.parse(f"{number!r} {unit}", quantity) == number * units._UNITS[quantity][unit]


@given(st.text(max_size=20), st.sampled_from(QUANTITIES))
def test_any_text_is_read_finite_or_refused_with_a_sentence(text, quantity) -> None:
    try:
        value = units.parse(text, quantity)
    except ValueError as error:
        assert str(error)
    else:
        assert math.isfinite(value)


@given(st.from_regex(r"\s?[+-]?\d{1,4}(\.\d{1,3})?(e[+-]?\d)? ?[a-zA-Zµ/%]{0,5}", fullmatch=True),
       st.sampled_from(QUANTITIES))  # fmt: skip
def test_the_pattern_of_the_schema_agrees_with_the_parser(text, quantity) -> None:
    matches = re.search(units.pattern(quantity), text) is not None
    try:
        units.parse(text, quantity)
    except ValueError:
        assert not matches
    else:
        assert matches


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_example_of_a_quantity_can_be_read(quantity) -> None:
    for text in units.example(quantity).split(" or "):
        assert units.parse(text, quantity) > 0
        assert re.search(units.pattern(quantity), text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (0, "s", "0 ns"),
        (0.9999, "s", "1,000 ms"),
        (12345, "W", "12.3 kW"),
        (-0.5, "s", "-500 ms"),
        (90, "s", "1.5 min"),
        (1048576, "bytes", "1 MiB"),
        (2.2e9, "FLOP", "2.2 GFLOP"),
        (1.41e9, "Hz", "1.41 GHz"),
        (624e12, "OP/s", "624 TOP/s"),
        (200, "/s", "200 /s"),
        (4e-7, "usd", "0.4 USD/1M"),
        (0.98765, "", "0.9877"),
    ],
)
def test_figures_are_printed_with_three_digits_and_a_fitting_unit(value, unit, text) -> None:
    assert units.show(value, unit) == text


def test_the_shipped_schema_holds_the_patterns() -> None:
    schema = Path(units.__file__).parent / "schema" / "contract.schema.json"
    limits = json.loads(schema.read_text())["$defs"]["Limits"]["properties"]
    written = {o.get("pattern") for o in limits["latency_p99"]["anyOf"]}
    assert units.pattern("seconds") in written

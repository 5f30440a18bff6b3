"""Two kinds of devices that share a rate, against every combination tried by hand."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.estimate import NoData
from fitwright.records.prospect import Prospect, Way
from fitwright.select.mix import LEAST_SAVING, mixes

NOTHING = NoData(reason="not asked here")
WAY = Way(
    dtype="int8",
    runtime="onnxruntime",
    rounds=True,
    latency_s=NOTHING,
    memory_bytes=NOTHING,
    energy_j=NOTHING,
)


def kind(name: str, takes_per_s: float, usd_per_s: float) -> Prospect:
    return Prospect(
        device_id=name,
        name=name,
        kind="gpu",
        way=WAY,
        figures={},
        outlooks=(),
        expected="likely meets",
        planned_per_s=takes_per_s,
        usd_per_s=usd_per_s,
    )


@given(
    takes=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)),
    costs=st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30)),
    rate=st.integers(1, 60),
)
def test_no_pair_costs_less_than_the_one_that_is_found(
    takes: tuple[int, int, int], costs: tuple[int, int, int], rate: int
) -> None:
    kinds = list(zip(takes, costs, strict=True))
    found = mixes([kind(f"k{i}", t, c) for i, (t, c) in enumerate(kinds)], rate_per_s=rate)
    alone = min(math.ceil(rate / t) * c for t, c in kinds)
    pairs = [
        a * kinds[i][1] + b * kinds[j][1]
        for i in range(3)
        for j in range(i)
        for a in range(1, rate + 1)
        for b in range(1, rate + 1)
        if a * kinds[i][0] + b * kinds[j][0] >= rate
    ]
    best = min(pairs, default=math.inf)
    if best < (1 - LEAST_SAVING) * alone:
        assert found and math.isclose(found[0].usd_per_s, best)
        assert found[0].rate_per_s >= rate
    else:
        assert found == ()


def test_without_a_rate_there_is_nothing_to_share() -> None:
    assert mixes([kind("a", 1.0, 1.0), kind("b", 2.0, 1.0)], rate_per_s=None) == ()


def test_what_is_not_likely_to_meet_the_contract_takes_no_share() -> None:
    likely = [kind("large", 926.0, 10.0), kind("small", 93.0, 1.5)]
    assert mixes(likely, rate_per_s=1000)
    doubtful = [
        p.model_copy(update={"expected": "unknown: measure first"}) if p.device_id == "small" else p
        for p in likely
    ]
    assert mixes(doubtful, rate_per_s=1000) == ()

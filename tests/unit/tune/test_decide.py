"""What a comparison that decides nothing says."""

from __future__ import annotations

import pytest

from fitwright.records.trial import Comparison
from fitwright.tune.decide import decide
from needs import need


@pytest.mark.parametrize(
    ("more_s", "num_heats", "said"),
    [
        (40.0, 3, "too noisy to decide: about 40 s more would decide: 1.02x"),
        (None, 1, "too noisy to decide: 1.02x"),
    ],
)
def test_a_race_that_decides_nothing_says_how_much_more_time_would(
    more_s: float | None, num_heats: int, said: str
) -> None:
    comparison = Comparison(
        incumbent="x",
        ratio=1.02,
        low=0.97,
        high=1.07,
        num_rounds=30,
        outcome="undecided",
        num_heats=num_heats,
        more_s=more_s,
    )
    decision = decide(need(), candidate={}, incumbent={}, comparison=comparison)
    assert not decision.accepted
    assert decision.reason.startswith(said)
    assert ("in 3 pairs of processes" in decision.reason) is (num_heats == 3)

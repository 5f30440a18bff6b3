"""What became of a proposal, in words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fitwright.bench.setup import Measurement
from fitwright.deliver.summary import trial_rows
from fitwright.flow.races import Raced
from fitwright.flow.telling import busy, decided, trial_of
from fitwright.records.noise import Noise
from fitwright.records.trial import Failure, Trial
from fitwright.tune.proposal import Try
from needs import need
from proposals import INT8, comparison, trial


def test_what_disagrees_tells_what_its_time_was_and_says_it_once() -> None:
    candidate = trial(1, INT8, "b", decision="failed").candidate
    glance = comparison(1.9, "orig/a/defaults")
    failure = Failure(cause="disagrees", detail="0.06 away", distance=0.06, glance=glance)
    raced = Raced(measured=Measurement(failure=failure), incumbent={})
    decision = decided(need(), raced)
    expected = "disagrees: 0.06 away; it ran 1.9x as fast as the best so far (20 rounds)"
    assert not decision.accepted and decision.reason == expected
    step = Try(candidate=candidate, variant=INT8, round=3)
    (row,) = trial_rows([trial_of(step, raced.measured, decision, number=1)])
    assert row.reason == expected


def seen(number: int, share: float | None, *, stage: str = "short") -> Trial:
    """A trial whose comparison was measured while others took that share."""
    compared = comparison(1.0, "x").model_copy(update={"noise": Noise(others_share=share)})
    plain = trial(number, INT8, "b", decision="accepted")
    return plain.model_copy(update={"stage": stage, "comparison": compared})


@pytest.mark.parametrize(
    ("races", "finals", "said"),
    [
        ((0.02, 0.05, 0.3), (0.04,), ""),  # one busy moment
        ((0.02, 0.25, 0.3), (0.04,), "25 %"),
        ((0.02, 0.02, 0.02), (0.4, 0.31), "31 %"),  # the final run that counts is the last
        ((None, None), (None,), ""),
        ((), (), ""),
    ],
)
def test_a_run_on_a_busy_machine_says_so(
    races: Sequence[float | None], finals: Sequence[float | None], said: str
) -> None:
    trials = [seen(i, share) for i, share in enumerate(races, 1)]
    trials += [seen(i, share, stage="full") for i, share in enumerate(finals, 10)]
    warnings = busy([*trials, trial(20, INT8, "b", decision="accepted")])
    assert len(warnings) == bool(said)
    assert all(said in warning for warning in warnings)

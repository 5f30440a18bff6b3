"""What became of a proposal, in words."""

from __future__ import annotations

from fitwright.bench.setup import Measurement
from fitwright.deliver.summary import trial_rows
from fitwright.flow.races import Raced
from fitwright.flow.telling import decided, trial_of
from fitwright.records.trial import Failure
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

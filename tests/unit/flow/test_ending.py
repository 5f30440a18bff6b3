"""What the end of a run takes is judged from its trials."""

from __future__ import annotations

import pytest

from fitwright.flow.ending import Ending, ending
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Trial
from needs import P99, SIZE, need


def trial(*, load_s: float, latency_s: float) -> Trial:
    return Trial(
        number=1,
        round=1,
        candidate=Candidate(variant_id="v", title="v", backend="b", settings=Settings()),
        decision="accepted",
        reason="",
        figures={
            "load_time": Figure.measured(load_s, unit="s"),
            "latency_p50": Figure.measured(latency_s, unit="s"),
        },
    )


QUICK, SLOW = trial(load_s=0.1, latency_s=1e-4), trial(load_s=5.0, latency_s=0.5)


def test_nothing_is_set_aside_before_anything_ran() -> None:
    assert ending(None, None, need=need(P99)) == Ending()


def test_a_slow_model_takes_longer_to_open_and_to_verify() -> None:
    quick, slow = ending(QUICK, QUICK, need=need()), ending(SLOW, QUICK, need=need())
    # opened twice, as artefact and for the self-test; 8 evaluation samples answered once
    assert slow.around_s - quick.around_s == pytest.approx(2 * 4.9 + 8 * 0.4999)


def test_a_limited_percentile_wants_enough_queries_of_both() -> None:
    # 368 queries bound p99, half as many again for bursts, in 60 % of the time
    each_s = 1.5 * 368 / 0.6
    assert ending(SLOW, QUICK, need=need(P99)).measuring_s == pytest.approx(each_s * 0.5001)
    assert ending(SLOW, QUICK, need=need(SIZE)).measuring_s == 0.0


def test_queries_of_a_server_come_no_faster_than_their_rate() -> None:
    traffic = Traffic(scenario="server", rate_per_s=10.0)
    served = need(P99).model_copy(update={"traffic": traffic})
    assert ending(QUICK, QUICK, need=served).measuring_s == pytest.approx(2 * 1.5 * 368 * 0.1 / 0.6)

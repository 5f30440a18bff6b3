"""Limits are judged on intervals, never on a single number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.figure import Figure
from fitwright.records.need import Limit
from fitwright.tune.judge import blocking, breaches, judge, judge_limit, overall, relaxations
from needs import P99, RATE, SIZE, need


def measured(value: float, low: float, high: float, n: int = 100) -> Figure:
    return Figure.measured(value, low=low, high=high, unit="s", num_samples=n)


@pytest.mark.parametrize(
    ("limit", "figure", "status"),
    [
        (P99, measured(0.008, 0.007, 0.009), "met"),
        (P99, measured(0.008, 0.007, 0.011), "undecided"),
        (P99, measured(0.012, 0.011, 0.013), "missed"),
        (P99, measured(0.010, 0.010, 0.010), "met"),
        (RATE, measured(250, 210, 300), "met"),
        (RATE, measured(210, 190, 300), "undecided"),
        (RATE, measured(150, 140, 160), "missed"),
        (P99, Figure.unavailable("too few samples", unit="s"), "undecided"),
    ],
)
def test_status_follows_the_whole_interval(limit: Limit, figure: Figure, status: str) -> None:
    assert judge_limit(limit, figure).status == status


def test_an_unavailable_figure_says_why_it_cannot_be_judged() -> None:
    assert judge_limit(P99, Figure.unavailable("no RAPL here")).note == "no RAPL here"


def test_an_undecided_limit_says_how_many_more_samples_it_takes() -> None:
    # half-width 2 ms at 100 samples, distance 1 ms: 4x the samples, 300 more
    verdict = judge_limit(P99, measured(0.009, 0.007, 0.011))
    assert verdict.note == "about 300 more samples would decide"


def test_a_figure_almost_on_its_bound_is_told_to_be_too_close() -> None:
    verdict = judge_limit(P99, measured(0.009999, 0.001, 0.02))
    assert verdict.note.startswith("too close to the bound")


def test_an_open_interval_is_undecided_for_the_reason_its_source_gives() -> None:
    source = "73 runs cannot carry p99; it needs 368 (295 more) for an upper end"
    figure = Figure.measured(0.008, low=0.007, high=math.inf, num_samples=73, source=source)
    verdict = judge_limit(P99, figure)
    assert verdict.status == "undecided"
    assert "295 more" in verdict.note


def test_no_number_of_samples_is_promised_to_decide_an_estimate() -> None:
    limit = Limit(name="energy", figure="energy", sense="at_most", bound=1.0, unit="J")
    figure = Figure(
        value=0.9, low=0.4, high=2.0, unit="J", label="estimated", source="±50 %", num_samples=9
    )
    note = judge_limit(limit, figure).note
    assert "±50 %" in note
    assert "would decide" not in note


def test_an_unmeasured_limit_is_undecided_and_never_met() -> None:
    (verdict,) = judge(need(SIZE), {})
    assert verdict.status == "undecided"
    assert overall([verdict]) == "undecided"


def test_one_missed_limit_misses_the_contract() -> None:
    verdicts = judge(
        need(P99, SIZE),
        {"latency_p99": measured(0.008, 0.007, 0.009), "size": Figure.measured(2500.0)},
    )
    assert overall(verdicts) == "missed"
    assert blocking(verdicts) == "size"
    assert [(r.limit, r.bound) for r in relaxations(verdicts)] == [("size", 2500.0)]


def test_a_median_over_the_bound_breaks_the_percentile_before_it_is_measured() -> None:
    figures = {"latency_p50": measured(0.020, 0.019, 0.021)}
    assert breaches(need(P99), figures) == {"latency_p99": pytest.approx(2.0)}
    assert breaches(need(P99), {"latency_p50": measured(0.005, 0.004, 0.006)}) == {}


@given(
    value=st.floats(1e-6, 1e6),
    bound=st.floats(1e-6, 1e6),
    sense=st.sampled_from(["at_most", "at_least"]),
)
def test_a_relaxed_bound_is_kept_by_the_figure_it_was_relaxed_for(
    value: float, bound: float, sense: str
) -> None:
    limit = Limit(name="x", figure="x", sense=sense, bound=bound)
    verdict = judge_limit(limit, Figure.measured(value))
    for relaxed in relaxations([verdict]):
        assert (
            judge_limit(
                limit.model_copy(update={"bound": relaxed.bound}), Figure.measured(value)
            ).status
            == "met"
        )


def test_an_interval_without_an_upper_end_is_judged_and_relaxed_all_the_same() -> None:
    endless = measured(0.012, 0.011, float("inf"))
    missed = judge_limit(P99, endless.model_copy(update={"source": "the backlog grows"}))
    assert missed.status == "missed"
    assert missed.note == "the backlog grows"
    (relaxed,) = relaxations([missed])
    assert relaxed.bound == 0.012
    assert "would be met" not in relaxed.text
    undecided = judge_limit(P99, measured(0.008, 0.007, float("inf")))
    assert undecided.note.startswith("too few samples yet to bound it")


def test_a_limit_on_the_given_data_is_judged_on_the_value() -> None:
    # 32 equal answers of 32: an interval would reach down to 0.89 and never decide
    top1 = Limit(
        name="top1_agreement",
        figure="top1_agreement",
        sense="at_least",
        bound=0.99,
        on_given_data=True,
    )
    assert judge_limit(top1, measured(1.0, 0.89, 1.0, n=32)).status == "met"
    assert judge_limit(top1, measured(0.97, 0.85, 1.0, n=32)).status == "missed"

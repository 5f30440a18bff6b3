"""What ships is what the final run proved; a fallback costs no more than it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fitwright.bench.trial import Measurement, Setup, Target
from fitwright.flow import handover
from fitwright.flow.handover import final_pair
from fitwright.flow.search import Search
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.start import Silent
from fitwright.tune.standing import Standing, accepted_path
from needs import need

Pair = tuple[Measurement, Measurement]


def trial(number: int, *, round_: int = 2) -> Trial:
    candidate = Candidate(
        variant_id=f"v{number}", title=f"v{number}", backend="b", settings=Settings()
    )
    return Trial(number=number, round=round_, candidate=candidate, decision="accepted", reason="")


class Finals:
    """Stands in for the bench: hands out results in turn and keeps what was asked for."""

    def __init__(self, *results: Pair) -> None:
        self._results = iter(results)
        self.asked: list[tuple[str, float]] = []

    def __call__(self, _setup: Setup, ours: Target, _theirs: Target, *, budget_s: float) -> Pair:
        self.asked.append((str(ours), budget_s))
        return next(self._results)


def result(outcome: str, *, seen_s: float = 1.0) -> Pair:
    comparison = Comparison(
        incumbent="v1", ratio=1.1, low=1.0, high=1.2, num_rounds=20, outcome=outcome
    )
    ours = Measurement(figures={}, comparison=comparison)
    return ours, Measurement(figures={"latency_p50": Figure.measured(seen_s, unit="s")})


def broken() -> Pair:
    failure = Failure(cause="disagrees", detail="too far from the original")
    return Measurement(failure=failure), Measurement(figures={})


def ended(
    monkeypatch: pytest.MonkeyPatch, trials: Sequence[Trial], finals: Finals
) -> tuple[Trial, Trial]:
    monkeypatch.setattr(handover, "final", finals)
    known = list(trials)
    search: Any = SimpleNamespace(
        trials=known,
        standing=Standing(known),
        best=lambda: Standing(known).best,
        setup=None,
        path=lambda: accepted_path(known),
        target_of=lambda t: t.candidate.title,
        tools=SimpleNamespace(console=Silent()),
        record=known.append,
        walk=SimpleNamespace(analyzed=SimpleNamespace(analysis=SimpleNamespace(need=need()))),
    )
    return final_pair(cast(Search, search), budget_s=60.0)


BASELINE, FIRST, SECOND, THIRD = trial(1, round_=1), trial(2), trial(3), trial(4)


def left_open(number: int, *, ratio: float, **figures: Figure) -> Trial:
    """Raced against the baseline, too noisy to decide."""
    comparison = Comparison(
        incumbent=BASELINE.candidate.key, ratio=ratio, low=0.5, high=3.0, num_rounds=9,
        outcome="undecided",
    )  # fmt: skip
    found = {"decision": "rejected", "comparison": comparison, "figures": figures}
    return trial(number).model_copy(update=found)


@pytest.mark.parametrize(("ratio", "asked"), [(1.7, "v3"), (1.05, "v1")])
def test_where_nothing_was_proven_the_final_run_is_that_of_what_looked_far_faster(
    monkeypatch: pytest.MonkeyPatch, ratio: float, asked: str
) -> None:
    finals = Finals(result("faster"))
    known = [BASELINE, left_open(2, ratio=1.0), left_open(3, ratio=ratio)]
    artefact, baseline = ended(monkeypatch, known, finals)
    assert finals.asked == [(asked, 60.0)]
    assert artefact.candidate.title == asked
    assert baseline.candidate == BASELINE.candidate


def test_what_was_proven_comes_before_what_only_looked_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(result("faster"))
    ended(monkeypatch, [BASELINE, FIRST, left_open(3, ratio=1.7)], finals)
    assert finals.asked == [("v2", 60.0)]


def test_what_looked_far_faster_ships_only_when_the_final_run_proves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(result("undecided"))
    artefact, _ = ended(monkeypatch, [BASELINE, left_open(2, ratio=1.7)], finals)
    assert artefact.candidate == BASELINE.candidate


def test_the_best_so_far_ships_when_the_final_run_proves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(result("faster"))
    artefact, baseline = ended(monkeypatch, [BASELINE, FIRST, SECOND], finals)
    assert artefact.candidate == SECOND.candidate
    assert baseline.candidate == BASELINE.candidate
    assert finals.asked == [("v3", 60.0)]


@pytest.mark.parametrize(("low", "ships"), [(1.3, "v2"), (1.02, "v1")])
def test_a_final_run_that_noise_leaves_open_refutes_nothing_that_was_far_ahead(
    monkeypatch: pytest.MonkeyPatch, low: float, ships: str
) -> None:
    proof = Comparison(
        incumbent="v1", ratio=1.5, low=low, high=1.8, num_rounds=20, outcome="faster"
    )
    proven = FIRST.model_copy(update={"comparison": proof})
    ours, theirs = result("undecided")
    assert ours.comparison is not None
    far = replace(ours, comparison=ours.comparison.model_copy(update={"ratio": 1.6}))
    artefact, _ = ended(monkeypatch, [BASELINE, proven], Finals((far, theirs)))
    assert artefact.candidate.title == ships


def test_a_baseline_measured_beside_the_last_challenger_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(result("undecided", seen_s=7.0))
    artefact, baseline = ended(monkeypatch, [BASELINE, FIRST], finals)
    assert artefact.candidate == baseline.candidate == BASELINE.candidate
    assert baseline.figures["latency_p50"].value == 7.0
    assert finals.asked == [("v2", 60.0)]


def test_after_a_fallback_the_next_final_run_is_shorter_and_two_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(result("undecided"), result("undecided"))
    artefact, _ = ended(monkeypatch, [BASELINE, FIRST, SECOND, THIRD], finals)
    assert artefact.candidate == BASELINE.candidate
    assert finals.asked == [("v4", 60.0), ("v3", 20.0)]


def test_challengers_that_fail_before_they_are_timed_cost_no_final_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(broken(), broken(), result("faster"))
    artefact, _ = ended(monkeypatch, [BASELINE, FIRST, SECOND, THIRD], finals)
    assert artefact.candidate == FIRST.candidate
    assert finals.asked == [("v4", 60.0), ("v3", 60.0), ("v2", 60.0)]


def test_when_every_challenger_fails_the_baseline_is_measured_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finals = Finals(broken(), result("same"))
    artefact, _ = ended(monkeypatch, [BASELINE, FIRST], finals)
    assert artefact.candidate == BASELINE.candidate
    assert finals.asked == [("v2", 60.0), ("v1", 60.0)]

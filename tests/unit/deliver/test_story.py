"""How the search went: outcomes in words, what was passed over, how long the best took."""

from __future__ import annotations

import pytest

from fitwright.deliver.evidence import read_evidence
from fitwright.deliver.report import write_report
from fitwright.deliver.story import outcome_text, search_rows
from fitwright.records.noise import Noise
from fitwright.records.run import RunFolder
from fitwright.records.trial import Comparison

CLOSE = Comparison(
    incumbent="x", ratio=1.01, low=0.98, high=1.04, num_rounds=40, outcome="undecided"
)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "too noisy to decide"),
        ({"more_s": 40.4}, "too noisy to decide: about 40 s more would decide"),
        ({"more_s": 1e9}, "too noisy to decide"),  # nobody waits for years
        ({"more_s": 40.0, "num_heats": 3},
         "too noisy to decide: about 40 s more would decide, 3 heats"),
        ({"outcome": "faster", "more_s": 3.0}, "faster"),
        ({"outcome": "same", "num_heats": 2}, "the same, 2 heats"),
    ],
)  # fmt: skip
def test_an_outcome_is_told_in_words(changed: dict[str, object], words: str) -> None:
    assert outcome_text(CLOSE.model_copy(update=changed)) == words


def rows(run: RunFolder) -> dict[str, str]:
    return dict(search_rows(read_evidence(run)))


def test_the_outcomes_and_the_time_to_the_best_are_counted(run: RunFolder) -> None:
    told = rows(run)
    assert told["comparisons"] == "3 faster, 3 slower, 1 the same, 1 too noisy to decide"
    assert told["heats"] == "8 pairs of processes for 8 comparisons, at most 1 for one"
    # 9 of 11 trials, 4.2 s each, and by then all six variants, 2.4 s each
    assert told["time to the best"] == ("52 s of 61 s spent on trials and passes, in trial 9 of 11")
    assert "the machine" not in told and "passed over" not in told


def test_what_the_machine_told_of_itself_is_told_as_ranges(run: RunFolder) -> None:
    noises = [
        Noise(floor=0.004, steal_share=0.0, frequency_hz=2.1e9),
        Noise(
            floor=0.012,
            steal_share=0.034,
            others_share=0.42,
            frequency_hz=2.9e9,
            temperature_c=61.2,
        ),
    ]
    for trial, noise in zip(run.trials()[1:3], noises, strict=True):
        assert trial.comparison is not None
        race = trial.comparison.model_copy(update={"noise": noise})
        run.record_trial(trial.model_copy(update={"comparison": race}))
    assert rows(run)["the machine"] == (
        "processes of the same candidate differ by up to 1.2 %, up to 3.4 % of the processor "
        "time stolen, up to 42.0 % of it taken by other programs, 2.10 – 2.90 GHz, 61 °C"
    )


def test_candidates_that_were_never_measured_are_counted_with_their_reason(
    run: RunFolder,
) -> None:
    for number, reason in ((20, "not measured: hopeless"), (21, "not measured: hopeless")):
        trial = run.trials()[2]
        run.record_trial(
            trial.model_copy(
                update={
                    "number": number,
                    "candidate": trial.candidate.model_copy(update={"variant_id": f"n{number}"}),
                    "figures": {},
                    "comparison": None,
                    "reason": reason,
                }
            )
        )
    assert rows(run)["passed over"] == "2 candidates: 2× not measured: hopeless"
    assert "How the search went" in write_report(run).read_text(encoding="utf-8")


def test_a_run_without_trials_has_no_story(run: RunFolder) -> None:
    evidence = read_evidence(run)
    none = type(evidence)(**{**vars(evidence), "trials": (), "verdict": None})
    assert search_rows(none) == []


def test_a_percentile_never_stands_without_its_count(run: RunFolder) -> None:
    html = write_report(run).read_text(encoding="utf-8")
    assert "n = 4,000" in html  # the full run
    assert "n = 400" in html  # the short ones

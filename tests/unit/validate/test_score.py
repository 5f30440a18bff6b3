from __future__ import annotations

from collections.abc import Mapping

import pytest

from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.validate import score
from fitwright.validate.case import Case, Knowledge, Predictor, Unreadable
from fitwright.validate.targets import broken


def case(
    name: str, *, measured: float | None = 10.0, domain: str = "time", **inputs: object
) -> Case:
    return Case(
        case=name,
        domain=domain,
        device_id="h100-sxm",
        inputs=inputs,
        metric="latency_ms",
        measured=measured,
        unit="ms",
    )


def twice(asked: Case, known: Knowledge) -> Estimate | NoData:
    if asked.inputs.get("broken"):
        raise KeyError("a table of ours lacks this")
    seconds = asked.inputs.get("seconds")
    if not isinstance(seconds, float):
        return NoData(reason="seconds is missing")
    return Estimate(
        value=seconds, low=seconds / 2, high=seconds * 2, unit="s", rung="family", reasons=("why",)
    )


@pytest.fixture(autouse=True)
def _one_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Mapping[str, Predictor] = {"time": twice}
    monkeypatch.setattr(score, "PREDICTORS", table)


def test_the_error_is_predicted_over_measured_less_one() -> None:
    (row,) = score.validate([case("a", seconds=0.012)]).rows
    # a division by a power of ten may differ in the last bit
    assert row.predicted == pytest.approx(12.0)
    assert row.error == pytest.approx(0.2)
    assert (row.rung, row.reason) == ("family", "why")


def test_every_row_is_in_the_answer_in_its_order() -> None:
    asked = [
        case("a"),
        Unreadable(case="b", domain="time", reason="no JSON"),
        case("c", seconds=1.0),
    ]
    found = score.validate(asked)
    assert [row.case for row in found.rows] == ["a", "b", "c"]
    assert [row.predicted is None for row in found.rows] == [True, True, False]
    assert found.by_domain["time"].num_rows == 3
    assert found.by_domain["time"].num_predicted == 1


def test_what_nothing_predicts_says_why() -> None:
    unknown = Case(
        case="x",
        domain="weather",
        device_id="h100-sxm",
        inputs={},
        metric="",
        measured=1,
        unit="ms",
    )
    nowhere = Case(
        case="y", domain="time", device_id="h100-sxn", inputs={}, metric="", measured=1, unit="ms"
    )
    rows = score.validate([unknown, nowhere, case("z")]).rows
    assert "no model for the domain 'weather'" in rows[0].reason
    assert "h100-sxn" in rows[1].reason
    assert rows[2].reason == "seconds is missing"


def test_a_case_without_a_figure_has_a_prediction_and_no_error() -> None:
    found = score.validate([case("a", measured=None, seconds=0.01)])
    assert found.rows[0].predicted == pytest.approx(10.0)
    assert found.rows[0].error is None
    assert found.by_domain["time"].median_absolute_error is None


def test_coverage_counts_figures_inside_their_bands() -> None:
    inside, outside = case("a", seconds=0.011), case("b", seconds=0.1)
    summed = score.validate([inside, outside]).by_domain["time"]
    assert summed.share_within_band == 0.5
    assert summed.worst_absolute_error == pytest.approx(9.0)


def test_rows_are_summed_up_by_device_and_by_evidence() -> None:
    found = score.validate([case("a", seconds=0.01), case("b")])
    assert {n: s.num_rows for n, s in score.by(found.rows, "device_id").items()} == {"h100-sxm": 2}
    assert set(score.by(found.rows, "rung")) == {"family", "no data"}


def test_a_defect_of_ours_is_told_from_a_reason_and_costs_no_other_row_its_answer() -> None:
    found = score.validate([case("a", broken=True), case("b"), case("c", seconds=0.01)])
    ours, reasoned, sane = found.rows
    assert ours.predicted is None
    assert ours.internal_error
    assert ours.reason.startswith("internal error: KeyError in test_score.py:")
    assert (reasoned.internal_error, sane.internal_error) == (False, False)
    assert sane.predicted is not None
    assert found.by_domain["time"].num_internal_errors == 1


def test_a_defect_breaks_the_targets_of_the_tables_that_come_with_fitwright() -> None:
    sentences = broken(score.validate([case("a", broken=True)]))
    assert sentences == ("time: 1 rows met an internal error, a defect of Fitwright",)


@pytest.mark.parametrize("seconds", [-1.0, "-1", float("inf"), 10**400, "1e400", 1e30])
def test_numbers_that_no_formula_takes_are_refused_by_their_name(seconds: object) -> None:
    (row,) = score.validate([case("a", seconds=seconds)]).rows
    assert row.reason.startswith("seconds must")
    assert not row.internal_error


def test_constants_can_be_held_back() -> None:
    given: list[tuple[Evidence, ...]] = []

    def asks(asked: Case, knowledge: Knowledge) -> NoData:
        given.append(knowledge.evidence)
        return NoData(reason="only looking")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "PREDICTORS", {"time": asks})
        score.scored(case("a"), known=lambda sheet: ())
    assert given == [()]


@pytest.mark.parametrize("given", [{"isl": 0.5}, {"output_len": "1e9"}, {"concurrency": 1e12}])
def test_counts_that_a_simulation_would_never_end_with_are_refused(
    given: dict[str, object],
) -> None:
    (row,) = score.validate([case("a", seconds=0.01, **given)]).rows
    assert "must be a count from 1 to 1048576" in row.reason
    (usual,) = score.validate([case("a", seconds=0.01, isl="4096", response_length=265.5)]).rows
    assert usual.predicted is not None

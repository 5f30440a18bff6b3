"""Errors keep their parts across processes and print in eight clean lines."""

from __future__ import annotations

import json
import pickle
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwright import errors
from fitwright.cli.errors import MAX_LINES, render, render_json
from fitwright.errors import ContractError, Exit, FitwrightError, ModelRefused, TrialFailed

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FitwrightError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_between_processes(kind) -> None:
    error = kind("rule", code="FW400", remedy="remedy")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.rule, back.code, back.remedy) == (kind, "rule", "FW400", "remedy")


def test_a_failed_trial_keeps_its_cause_between_processes() -> None:
    back = pickle.loads(pickle.dumps(TrialFailed("rule", cause="memory", detail="9 GiB")))
    assert (back.cause, back.detail, back.code) == ("memory", "9 GiB", "FW404")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, 2),
        (errors.ContractError, 2),
        (errors.DataError, 2),
        (errors.ModelRefused, 3),
        (errors.BackendMissing, 4),
        (errors.PlanError, 4),
        (errors.TrialFailed, 1),
        (errors.RunStopped, 5),
        (errors.StorageError, 5),
    ],
)
def test_each_kind_has_the_exit_status_of_the_design(kind, status) -> None:
    assert kind("rule", code="FW400").exit == status


def test_an_error_prints_rule_remedy_and_where_to_read_more() -> None:
    error = ModelRefused("'m.onnx' is empty.", code="FW202", remedy="Export it again.")
    assert render(error).splitlines() == [
        "error[FW202]: 'm.onnx' is empty.",
        "Export it again.",
        "Run 'fitwright explain FW202' for more.",
    ]


def test_a_long_list_ends_in_how_many_are_left_out() -> None:
    rule = "\n".join(["c.yaml has 12 problems:", *(f"  problem {i}" for i in range(12))])
    printed = render(ContractError(rule, code="FW113", remedy="Correct it.")).splitlines()
    assert len(printed) == MAX_LINES
    assert printed[1:6] == [*(f"  problem {i}" for i in range(4)), "  … and 8 more"]


def test_five_problems_are_all_shown() -> None:
    rule = "\n".join(["c.yaml has 5 problems:", *(f"  problem {i}" for i in range(5))])
    printed = render(ContractError(rule, code="FW113", remedy="Correct it.")).splitlines()
    assert "  problem 4" in printed
    assert not any("more" in line and "…" in line for line in printed)


def test_a_long_problem_is_shown_whole_when_there_is_room() -> None:
    rule = "c.yaml has 1 problem:\n  limits.throughput: " + "asks for much " * 10 + "- lower it"
    printed = render(ContractError(rule, code="FW114", remedy="Correct it."))
    assert "- lower it" in printed
    assert len(printed.splitlines()) == 5


def test_json_holds_everything_a_program_needs() -> None:
    error = ModelRefused("two\nlines", code="FW202", remedy="Export it again.")
    assert json.loads(render_json(error)) == {
        "error": {
            "code": "FW202",
            "message": "two\nlines",
            "remedy": "Export it again.",
            "exit": int(Exit.MODEL_REFUSED),
        }
    }


anything = st.one_of(st.text(max_size=400), st.text(alphabet="a\n\x1b\u202e \ud800", max_size=900))


@settings(deadline=None)  # the machine may be busy
@given(rule=anything, remedy=anything, width=st.integers(40, 120))
def test_whatever_an_error_holds_it_prints_short_and_clean(rule, remedy, width) -> None:
    printed = render(FitwrightError(rule, code="FW113", remedy=remedy), width=width)
    lines = printed.split("\n")
    assert len(lines) <= MAX_LINES
    assert all(len(line) <= width for line in lines)
    assert not {unicodedata.category(c) for c in printed.replace("\n", "")} & {"Cc", "Cf", "Cs"}
    printed.encode()  # no unpaired surrogate is left
    json.loads(render_json(FitwrightError(rule, code="FW113", remedy=remedy)))

"""The ledger books each accepted step under its technique, once."""

from __future__ import annotations

from fitwright.records.figure import Figure
from fitwright.records.recipe import FixShapes, FuseAttention
from fitwright.tune.gains import ledger_entries, proven_gain
from proposals import FIXED, INT8, ORIGINAL, trial, variant


def test_the_ledger_books_each_accepted_step_under_its_technique() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, FIXED, "b", decision="accepted", ratio=2.0, against=a)
    c = trial(2, INT8, "b", decision="accepted", ratio=1.5, against=b)
    small = c.model_copy(update={"figures": {"size": Figure.measured(25.0)}, "stage": "full"})
    big = a.model_copy(update={"figures": {"size": Figure.measured(100.0)}, "stage": "full"})
    entries = ledger_entries([a, b, c], [ORIGINAL, FIXED, INT8], baseline=big, artefact=small)
    assert [(e.technique, e.quantity, e.factor.value) for e in entries] == [
        ("hardware_acceleration", "speed", 2.0),
        ("compression", "speed", 1.5),
        ("memory_optimisation", "storage", 4.0),
    ]


def test_what_only_the_final_run_proved_is_booked_by_it() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    left = trial(1, INT8, "b", decision="rejected", ratio=1.6, against=a)
    proven = trial(2, INT8, "b", decision="accepted", ratio=1.7, against=a)
    full = proven.model_copy(update={"stage": "full"})
    entries = ledger_entries([a, left, full], [ORIGINAL, INT8], baseline=a, artefact=full)
    assert [(e.technique, e.factor.value, e.trial) for e in entries] == [("compression", 1.7, 2)]


def test_the_ledger_stops_at_the_artefact_that_ships() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, FIXED, "b", decision="accepted", ratio=2.0, against=a)
    assert ledger_entries([a, b], [ORIGINAL, FIXED], baseline=a, artefact=a) == ()


def test_the_baseline_measured_twice_books_no_gain() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    first, second = (
        a.model_copy(
            update={"figures": {"energy": Figure.measured(j), "size": Figure.measured(9.0)}}
        )
        for j in (1.0, 1.02)
    )
    assert ledger_entries([a], [ORIGINAL], baseline=first, artefact=second) == ()


def test_rewriting_is_booked_as_acceleration_and_not_as_compression() -> None:
    rewritten = variant("rewritten", FixShapes(), FuseAttention())
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    better = trial(1, rewritten, "a", decision="accepted", ratio=1.3, against=first)
    (entry, *_) = ledger_entries(
        [first, better], [ORIGINAL, rewritten], baseline=first, artefact=better
    )
    assert entry.technique == "hardware_acceleration"


def test_what_was_proven_of_each_step_multiplies() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, FIXED, "b", decision="accepted", ratio=2.0, against=a)
    c = trial(2, INT8, "b", decision="accepted", ratio=1.5, against=b)
    lows = [t.comparison.low for t in (b, c) if t.comparison]
    assert proven_gain([a, b, c], b) == lows[0]
    assert proven_gain([a, b, c], c) == lows[0] * lows[1]
    assert proven_gain([a, b], c) == proven_gain([a], a) == 0.0

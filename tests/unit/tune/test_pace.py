"""Short runs: numbers of threads come before bodies, and bodies are tried with the best of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Int8Static, Variant
from fitwright.records.trial import Trial
from fitwright.tune.pace import SHORT_S, usual_settings
from fitwright.tune.proposal import BASELINE, PACED, RUNOFF, Explore, Knowledge, TakeApart, Together
from fitwright.tune.propose import propose
from fitwright.tune.standing import Standing
from proposals import FIX, FIXED, ONE, ORIGINAL, body, knowledge, plan, trial, tuned, variant

CHAIN = (*FIX, Int8Static())
INT8 = variant("int8", *CHAIN)


def lasting(seconds: float, measured: Trial) -> Trial:
    figure = Figure.measured(seconds, unit="s")
    return measured.model_copy(update={"figures": {"latency_p50": figure}})


def rewritten(seconds: float, *variants: Variant) -> Knowledge:
    """The original and its rewriting were tried on both backends; runs on `b` are long."""
    first = lasting(seconds, trial(0, ORIGINAL, "a", decision="accepted", round_=BASELINE))
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.9, against=first, round_=BASELINE),
        *(trial(n, FIXED, b, decision="rejected", ratio=r, against=first)
          for n, (b, r) in enumerate((("a", 1.0), ("b", 0.9)), start=2)),
    ]  # fmt: skip
    made = (FIXED, *variants)
    adapted = Adapted(
        variants=(ORIGINAL, *made),
        chains=tuple(v.recipes for v in made),
        made=tuple(v.id for v in made),
    )
    return knowledge(adapted, trials, rewrites=(FIX,), bodies=(body(Int8Static()),))


def then(known: Knowledge, *trials: Trial) -> Knowledge:
    return replace(known, standing=Standing([*known.standing.trials, *trials]))


def paced(*, ratio: float, variants: tuple[Variant, ...] = ()) -> Knowledge:
    """One thread came to this speed on `a`, where all of them come to 1."""
    known = rewritten(SHORT_S / 3, *variants)
    first = known.standing.trials[0]
    fewer = trial(
        4, FIXED, "a", decision="rejected", ratio=ratio, against=first, settings=ONE, round_=PACED
    )
    return then(known, fewer)


def tries(known: Knowledge) -> list[tuple[str, str, Settings]]:
    step = propose(known)
    assert isinstance(step, Together)
    return [(t.candidate.variant_id, t.candidate.backend, t.candidate.settings) for t in step.tries]


def test_where_runs_are_short_threads_come_before_bodies() -> None:
    assert tries(rewritten(SHORT_S / 3, INT8)) == [("fixed", "a", ONE)]


def test_numbers_above_the_defaults_are_left_to_the_settings() -> None:
    more = plan(Settings(threads=4), ONE, Settings(threads=1, spinning=False))
    known = replace(rewritten(SHORT_S / 3, INT8), plan=more)
    assert tries(known) == [("fixed", "a", ONE)]


def test_where_runs_are_long_bodies_come_at_once() -> None:
    assert tries(rewritten(2 * SHORT_S, INT8)) == [
        ("int8", "a", Settings()), ("int8", "b", Settings())
    ]  # fmt: skip


@pytest.mark.parametrize(("ratio", "settings"), [(1.2, ONE), (0.95, ONE), (0.8, Settings())])
def test_bodies_run_with_the_fewest_threads_that_were_about_as_fast(
    ratio: float, settings: Settings
) -> None:
    known = paced(ratio=ratio, variants=(INT8,))
    assert tries(known) == [("int8", "a", settings), ("int8", "b", Settings())]


@pytest.mark.parametrize(("low", "settings"), [(0.8, ONE), (0.55, Settings())])
def test_a_race_that_noise_left_wide_open_says_nothing_of_threads(
    low: float, settings: Settings
) -> None:
    known = paced(ratio=1.03, variants=(INT8,))
    *others, seen = known.standing.trials
    assert seen.round == PACED and seen.comparison is not None
    wide = seen.comparison.model_copy(update={"low": low, "high": 1.9, "outcome": "undecided"})
    noisy = seen.model_copy(update={"comparison": wide})
    known = replace(known, standing=Standing((*others, noisy)))
    assert tries(known) == [("int8", "a", settings), ("int8", "b", Settings())]


def test_another_arithmetic_beside_int8_is_tried_with_that_number_too() -> None:
    known = paced(ratio=1.2, variants=(INT8,))
    wide = replace(known, plan=plan(ONE, Settings(precision="float32")))
    assert [settings for _, backend, settings in tries(wide) if backend == "a"] == [ONE]
    first = known.standing.trials[0]
    usual = [
        trial(n, INT8, b, decision="rejected", ratio=0.9, against=first, settings=s, round_=3)
        for n, (b, s) in enumerate((("a", ONE), ("b", Settings())), start=5)
    ]
    other = ("int8", "a", Settings(threads=1, precision="float32"))
    assert other in tries(then(wide, *usual))


def test_a_later_race_does_not_send_all_bodies_round_again() -> None:
    known = paced(ratio=1.2)
    first = known.standing.trials[0]
    again = trial(
        5, FIXED, "a", decision="rejected", ratio=0.5, against=first, settings=ONE, round_=RUNOFF
    )
    assert usual_settings(then(known, again)) == {"a": ONE}


def test_of_several_numbers_that_are_as_fast_the_fewest_threads_win() -> None:
    known = rewritten(SHORT_S / 3)
    first = known.standing.trials[0]
    trials = [
        trial(n, FIXED, "a", decision="rejected", ratio=ratio, against=first, round_=PACED,
              settings=Settings(threads=threads))
        for n, (threads, ratio) in enumerate([(16, 1.5), (4, 1.45), (1, 1.2)], start=4)
    ]  # fmt: skip
    assert usual_settings(then(known, *trials)) == {"a": Settings(threads=4)}


def test_fewer_threads_that_break_a_limit_are_not_gone_on_with() -> None:
    known = paced(ratio=1.2)
    key = known.standing.trials[-1].candidate.key
    assert usual_settings(replace(known, barred=frozenset({key}))) == {}


def test_settings_and_what_int8_costs_are_looked_at_with_that_number() -> None:
    known = paced(ratio=1.2, variants=(INT8,))
    first = known.standing.trials[0]
    known = then(
        known,
        trial(5, INT8, "a", decision="accepted", ratio=1.5, against=first, settings=ONE),
        trial(6, INT8, "b", decision="rejected", ratio=0.4, against=first),
    )
    step = propose(known)
    assert isinstance(step, Explore)
    assert step.usual == {"a": ONE}
    inside = propose(tuned(known))
    assert isinstance(inside, TakeApart)
    assert (inside.backend, inside.settings) == ("a", ONE)

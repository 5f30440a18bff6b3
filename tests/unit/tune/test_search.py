"""Proposals come from the records alone; a candidate is kept only for a proven reason."""

from __future__ import annotations

import pytest

from fitwright.records.figure import Figure
from fitwright.records.plan import BackendPlan, MemoryPlan, Parallelism, Plan, Settings
from fitwright.records.recipe import (
    Adapted,
    Bf16,
    FixShapes,
    Fp16Weights,
    Int8Static,
    Recipe,
    Skipped,
    Variant,
)
from fitwright.records.trial import Candidate, Comparison, Trial
from fitwright.tune.decide import decide
from fitwright.tune.gains import baseline_of, ledger_entries
from fitwright.tune.propose import Make, Try, hopeless, propose
from fitwright.tune.standing import incumbent_of, speeds
from needs import SIZE, need

ONE, SPIN = Settings(threads=1), Settings(spinning=False)
CHAINS: tuple[tuple[Recipe, ...], ...] = ((FixShapes(),), (FixShapes(), Int8Static()))


def variant(id_: str, *recipes: Recipe, backends: tuple[str, ...] = ("a", "b")) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=10, backends=backends,
    )  # fmt: skip


def plan(*settings: Settings) -> Plan:
    return Plan(
        device_id="local",
        placements=(),
        memory=MemoryPlan(
            arena_bytes=0, lower_bound_bytes=0, method="none", alignment_bytes=64, buffers=()
        ),
        parallelism=Parallelism(),
        backends=tuple(BackendPlan(backend=b, settings=(Settings(), *settings)) for b in "ab"),
    )


def comparison(ratio: float, incumbent: str, *, outcome: str = "faster") -> Comparison:
    return Comparison(
        incumbent=incumbent,
        ratio=ratio,
        low=ratio * 0.98,
        high=ratio * 1.02,
        num_rounds=20,
        outcome=outcome,
    )


def trial(
    number: int,
    v: Variant,
    backend: str,
    *,
    decision: str,
    ratio: float | None = None,
    against: Trial | None = None,
    round_: int = 2,
    settings: Settings | None = None,
) -> Trial:
    settings = settings or Settings()
    candidate = Candidate(variant_id=v.id, title=v.title, backend=backend, settings=settings)
    return Trial(
        number=number, round=round_, candidate=candidate, decision=decision, reason="",
        comparison=comparison(ratio, against.candidate.key) if ratio and against else None,
    )  # fmt: skip


ORIGINAL = variant("orig")
FIXED = variant("fixed", FixShapes())
INT8 = variant("int8", FixShapes(), Int8Static(), backends=("b",))


def test_the_search_starts_with_the_original_on_every_backend_then_adapts() -> None:
    adapted, trials = Adapted(variants=(ORIGINAL,)), []
    seen = []
    made = iter((FIXED, INT8))
    while step := propose(plan(ONE), chains=CHAINS, adapted=adapted, trials=trials):
        if isinstance(step, Make):
            seen.append(f"make {len(step.chain)}")
            adapted = Adapted(
                variants=(*adapted.variants, next(made)), chains=(*adapted.chains, step.chain)
            )
            continue
        seen.append(
            f"{step.candidate.variant_id}/{step.candidate.backend}/{step.candidate.settings.describe()}"
        )
        first = trials[0] if trials else None
        outcome = (
            {"against": first, "ratio": 1.0, "decision": "rejected"}
            if first
            else {"decision": "accepted"}
        )
        backend, settings = step.candidate.backend, step.candidate.settings
        trials.append(
            trial(
                len(trials), step.variant, backend, round_=step.round, settings=settings, **outcome
            )
        )
    assert seen[:7] == [
        "orig/a/defaults", "orig/b/defaults", "make 1", "fixed/a/defaults", "fixed/b/defaults",
        "make 2", "int8/b/defaults",
    ]  # fmt: skip
    assert len(seen) == 7 + 3  # three pairs, one extra setting each
    assert all("threads=1" in s for s in seen[7:])


def first_after_baselines(*, storage_first: bool) -> str:
    """What comes once the originals were tried: tuning them, or a chain that saves storage."""
    adapted = Adapted(variants=(ORIGINAL,))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    step = propose(
        plan(ONE),
        chains=((FixShapes(), Fp16Weights()),),
        adapted=adapted,
        trials=[first, other],
        storage_first=storage_first,
    )
    return "make" if isinstance(step, Make) else "tune"


def test_settings_are_tuned_before_chains_that_only_save_storage() -> None:
    assert first_after_baselines(storage_first=False) == "tune"


def test_a_broken_limit_on_storage_makes_those_chains_urgent() -> None:
    assert first_after_baselines(storage_first=True) == "make"


def test_a_backend_far_behind_is_not_rescued_by_a_variant_that_computes_the_same() -> None:
    slow = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    fast = trial(1, ORIGINAL, "b", decision="accepted", ratio=2.0, against=slow, round_=1)

    def told(v: Variant, backend: str) -> str:
        candidate = Candidate(variant_id=v.id, title=v.title, backend=backend, settings=Settings())
        return hopeless(Try(candidate=candidate, variant=v, round=2), [slow, fast])

    assert "2x as fast as the original on a" in told(FIXED, "a")
    assert told(FIXED, "b") == ""
    assert told(INT8, "a") == "", "other arithmetic may well win where the original lost"
    assert told(ORIGINAL, "a") == ""


def test_a_skipped_chain_is_not_made_again() -> None:
    adapted = Adapted(
        variants=(ORIGINAL,),
        skipped=tuple(Skipped(recipes=c, reason="x") for c in CHAINS),
        chains=CHAINS,
    )
    tried = [
        trial(0, ORIGINAL, "a", decision="accepted", round_=1),
        trial(1, ORIGINAL, "b", decision="rejected", round_=1),
    ]
    assert propose(plan(), chains=CHAINS, adapted=adapted, trials=tried) is None


def test_settings_build_on_the_incumbents_own() -> None:
    adapted = Adapted(variants=(ORIGINAL,))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    failed = trial(1, ORIGINAL, "b", decision="failed", round_=1)
    better = trial(
        2, ORIGINAL, "a", decision="accepted", ratio=1.2, against=first, round_=3, settings=ONE
    )
    step = propose(plan(ONE, SPIN), chains=(), adapted=adapted, trials=(first, failed, better))
    assert isinstance(step, Try)
    assert step.candidate.settings == Settings(threads=1, spinning=False)


def test_a_variants_required_settings_win_over_the_plans() -> None:
    hinted = variant("hint", Bf16()).model_copy(update={"settings": Settings(precision="bfloat16")})
    adapted = Adapted(variants=(ORIGINAL, hinted))
    tried = [trial(i, ORIGINAL, b, decision="accepted", round_=1) for i, b in enumerate("ab")]
    step = propose(plan(), chains=((Bf16(),),), adapted=adapted, trials=tried)
    assert isinstance(step, Try)
    assert step.candidate.settings.precision == "bfloat16"


def test_speeds_chain_through_the_incumbents() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, ORIGINAL, "b", decision="accepted", ratio=2.0, against=a, round_=1)
    c = trial(2, FIXED, "b", decision="rejected", ratio=0.5, against=b)
    assert list(speeds([a, b, c]).values()) == [1.0, 2.0, 1.0]
    assert incumbent_of([a, b, c]) == b
    assert baseline_of([a, b, c]) == b


LIMITED = need(SIZE)
SMALL, BIG, HUGE = ({"size": Figure.measured(v)} for v in (500.0, 1500.0, 3000.0))


def test_a_limit_gained_outweighs_speed_and_a_limit_lost_is_refused() -> None:
    slower = comparison(0.8, "x", outcome="slower")
    faster = comparison(3.0, "x")
    assert decide(LIMITED, candidate=SMALL, incumbent=BIG, comparison=slower).accepted
    lost = decide(LIMITED, candidate=BIG, incumbent=SMALL, comparison=faster)
    assert not lost.accepted
    assert "size" in lost.reason


def test_a_smaller_breach_is_progress_and_a_larger_one_is_not() -> None:
    same = comparison(1.0, "x", outcome="same")
    assert decide(LIMITED, candidate=BIG, incumbent=HUGE, comparison=same).accepted
    assert not decide(
        LIMITED, candidate=HUGE, incumbent=BIG, comparison=comparison(2.0, "x")
    ).accepted


def test_without_limits_only_a_proven_gain_is_kept() -> None:
    for outcome, kept in (
        ("faster", True),
        ("slower", False),
        ("same", False),
        ("undecided", False),
    ):
        c = comparison(1.1, "x", outcome=outcome)
        assert decide(need(), candidate={}, incumbent={}, comparison=c).accepted is kept


@pytest.mark.parametrize(
    ("low", "ours", "theirs", "kept"),
    [
        (0.97, 0.025, 0.040, True),
        (0.90, 0.025, 0.040, False),  # may be 10 % slower
        (0.97, 0.035, 0.040, False),  # hardly nearer
        (0.97, 1e-7, 1e-5, False),  # both are rounding
    ],
)
def test_a_tie_goes_to_the_one_nearer_to_the_original(
    low: float, ours: float, theirs: float, kept: bool
) -> None:
    tie = Comparison(
        incumbent="x", ratio=0.99, low=low, high=1.03, num_rounds=40, outcome="undecided"
    )
    decision = decide(
        need(),
        candidate={"relative_l2": Figure.measured(ours)},
        incumbent={"relative_l2": Figure.measured(theirs)},
        comparison=tie,
    )
    assert decision.accepted is kept


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

"""Variants, trials and what is known, for tests of what the search proposes next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.plan import BackendPlan, MemoryPlan, Parallelism, Plan, Settings
from fitwright.records.recipe import (
    Adapted,
    FixShapes,
    Fp16Weights,
    Int8Static,
    Recipe,
    Variant,
    title,
)
from fitwright.records.trial import Candidate, Comparison, Trial
from fitwright.tune.explore import pairs_worth_tuning
from fitwright.tune.proposal import Explore, Knowledge, Make, Step, TakeApart, Together
from fitwright.tune.standing import Pair, Standing

ONE = Settings(threads=1)


FIX: Chain = (FixShapes(),)


REWRITTEN: Chain = (FixShapes(), Fp16Weights())  # any recipe can stand for a rewriting here


def variant(id_: str, *recipes: Recipe, backends: tuple[str, ...] = ("a", "b")) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=10, backends=backends,
    )  # fmt: skip


def plan(*settings: Settings, batches: tuple[int, ...] = (), parts: tuple[int, ...] = ()) -> Plan:
    return Plan(
        device_id="local",
        placements=(),
        memory=MemoryPlan(
            arena_bytes=0, lower_bound_bytes=0, method="none", alignment_bytes=64, buffers=()
        ),
        parallelism=Parallelism(),
        backends=tuple(BackendPlan(backend=b, settings=(Settings(), *settings)) for b in "ab"),
        batches=batches,
        parts=parts,
        num_threads=2,
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


def knowledge(
    adapted: Adapted,
    trials: Iterable[Trial],
    *,
    rewrites: tuple[Chain, ...] = (),
    bodies: tuple[Body, ...] = (),
    storage_first: bool = False,
    spent: Iterable[tuple[Pair, ...]] = (),
    apart: Iterable[tuple[Chain, str]] = (),
    mixed: tuple[Chain, ...] = (),
    batches: tuple[int, ...] = (),
    parts: tuple[int, ...] = (),
    shorter: tuple[Recipe, ...] = (),
) -> Knowledge:
    return Knowledge(
        plan=plan(ONE, batches=batches, parts=parts),
        agenda=Agenda(rewrites=rewrites, bodies=bodies, shorter=shorter),
        adapted=adapted,
        standing=Standing(trials),
        storage_first=storage_first,
        spent=frozenset(spent),
        taken_apart=frozenset(apart),
        mixed=mixed,
    )


def body(*recipes: Recipe, on: str = "ab", late: bool = False) -> Body:
    return Body(recipes=recipes, backends=frozenset(on), seldom_faster=late)


def shown(step: Step) -> str:
    if isinstance(step, Make):
        return "make " + " + ".join(title(r) for r in step.chain)
    if isinstance(step, Explore):
        return "explore"
    if isinstance(step, TakeApart):
        return f"look inside {step.variant.id}/{step.backend}"
    if isinstance(step, Together):
        return " | ".join(shown(one) for one in step.tries)
    return f"{step.candidate.variant_id}/{step.candidate.backend}"


def tuned(known: Knowledge) -> Knowledge:
    """The same with the settings of its fastest pairs all tried."""
    pairs = pairs_worth_tuning(known.standing, known.adapted.variants)
    return replace(known, spent=frozenset({pairs}))

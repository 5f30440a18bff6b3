"""What to do next, from the records alone: so a resumed run goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fitwright.records.plan import Plan, Settings
from fitwright.records.recipe import (
    Adapted,
    Bf16,
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Static,
    Int8Weights,
    Recipe,
    Variant,
)
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.standing import incumbent_of, speeds

NUM_TUNED_PAIRS = 3
WORTH_TUNING = 0.75  # a pair this far behind the best is not rescued by threads
HOPELESS = 1.5  # nor is a backend this far behind by a variant that computes the same
_SAME_WORK = (FixShapes, Bf16, Fp16Weights)


@dataclass(frozen=True, kw_only=True)
class Make:
    """Adapt the model by this chain of recipes."""

    chain: tuple[Recipe, ...]


@dataclass(frozen=True, kw_only=True)
class Try:
    """Bench this candidate; `round` numbers the stage of the search it belongs to."""

    candidate: Candidate
    variant: Variant
    round: int


def propose(
    plan: Plan,
    *,
    chains: Sequence[tuple[Recipe, ...]],
    adapted: Adapted,
    trials: Sequence[Trial],
    storage_first: bool = False,
) -> Make | Try | None:
    """The next step, or None when nothing is left to try.

    Round 1 tries the original on every backend's defaults at all cores, so the incumbent at
    the start is the strongest plain baseline. Round 2 makes each chain and tries it on every
    backend that reads it. Round 3 tunes runtime settings of the fastest few; it comes before
    the chains that seldom pay in time (`_seldom_faster`), which are then made all the same.

    Args:
        storage_first: the best so far breaks a limit on size or memory, so chains that save
            storage are as urgent as those that save time.
    """
    tried = {t.candidate.key for t in trials if t.stage == "short"}
    late = () if storage_first else tuple(c for c in chains if _seldom_faster(c))
    early = tuple(c for c in chains if c not in late)
    for step in _steps(plan, (early, late), adapted, trials):
        if isinstance(step, Make) or step.candidate.key not in tried:
            return step
    return None


def hopeless(step: Try, trials: Sequence[Trial]) -> str:
    """Why a candidate is not worth measuring; empty when it is.

    Fixed shapes, folded constants and narrower storage leave the arithmetic as it is, so they
    do not make up for a backend that runs the original far more slowly than the best so far.
    """
    if not step.variant.recipes or not all(isinstance(r, _SAME_WORK) for r in step.variant.recipes):
        return ""
    known = speeds(trials)
    original = [t for t in trials if t.round == 1 and t.candidate.backend == step.candidate.backend]
    speed = max((known.get(t.candidate.key, 0.0) for t in original), default=0.0)
    behind = max(known.values(), default=0.0) / speed if speed else 0.0
    if behind <= HOPELESS:
        return ""
    return (
        f"not measured: the best so far is {behind:.2g}x as fast as the original on "
        f"{step.candidate.backend}, and this computes the same"
    )


def _seldom_faster(chain: tuple[Recipe, ...]) -> bool:
    """Weights only, or another way to choose the same int8 ranges: what they save is storage
    or accuracy, and time where one query is bound by reading the weights."""
    last = chain[-1]
    if isinstance(last, Int8Static):
        return last.method != "minmax"
    return isinstance(last, Fp16Weights | Int8Weights | Int4Weights)


def _steps(
    plan: Plan,
    waves: Sequence[Sequence[tuple[Recipe, ...]]],
    adapted: Adapted,
    trials: Sequence[Trial],
) -> Iterator[Make | Try]:
    original, *variants = adapted.variants
    yield from _defaults(plan, original, round_=1)
    for variant in variants:
        yield from _defaults(plan, variant, round_=2)
    for chains in waves:
        for chain in chains:
            if chain not in adapted.chains:
                yield Make(chain=chain)
        yield from _tuned(plan, adapted, trials)


def _defaults(plan: Plan, variant: Variant, *, round_: int) -> Iterator[Try]:
    for backend in plan.backends:
        if backend.backend in variant.backends:
            yield _try(variant, backend.backend, backend.settings[0], round_=round_)


def _tuned(plan: Plan, adapted: Adapted, trials: Sequence[Trial]) -> Iterator[Try]:
    variants = {v.id: v for v in adapted.variants}
    settings = {b.backend: b.settings[1:] for b in plan.backends}
    best = incumbent_of(trials)
    for variant_id, backend in _fastest_pairs(trials):
        variant = variants[variant_id]
        start = Settings()
        if best and (best.candidate.variant_id, best.candidate.backend) == (variant_id, backend):
            start = best.candidate.settings
        for extra in settings.get(backend, ()):
            yield _try(variant, backend, start.merged(extra), round_=3)


def _fastest_pairs(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """(variant, backend) pairs worth tuning, fastest first."""
    best: dict[tuple[str, str], float] = {}
    for key, speed in speeds(trials).items():
        trial = next(t for t in trials if t.candidate.key == key)
        pair = (trial.candidate.variant_id, trial.candidate.backend)
        best[pair] = max(speed, best.get(pair, 0.0))
    if not best:
        return []
    floor = WORTH_TUNING * max(best.values())
    ranked = sorted((p for p in best if best[p] >= floor), key=lambda p: -best[p])
    return ranked[:NUM_TUNED_PAIRS]


def _try(variant: Variant, backend: str, settings: Settings, *, round_: int) -> Try:
    candidate = Candidate(
        variant_id=variant.id,
        title=variant.title,
        backend=backend,
        settings=settings.merged(variant.settings),
    )
    return Try(candidate=candidate, variant=variant, round=round_)

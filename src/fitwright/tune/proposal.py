"""The steps of a search, and what is known when the next one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from fitwright.records.agenda import Agenda, Chain
from fitwright.records.plan import Plan, Settings
from fitwright.records.recipe import Adapted, Variant
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.standing import Pair, Standing

BASELINE, REWRITE, ADAPT, SETTINGS, CROSSED, RUNOFF, PACED, OVERTIME = range(1, 9)
FAR_AHEAD = 1.15  # of the best: an order that noise left open, and that is worth its time
DEAR = 0.025  # of the budget: what takes a trial longer leaves time for few


@dataclass(frozen=True, kw_only=True)
class Make:
    """Adapt the model by this chain of recipes."""

    chain: Chain


@dataclass(frozen=True, kw_only=True)
class Try:
    """Bench this candidate; `round` numbers the stage of the search it belongs to."""

    candidate: Candidate
    variant: Variant
    round: int


@dataclass(frozen=True, kw_only=True)
class Together:
    """Bench these candidates in the same rounds: they differ too little to be told apart
    from one minute to the next."""

    tries: tuple[Try, ...]


@dataclass(frozen=True, kw_only=True)
class Explore:
    """Try the next few settings of the pairs worth tuning; `usual` as in `tune.explore`."""

    pairs: tuple[Pair, ...]
    usual: Mapping[str, Settings] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TakeApart:
    """Find out what int8 costs and gains in each group of operators of this variant, run with
    these settings."""

    chain: Chain
    variant: Variant
    backend: str
    settings: Settings


Step = Make | Try | Together | Explore | TakeApart


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What the proposals are made from.

    Attributes:
        mixed: chains that put back some layers of a quantised variant, in the order in which
            they should be made (see `tune.mixed`).
        taken_apart: int8 chains and the backend on which each was.
        spent: pairs whose settings were all tried, or were left for want of gain.
        coarse: toolkits whose usual int8 ranges are too coarse here (see `tune.ranges`).
        barred: keys of candidates that break a limit which the best so far keeps; asked for
            where runs of several queries are tried, which need more memory and take longer.
        lean: a trial takes so much of the budget that not all can be tried.
        storage_first: the best so far breaks a limit on size or memory, so chains that save
            storage are as urgent as those that save time.
    """

    plan: Plan
    agenda: Agenda
    adapted: Adapted
    standing: Standing
    mixed: tuple[Chain, ...] = ()
    taken_apart: frozenset[tuple[Chain, str]] = frozenset()
    spent: frozenset[tuple[Pair, ...]] = frozenset()
    coarse: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()
    lean: bool = False
    storage_first: bool = False


def attempt(variant: Variant, backend: str, settings: Settings, *, round_: int) -> Try:
    """The trial of a variant on a backend with these settings."""
    candidate = Candidate(
        variant_id=variant.id, title=variant.title, backend=backend, settings=settings
    )
    return Try(candidate=candidate, variant=variant, round=round_)


def setting(candidate: Candidate, variant: Variant) -> Try:
    """The trial of one candidate of the joint space."""
    return Try(candidate=candidate, variant=variant, round=SETTINGS)


def plain(variant: Variant) -> Settings:
    """What a candidate of the variant runs with when nothing is tuned."""
    return Settings().merged(variant.settings)


def is_lean(trials: Iterable[Trial], *, budget_s: float) -> bool:
    """See `Knowledge.lean`; judged by the baselines, so the same after a resume.

    By one pair of processes each: that noise made a race take several makes no trial dear.
    """
    seconds = [
        t.seconds / (t.comparison.num_heats if t.comparison else 1)
        for t in trials
        if t.round == BASELINE and t.stage == "short"
    ]
    return bool(seconds) and fmean(seconds) > DEAR * budget_s

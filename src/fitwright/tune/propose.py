"""What to do next, from the records alone: so a resumed run goes on where it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.plan import Plan, Settings
from fitwright.records.recipe import Adapted, Variant
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.explore import explored, pairs_worth_tuning
from fitwright.tune.mixed import worth_taking_apart
from fitwright.tune.standing import Pair, Standing

BASELINE, REWRITE, ADAPT, SETTINGS, CROSSED, RUNOFF = 1, 2, 3, 4, 5, 6
NEAR = 0.85  # of the fastest: a body or a rewriting that may win in other company
MOST_REWRITINGS, MOST_BODIES = 3, 3  # that are put together anew
COHORT = 4  # candidates that are benched at once
MOST_TAKEN_APART = 2  # int8 variants; each costs a compilation per group of operators
CLOSE = 0.93  # of the best: what is open this near to it may as well be the faster one
MOST_RUNOFFS = 3
AS_FAST = 0.98  # a longer rewriting this near to the fastest is as good a start as that one


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
    """Try the next few settings of the pairs worth tuning."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, kw_only=True)
class TakeApart:
    """Find out what int8 costs and gains in each group of operators of this variant."""

    chain: Chain
    variant: Variant
    backend: str


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
    storage_first: bool = False


def propose(known: Knowledge) -> Step | None:
    """The next step, or None when nothing is left to try.

    1. The original on every backend's defaults, all cores: the incumbent at the start is the
       strongest plain baseline.
    2. Rewritings of the graph that compute the same, each growing on others, all of them
       together on each backend.
    3. Bodies (another arithmetic, narrower storage) on each backend, put on its best rewriting,
       a cohort as soon as one is made.
    4. Settings of the fastest pairs; then the fastest bodies on the other rewritings that were
       nearly as fast, with the settings of the best so far.
    5. Mixed precisions, which cost a compilation per group of operators to find.
    6. The bodies that seldom pay in time. Settings again should one of all those have won.
    """
    tried = known.standing.tried
    for step in _steps(known):
        if not isinstance(step, Try) or step.candidate.key not in tried:
            return step
    return None


def _steps(known: Knowledge) -> Iterator[Step]:
    original = known.adapted.variants[0]
    yield from _defaults(known.plan, original, round_=BASELINE)
    yield from _rewritten(known)
    early, late = _waves(known)
    backends = frozenset(b.backend for b in known.plan.backends)
    yield from _made(known, _on_rewritings(known, early, backends), at_once=COHORT)
    yield from _settings(known)
    yield from _crossed(known)
    yield from _runoffs(known)
    yield from _taken_apart(known)
    mixed = dict.fromkeys(known.mixed, backends)
    yield from _made(known, mixed, at_once=1)
    yield from _settings(known)
    yield from _made(known, _on_rewritings(known, late, _of_best(known)), at_once=COHORT)
    yield from _made(known, mixed, at_once=1)
    yield from _settings(known)
    yield from _runoffs(known)


def _waves(known: Knowledge) -> tuple[list[Body], list[Body]]:
    """What is made before the settings are tuned, and what after."""
    wanted = [b for b in known.agenda.bodies if not b.finer_ranges or _toolkit(b) in known.coarse]
    late = [b for b in wanted if b.seldom_faster and not known.storage_first]
    return [b for b in wanted if b not in late], late


def _toolkit(body: Body) -> str:
    return getattr(body.recipes[-1], "toolkit", "")


def _rewritten(known: Knowledge) -> Iterator[Step]:
    """Every rewriting is made; then those of one backend run against each other."""
    variants: dict[str, Variant] = {}
    for chain in known.agenda.rewrites:
        if chain not in known.adapted.chains:
            yield Make(chain=chain)
        elif (variant := known.adapted.made_by(chain)) is not None:
            variants[variant.id] = variant
    for backend in known.plan.backends:
        tries = tuple(
            step
            for variant in variants.values()
            for step in _defaults(known.plan, variant, round_=REWRITE)
            if step.candidate.backend == backend.backend
            and step.candidate.key not in known.standing.tried
        )
        if tries:
            yield Together(tries=tries)


def _made(
    known: Knowledge, chains: Mapping[Chain, frozenset[str]], *, at_once: int
) -> Iterator[Step]:
    """Chains are made until there are so many candidates; then those run against each other.

    Args:
        chains: with the backends on which each is tried, where they read what it came to.
        at_once: 1 where what is made next depends on what came of this one.
    """
    waiting: list[Try] = []
    for chain, backends in chains.items():
        if chain not in known.adapted.chains:
            yield Make(chain=chain)
        elif (variant := known.adapted.made_by(chain)) is not None:
            waiting += [
                t
                for t in _defaults(known.plan, variant, round_=ADAPT)
                if t.candidate.backend in backends and t.candidate.key not in known.standing.tried
            ]
        if len(waiting) >= at_once:
            yield Together(tries=tuple(waiting))
            waiting = []
    if waiting:
        yield Together(tries=tuple(waiting))


def _on_rewritings(
    known: Knowledge, bodies: Sequence[Body], backends: Collection[str]
) -> dict[Chain, frozenset[str]]:
    """Each body on the best rewriting of each of these backends, to be tried there."""
    best = {b.backend: best_rewriting(known, b.backend) for b in known.plan.backends}
    chains: dict[Chain, frozenset[str]] = {}
    for body in bodies:
        for backend in (b for b in best if b in backends and b in body.backends):
            chain = (*best[backend], *body.recipes)
            chains[chain] = chains.get(chain, frozenset()) | {backend}
    return chains


def _of_best(known: Knowledge) -> tuple[str, ...]:
    return (known.standing.best.candidate.backend,) if known.standing.best else ()


def _taken_apart(known: Knowledge) -> Iterator[TakeApart]:
    """The int8 variants a mix of which may win: near the best, or too far from the original
    where the backend itself is the best one's."""
    wanted = MOST_TAKEN_APART - len(known.taken_apart)
    found = sorted(_worth_taking_apart(known), key=lambda pair: -pair[0])
    yield from (step for _, step in found[: max(wanted, 0)])


def _worth_taking_apart(known: Knowledge) -> Iterator[tuple[float, TakeApart]]:
    """With the speed of each; of those whose outputs disagree, that of the best so far."""
    best, top = known.standing.best, known.standing.top_speed
    disagree = {
        (t.candidate.variant_id, t.candidate.backend)
        for t in known.standing.trials
        if t.failure is not None and t.failure.cause == "disagrees"
    }
    for chain in known.adapted.chains:
        variant = known.adapted.made_by(chain)
        if variant is None or not worth_taking_apart(chain, speed=top, best=top):
            continue
        for backend in variant.backends:
            if (chain, backend) in known.taken_apart:
                continue
            speed = known.standing.speed_of(variant.id, backend, plain(variant)) or 0.0
            if (variant.id, backend) in disagree and best and best.candidate.backend == backend:
                speed = top
            if worth_taking_apart(chain, speed=speed, best=top):
                yield speed, TakeApart(chain=chain, variant=variant, backend=backend)


def best_rewriting(known: Knowledge, backend: str) -> Chain:
    """The rewriting that is fastest on this backend at its defaults.

    Of those as fast within 2 %, the longest, and of equally long ones the last of the
    agenda: what computes in fewer operators leaves less to go wrong for a quantiser, and more
    to gain. The first rewriting (fixed shapes) when none was measured.
    """
    found: list[tuple[float, Chain]] = []
    for chain in known.agenda.rewrites:
        variant = known.adapted.made_by(chain)
        if variant is None:
            continue
        speed = known.standing.speed_of(variant.id, backend, variant.settings)
        if speed is not None:
            found.append((speed, chain))
    if not found:
        return known.agenda.rewrites[0] if known.agenda.rewrites else ()
    top = max(speed for speed, _ in found)
    return max((c for speed, c in reversed(found) if speed >= AS_FAST * top), key=len)


def _crossed(known: Knowledge) -> Iterator[Step]:
    """What was fast apart, put together: bodies near the best on rewritings near the best."""
    best = known.standing.best
    if best is None:
        return
    rewritings, bodies = _near(known, best)
    for rewriting in rewritings:
        tries = []
        for chain in ((*rewriting, *body) for body in bodies):
            if chain not in known.adapted.chains:
                yield Make(chain=chain)
            elif (variant := known.adapted.made_by(chain)) is not None:
                tries += _like(best.candidate, variant)
        if new := tuple(t for t in tries if t.candidate.key not in known.standing.tried):
            yield Together(tries=new)


def _like(candidate: Candidate, variant: Variant) -> list[Try]:
    """The variant on that backend with those settings, where the backend reads it."""
    if candidate.backend not in variant.backends:
        return []
    settings = candidate.settings.merged(variant.settings)
    return [_try(variant, candidate.backend, settings, round_=CROSSED)]


def _near(known: Knowledge, best: Trial) -> tuple[list[Chain], list[Chain]]:
    """The fastest rewritings and the fastest bodies on the best's backend, fastest first.

    Bodies that save storage rather than time are no reason to go on, unless one has won.
    """
    backend, (_, late) = best.candidate.backend, _waves(known)
    seldom = {body.recipes for body in late}
    rewritings: dict[Chain, float] = {}
    bodies: dict[Chain, float] = {}
    for chain in known.adapted.chains:
        variant = known.adapted.made_by(chain)
        speed = known.standing.pairs.get((variant.id, backend)) if variant else None
        if variant is None or speed is None:
            continue
        prefix = max(
            (r for r in known.agenda.rewrites if chain[: len(r)] == r), key=len, default=()
        )
        body = chain[len(prefix) :]
        if any(getattr(recipe, "keep", ()) for recipe in body):
            continue  # what is kept in float are operators of that rewriting
        if body in seldom and variant.id != best.candidate.variant_id:
            continue
        ends, place = (bodies, body) if body else (rewritings, chain)
        ends[place] = max(speed, ends.get(place, 0.0))
    return _grown(_top(rewritings))[:MOST_REWRITINGS], _top(bodies)[:MOST_BODIES]


def _top(speeds: Mapping[Chain, float]) -> list[Chain]:
    floor = NEAR * max(speeds.values(), default=0.0)
    return sorted((c for c, s in speeds.items() if s >= floor), key=lambda c: -speeds[c])


def _grown(chains: Sequence[Chain]) -> list[Chain]:
    """Those that none of the others goes on from: they differ most from what was tried."""
    return [c for c in chains if not any(o[: len(c)] == c for o in chains if o != c)]


def _settings(known: Knowledge) -> Iterator[Step]:
    """Once for each pair that was the best."""
    pairs = pairs_worth_tuning(known.standing, known.adapted.variants)
    done = {spent[0] for spent in known.spent if spent}
    if pairs and pairs[0] not in done and not explored(known.standing, round_=SETTINGS):
        yield Explore(pairs=pairs)


def _runoffs(known: Knowledge) -> Iterator[Step]:
    """One by one, the fastest first; a few at most."""
    standing, best = known.standing, known.standing.best
    num_done = sum(t.round == RUNOFF for t in standing.trials)
    if best is None or num_done >= MOST_RUNOFFS:
        return
    floor = CLOSE * standing.speeds.get(best.candidate.key, 1.0)
    others = standing.open.keys() - {best.candidate.key}
    close = [k for k in others if standing.speeds.get(k, 0.0) >= floor]
    for key in sorted(close, key=lambda k: (-standing.speeds[k], k)):
        candidate = standing.open[key].candidate
        variant = known.adapted.variant(candidate.variant_id)
        yield Together(tries=(Try(candidate=candidate, variant=variant, round=RUNOFF),))


def _defaults(plan: Plan, variant: Variant, *, round_: int) -> Iterator[Try]:
    for backend in plan.backends:
        if backend.backend in variant.backends:
            settings = backend.settings[0].merged(variant.settings)
            yield _try(variant, backend.backend, settings, round_=round_)


def _try(variant: Variant, backend: str, settings: Settings, *, round_: int) -> Try:
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

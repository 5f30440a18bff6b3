"""What to do next, from the records alone: so a resumed run goes on where it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fitwright.records.agenda import Body, Chain
from fitwright.records.recipe import (
    Buckets,
    Int8Dynamic,
    Int8Static,
    Variant,
    at_batch,
    batch_of,
    continued,
    in_parts,
)
from fitwright.records.trial import Candidate
from fitwright.tune.apart import taken_apart
from fitwright.tune.explore import explored, pairs_worth_tuning
from fitwright.tune.overtime import overtime
from fitwright.tune.pace import is_short, paced, usual_settings
from fitwright.tune.proposal import (
    BASELINE,
    FAR_AHEAD,
    REWRITE,
    RUNOFF,
    SETTINGS,
    Explore,
    Knowledge,
    Make,
    Step,
    Together,
    Try,
)
from fitwright.tune.ranking import (
    as_good_rewritings,
    at_one_length,
    best_rewriting,
    grown,
    near,
    speed_at_one_length,
    waves,
)
from fitwright.tune.tries import defaults, like, made

COHORT = 4  # candidates that are benched at once
CLOSE = 0.93  # of the best: what is open this near to it may as well be the faster one
MOST_RUNOFFS = 3
WORTH_BUCKETS = 0.65  # of the fastest backend: each length is made and compiled
BATCH_REACH = 4  # times the plan's largest batch: how far a search for the best one goes


def propose(known: Knowledge) -> Step | None:
    """The next step, or None when nothing is left to try.

    1. The original on every backend's defaults, all cores: the incumbent at the start is the
       strongest plain baseline.
    2. Rewritings of the graph that compute the same, each growing on others, all of them
       together on each backend; then the best of them with several queries in a run, or one in
       several parts, where the plan says how many, and with what spares padding, where queries
       are padded.
    3. Numbers of threads where runs are short; then bodies (another arithmetic, narrower
       storage) on each backend, put on its best rewriting, with the best of those numbers, a
       cohort as soon as one is made.
    4. Settings of the fastest pairs; then the fastest bodies on the other rewritings that were
       nearly as fast, with the settings of the best so far, and twice and half as many
       queries in a run where the best takes several.
    5. Mixed precisions, which cost a compilation per group of operators to find; before the
       settings where int8 is too far from the original and nothing in int8 has won.
    6. The bodies that seldom pay in time. Settings again should one of all those have won.
    7. Longer races for what was ahead of the best when its own race was left open.

    Where trials are dear (`Knowledge.lean`), only the rewritings that none of the others goes
    on from are made, and bodies are tried on the best's backend before the others; the first of
    them on every rewriting that is about as fast there, for there is no time to cross them later.
    What looked faster than the best, and was left open, is raced before the next body is made.
    """
    tried = known.standing.tried
    for step in _steps(known):
        if not isinstance(step, Try) or step.candidate.key not in tried:
            return step
    return None


def _steps(known: Knowledge) -> Iterator[Step]:
    original = known.adapted.variants[0]
    yield from defaults(known.plan, original, round_=BASELINE)
    yield from _rewritten(known)
    yield from _batched(known)
    yield from _in_parts(known)
    yield from _shorter(known)
    yield from paced(known)
    early, late = waves(known)
    backends = frozenset(b.backend for b in known.plan.backends)
    if known.lean:
        yield from _first_on_each_form(known, early)
        for body in early:
            yield from _bodies(known, [body], _of_best(known), at_once=2)
            yield from _runoffs(known, close=1.0)
    yield from _bodies(known, early, backends, at_once=COHORT)
    yield from _runoffs(known, close=FAR_AHEAD)
    if _int8_left_out(known):
        yield from _mixed(known, backends)
    yield from _settings(known)
    yield from _crossed(known)
    yield from _other_batches(known)
    yield from _runoffs(known)
    yield from _mixed(known, backends)
    yield from _settings(known)
    yield from _bodies(known, late, _of_best(known), at_once=COHORT)
    yield from _mixed(known, backends)
    yield from _settings(known)
    yield from _runoffs(known)
    yield from overtime(known)


def _int8_left_out(known: Knowledge) -> bool:
    """Whether nothing in int8 won, and something did not because of its outputs: what it
    takes to bring those nearer is the most that is still to be gained."""
    best = known.standing.best
    if best is None or not known.standing.disagreed:
        return False
    recipes = known.adapted.variant(best.candidate.variant_id).recipes
    return not any(isinstance(recipe, Int8Static | Int8Dynamic) for recipe in recipes)


def _mixed(known: Knowledge, backends: Collection[str]) -> Iterator[Step]:
    """int8 variants are taken apart; then the mixes that follow from it, one by one."""
    yield from taken_apart(known)
    chains = dict.fromkeys(known.mixed, frozenset(backends))
    yield from made(known, chains, at_once=1, usual=usual_settings(known))


def _rewritten(known: Knowledge) -> Iterator[Step]:
    """Every rewriting is made; then those of one backend run against each other."""
    variants: dict[str, Variant] = {}
    rewrites = known.agenda.rewrites
    for chain in grown(rewrites) if known.lean else rewrites:
        if chain not in known.adapted.chains:
            yield Make(chain=chain)
        elif (variant := known.adapted.made_by(chain)) is not None:
            variants[variant.id] = variant
    for backend in known.plan.backends:
        tries = tuple(
            step
            for variant in variants.values()
            for step in defaults(known.plan, variant, round_=REWRITE)
            if step.candidate.backend == backend.backend
            and step.candidate.key not in known.standing.tried
        )
        if tries:
            yield Together(tries=tries)


def _batched(known: Knowledge) -> Iterator[Step]:
    """The best rewriting of each backend, several queries in a run, all sizes together."""
    for backend in (b.backend for b in known.plan.backends):
        best = best_rewriting(known, backend, of=known.agenda.rewrites)
        yield from _remade(known, [at_batch(best, n) for n in known.plan.batches], backend)


def _in_parts(known: Knowledge) -> Iterator[Step]:
    """The best rewriting of each backend with queries cut into parts that run at once; where
    trials are dear only for short runs, for long ones wait little."""
    for backend in (b.backend for b in known.plan.backends):
        if known.lean and not is_short(known, backend):
            continue
        best = best_rewriting(known, backend, of=known.agenda.rewrites)
        yield from _remade(known, [in_parts(best, n) for n in known.plan.parts], backend)


def _remade(known: Knowledge, chains: Sequence[Chain], backend: str) -> Iterator[Step]:
    """The same rewriting made for other runs, all of them in the same rounds."""
    here = frozenset({backend})
    yield from made(known, dict.fromkeys(chains, here), at_once=len(chains))


def _shorter(known: Knowledge) -> Iterator[Step]:
    """What spares padding, on the best rewriting of each backend.

    Cutting queries helps some backends far more than others, so all are tried. What several
    lengths save is much the same on all, so a backend far behind without is left out there.
    """
    speeds = {b.backend: speed_at_one_length(known, b.backend) for b in known.plan.backends}
    floor = WORTH_BUCKETS * max(speeds.values(), default=0.0)
    for backend, speed in speeds.items():
        worth = [r for r in known.agenda.shorter if speed >= floor or not isinstance(r, Buckets)]
        best = best_rewriting(known, backend, of=at_one_length(known))
        if not speed:  # none was measured: the one with most of what backends like
            best = max(known.agenda.rewrites, key=len, default=())
        here = frozenset({backend})
        yield from made(known, {(*best, recipe): here for recipe in worth}, at_once=COHORT)


def _other_batches(known: Knowledge) -> Iterator[Step]:
    """Twice and half as many queries in a run as the best takes, until neither is better."""
    best = known.standing.best
    chain = known.adapted.variant(best.candidate.variant_id).recipes if best else ()
    if best is None or batch_of(chain) == 1:
        return
    most, size = BATCH_REACH * max(known.plan.batches, default=1), batch_of(chain)
    tries: list[Try] = []
    for other in (at_batch(chain, n) for n in (2 * size, size // 2) if 1 < n <= most):
        if other not in known.adapted.chains:
            yield Make(chain=other)
        elif (variant := known.adapted.made_by(other)) is not None:
            tries += like(best.candidate, variant)
    if new := tuple(t for t in tries if t.candidate.key not in known.standing.tried):
        yield Together(tries=new)


def _bodies(
    known: Knowledge, bodies: Sequence[Body], backends: Collection[str], *, at_once: int
) -> Iterator[Step]:
    usual = [body for body in bodies if not body.finer_ranges]
    chains = _on_rewritings(known, usual, backends)
    yield from made(known, chains, at_once=at_once, usual=usual_settings(known))
    finer = [body for body in bodies if body.finer_ranges]  # one by one: see `ranges.in_vain`
    chains = _on_rewritings(known, finer, backends)
    yield from made(known, chains, at_once=1, usual=usual_settings(known))


def _first_on_each_form(known: Knowledge, bodies: Sequence[Body]) -> Iterator[Step]:
    """The first body of the best's backend that can be made, on each rewriting that may be the
    fastest there."""
    for backend in _of_best(known):
        forms = as_good_rewritings(known, backend, close=CLOSE)
        for body in (body for body in bodies if backend in body.backends):
            chains = [continued(form, body.recipes) for form in forms]
            here = dict.fromkeys(chains, frozenset({backend}))
            yield from made(known, here, at_once=1, usual=usual_settings(known))
            if any(known.adapted.made_by(chain) is not None for chain in chains):
                break


def _on_rewritings(
    known: Knowledge, bodies: Sequence[Body], backends: Collection[str]
) -> dict[Chain, frozenset[str]]:
    """Each body on the best rewriting of each of these backends, to be tried there; finer ranges,
    which ought to bring outputs nearer, on the best's backend first."""
    best = {b.backend: best_rewriting(known, b.backend) for b in known.plan.backends}
    chains: dict[Chain, frozenset[str]] = {}
    for body in bodies:
        wanted = body.backends & set(backends)
        if body.finer_ranges:
            wanted = wanted & set(_of_best(known)) or wanted
        for backend in (b for b in best if b in wanted):
            chain = continued(best[backend], body.recipes)
            chains[chain] = chains.get(chain, frozenset()) | {backend}
    return chains


def _of_best(known: Knowledge) -> tuple[str, ...]:
    return (known.standing.best.candidate.backend,) if known.standing.best else ()


def _crossed(known: Knowledge) -> Iterator[Step]:
    """What was fast apart, put together: bodies near the best on rewritings near the best, with
    the settings of the fastest, on its backend and on others that are as close."""
    best = known.standing.best
    if best is None:
        return
    for fast in _fastest(known, best.candidate):
        rewritings, bodies = near(known, best, fast.backend)
        for rewriting in rewritings:
            tries = []
            for chain in (continued(rewriting, body) for body in bodies):
                if chain not in known.adapted.chains:
                    yield Make(chain=chain)
                elif (variant := known.adapted.made_by(chain)) is not None:
                    tries += like(fast, variant)
            if new := tuple(t for t in tries if t.candidate.key not in known.standing.tried):
                yield Together(tries=new)


def _fastest(known: Knowledge, best: Candidate) -> list[Candidate]:
    """The best, and the fastest on each other backend where that is nearly as fast."""
    floor = CLOSE * known.standing.speeds.get(best.key, 1.0)
    others = known.standing.fastest.items()
    return [best, *(c for b, (speed, c) in others if b != best.backend and speed >= floor)]


def _settings(known: Knowledge) -> Iterator[Step]:
    """Once for each pair that was the best."""
    pairs = pairs_worth_tuning(known.standing, known.adapted.variants)
    done = {spent[0] for spent in known.spent if spent}
    if pairs and pairs[0] not in done and not explored(known.standing, round_=SETTINGS):
        yield Explore(pairs=pairs, usual=usual_settings(known))


def _runoffs(known: Knowledge, *, close: float = CLOSE) -> Iterator[Step]:
    """What is open and this close to the best or closer, one by one, the fastest first; a few
    at most."""
    standing, best = known.standing, known.standing.best
    num_done = len(standing.rounds.get(RUNOFF, ()))
    if best is None or num_done >= MOST_RUNOFFS:
        return
    floor = close * standing.speeds.get(best.candidate.key, 1.0)
    others = standing.open.keys() - {best.candidate.key}
    near = [k for k in others if standing.speeds.get(k, 0.0) >= floor]
    for key in sorted(near, key=lambda k: (-standing.speeds[k], k)):
        candidate = standing.open[key].candidate
        variant = known.adapted.variant(candidate.variant_id)
        yield Together(tries=(Try(candidate=candidate, variant=variant, round=RUNOFF),))

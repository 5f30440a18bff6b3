"""What was fast so far: rewritings and bodies ranked by what the trials say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fitwright.records.agenda import Body, Chain
from fitwright.records.recipe import (
    Variant,
    at_batch,
    batch_of,
    bucketed,
    in_parts,
    parts_of,
    unbucketed,
)
from fitwright.records.trial import Trial
from fitwright.tune.proposal import REWRITE, Knowledge, attempt, plain
from fitwright.tune.ranges import in_vain

NEAR = 0.85  # of the fastest: a body or a rewriting that may win in other company
MOST_REWRITINGS, MOST_BODIES = 3, 3  # that are put together anew
PARTS_AHEAD = 1.03  # of the whole: parts that gain less are not built on
AS_FAST = 0.98  # a longer rewriting this near to the fastest is as good a start as that one


def waves(known: Knowledge) -> tuple[list[Body], list[Body]]:
    """What is made before the settings are tuned, and what after."""
    worth = {t for t in known.coarse if not in_vain(known, t)}
    wanted = [b for b in known.agenda.bodies if not b.finer_ranges or _toolkit(b) in worth]
    late = [b for b in wanted if b.seldom_faster and not known.storage_first]
    return [b for b in wanted if b not in late], late


def _toolkit(body: Body) -> str:
    return getattr(body.recipes[-1], "toolkit", "")


def _rewritings(known: Knowledge) -> tuple[Chain, ...]:
    """Those at one length, and before them what was made of them for padded queries."""
    found, made = at_one_length(known), set(known.adapted.chains)
    shorter = ((*chain, recipe) for chain in found for recipe in known.agenda.shorter)
    return (*(chain for chain in shorter if chain in made), *found)


def at_one_length(known: Knowledge) -> tuple[Chain, ...]:
    """Those that compute every token of a query, and before them what was made of them for parts
    of one and for several."""
    made, whole = set(known.adapted.chains), known.agenda.rewrites
    numbers = sorted({parts_of(chain) for chain in made} - {1}, reverse=True)
    sizes = sorted({batch_of(chain) for chain in made} - {1}, reverse=True)
    cut = (in_parts(r, parts) for parts in numbers for r in whole)
    stacked = (at_batch(r, batch) for batch in sizes for r in whole)
    return (*(chain for chain in (*cut, *stacked) if chain in made), *whole)


def best_rewriting(known: Knowledge, backend: str, *, of: Sequence[Chain] = ()) -> Chain:
    """The rewriting that is fastest on this backend at its defaults and breaks no limit by it.

    Of those as fast within 2 %, the longest, and of equally long ones the one with fewest
    queries in a run, the last of the agenda: what computes in fewer operators leaves less to
    go wrong for a quantiser, and more to gain. The first rewriting (fixed shapes) when none
    was measured.

    Args:
        of: only these; all by default.
    """
    found = _measured(known, backend, of or _rewritings(known))
    if not found:
        return known.agenda.rewrites[0] if known.agenda.rewrites else ()
    top = max(speed for speed, _ in found)
    return max((c for speed, c in reversed(found) if speed >= AS_FAST * top), key=len)


def as_good_rewritings(known: Knowledge, backend: str, *, close: float) -> list[Chain]:
    """The best rewriting on this backend, and others that none goes on from and that came to
    this share of the fastest: their order is open."""
    best = best_rewriting(known, backend)
    found = _measured(known, backend, _rewritings(known))
    floor = close * max((speed for speed, _ in found), default=0.0)
    others = grown([chain for speed, chain in found if speed >= floor])
    return [best, *(chain for chain in others if chain != best)]


def speed_at_one_length(known: Knowledge, backend: str) -> float:
    """Of the fastest rewriting there at its defaults; 0 where none was measured."""
    return max((s for s, _ in _measured(known, backend, at_one_length(known))), default=0.0)


def _measured(known: Knowledge, backend: str, chains: Sequence[Chain]) -> list[tuple[float, Chain]]:
    """Speed on the backend at the variant's defaults of each that breaks no limit by it."""
    found: list[tuple[float, Chain]] = []
    for chain in chains:
        variant = _variant_of(known, chain)
        if variant is None:
            continue
        candidate = attempt(variant, backend, variant.settings, round_=REWRITE).candidate
        speed = known.standing.speeds.get(candidate.key)
        if speed is not None and candidate.key not in known.barred:
            found.append((speed, chain))
    ahead = _ahead({chain: speed for speed, chain in found}, original=_original(known, backend))
    return [(speed, chain) for speed, chain in found if chain in ahead]


def _ahead(speeds: Mapping[Chain, float], *, original: float) -> dict[Chain, float]:
    """Without the parts that are not clearly faster than the whole: what a body saves leaves less
    to wait for, and two streams more to arrange. The whole is the same rewriting, or the original,
    whichever is faster; of a rewriting that found nothing to change only the latter was measured.
    """
    wholes = {chain: max(speeds.get(in_parts(chain, 1), 0.0), original) for chain in speeds}
    return {
        chain: speed
        for chain, speed in speeds.items()
        if parts_of(chain) == 1 or speed >= PARTS_AHEAD * wholes[chain]
    }


def _original(known: Knowledge, backend: str) -> float:
    """Speed of the original at the backend's defaults; 0 where it was not measured."""
    variant = known.adapted.variants[0]
    return known.standing.speed_of(variant.id, backend, plain(variant)) or 0.0


def _variant_of(known: Knowledge, chain: Chain) -> Variant | None:
    """What the chain came to: the original, where fixed shapes found nothing to change in it."""
    is_first = chain in known.adapted.chains and known.agenda.rewrites[:1] == (chain,)
    return known.adapted.made_by(chain) or (known.adapted.variants[0] if is_first else None)


def near(known: Knowledge, best: Trial, backend: str) -> tuple[list[Chain], list[Chain]]:
    """The fastest rewritings and the fastest bodies on a backend, fastest first.

    Bodies that save storage rather than time are no reason to go on, unless one has won.
    """
    _, late = waves(known)
    seldom, prefixes = {body.recipes for body in late}, _rewritings(known)
    rewritings: dict[Chain, float] = {}
    bodies: dict[Chain, float] = {}
    for chain in known.adapted.chains:
        variant = _variant_of(known, chain)
        speed = known.standing.pairs.get((variant.id, backend)) if variant else None
        if variant is None or speed is None:
            continue
        bare, buckets = unbucketed(chain)
        prefix = max((r for r in prefixes if bare[: len(r)] == r), key=len, default=())
        body = bare[len(prefix) :]
        if any(getattr(recipe, "keep", ()) for recipe in body):
            continue  # what is kept in float are operators of that rewriting
        if body in seldom and variant.id != best.candidate.variant_id:
            continue
        ends, place = (bodies, body) if body else (rewritings, bucketed(prefix, buckets))
        ends[place] = max(speed, ends.get(place, 0.0))
    rewritings = _ahead(rewritings, original=_original(known, backend))
    if parts_of(known.adapted.variant(best.candidate.variant_id).recipes) == 1:
        # fixed shapes that changed nothing are no other rewriting than the original's
        rewritings = {c: s for c, s in rewritings.items() if known.adapted.made_by(c) is not None}
    return grown(_top(rewritings))[:MOST_REWRITINGS], _top(bodies)[:MOST_BODIES]


def _top(speeds: Mapping[Chain, float]) -> list[Chain]:
    floor = NEAR * max(speeds.values(), default=0.0)
    return sorted((c for c, s in speeds.items() if s >= floor), key=lambda c: -speeds[c])


def grown(chains: Sequence[Chain]) -> list[Chain]:
    """Those that none of the others goes on from: they differ most from what was tried."""
    return [c for c in chains if not any(o[: len(c)] == c for o in chains if o != c)]

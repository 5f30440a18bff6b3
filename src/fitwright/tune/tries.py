"""What is tried of a chain once it is made, and who runs against whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fitwright.records.agenda import Chain
from fitwright.records.plan import Plan, Settings
from fitwright.records.recipe import Int8Static, Variant
from fitwright.records.trial import Candidate
from fitwright.tune.explore import WORTH_TUNING
from fitwright.tune.proposal import ADAPT, CROSSED, Knowledge, Make, Step, Together, Try, attempt

DEFAULTS: Mapping[str, Settings] = {}


def made(
    known: Knowledge,
    chains: Mapping[Chain, frozenset[str]],
    *,
    at_once: int,
    usual: Mapping[str, Settings] = DEFAULTS,
) -> Iterator[Step]:
    """Chains are made until there are so many candidates; then those run against each other.

    Args:
        chains: with the backends on which each is tried, where they read what it came to.
        at_once: 1 where what is made next depends on what came of this one.
        usual: settings by backend, where they are not its defaults.
    """
    waiting: list[Try] = []
    for chain, backends in chains.items():
        if chain not in known.adapted.chains:
            yield Make(chain=chain)
        elif (variant := known.adapted.made_by(chain)) is not None:
            tries = (
                *defaults(known.plan, variant, round_=ADAPT, usual=usual),
                *_beside_int8(known, variant, usual=usual),
            )
            waiting += [
                t
                for t in tries
                if t.candidate.backend in backends and t.candidate.key not in known.standing.tried
            ]
        if len(waiting) >= at_once:
            yield Together(tries=tuple(waiting))
            waiting = []
    if waiting:
        yield Together(tries=tuple(waiting))


def defaults(
    plan: Plan, variant: Variant, *, round_: int, usual: Mapping[str, Settings] = DEFAULTS
) -> Iterator[Try]:
    """The variant on every backend that reads it, nothing tuned."""
    for backend in plan.backends:
        if backend.backend in variant.backends:
            common = usual.get(backend.backend, backend.settings[0])
            settings = common.on(variant.settings)
            yield attempt(variant, backend.backend, settings, round_=round_)


def _beside_int8(
    known: Knowledge, variant: Variant, *, usual: Mapping[str, Settings]
) -> Iterator[Try]:
    """A static int8 model with another arithmetic for what stays in floating point, where the
    plan has one: which is faster hangs on how often the two meet, and it costs no making.

    Not before the usual one has agreed with the original, for the other hardly changes the
    outputs, nor where it is far behind the best; where trials are dear both run in the same rounds,
    which spares a race.
    """
    if not any(isinstance(recipe, Int8Static) for recipe in variant.recipes):
        return
    for backend in (b for b in known.plan.backends if b.backend in variant.backends):
        common = usual.get(backend.backend, Settings())
        first = attempt(variant, backend.backend, common.on(variant.settings), round_=ADAPT)
        if not known.lean and not _is_promising(known, first):
            continue
        for stated in backend.settings[1:]:
            settings = common.merged(stated).on(variant.settings)
            is_other = settings != first.candidate.settings
            if stated == Settings(precision=stated.precision) and is_other:
                yield attempt(variant, backend.backend, settings, round_=ADAPT)


def _is_promising(known: Knowledge, one: Try) -> bool:
    """Whether it was tried, its outputs were near enough to the original's, and its time to the
    best's."""
    pair = one.variant.id, one.candidate.backend
    ratio = known.standing.ratio_to_best(one.candidate.key)
    return ratio is not None and ratio >= WORTH_TUNING and pair not in known.standing.disagreed


def like(candidate: Candidate, variant: Variant) -> list[Try]:
    """The variant on that backend with those settings, where the backend reads it."""
    if candidate.backend not in variant.backends:
        return []
    settings = candidate.settings.on(variant.settings)
    return [attempt(variant, candidate.backend, settings, round_=CROSSED)]

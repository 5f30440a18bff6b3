"""Which int8 variant with some layers in float to make next, from the records alone.

What the flow calls, and when: as soon as an `Int8Static` variant that keeps nothing was
measured on a backend and is worth it (see `tune.apart`), once per (chain, backend):
``adapt.sensitivity.analyse`` with ``backends.probes.PROBES``, in children. With its answer,
after every trial: `next_mixed`; each chain it returns is appended to ``Knowledge.mixed``,
until it returns None. It ends by itself: no chain is proposed twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fitwright.perf.mixed import (
    kept_for,
    ladder,
    next_rung,
    operators_of,
    slower_in_int8,
    without_gain,
    worths,
)
from fitwright.records.agenda import Chain
from fitwright.records.need import Need
from fitwright.records.recipe import Adapted, Int8Static
from fitwright.records.sensitivity import Sensitivity
from fitwright.records.trial import Trial
from fitwright.tune.judge import breaches

HARDLY_ANY = 0.1  # of the mean gain of a group: what it must bring to stay in int8
_COSTS = ("latency", "throughput", "energy", "cost", "size", "peak_memory")
_MARGIN = 0.9  # of the error that a limit allows; predictions are some per cent off


def next_mixed(
    trials: Sequence[Trial], adapted: Adapted, sensitivity: Sensitivity, need: Need
) -> Chain | None:
    """The next chain to make and try on the sensitivity's backend, or None: nothing is left.

    First, groups that int8 makes slower go back to float, whatever the accuracy; then those
    that it hardly speeds up as well: time is as before, and the outputs come nearer. When the
    accuracy or agreement is broken all the same, the groups that cost most error per second
    gained go back, by bisection between what breaks the limit and what holds it.
    """
    slow = slower_in_int8(sensitivity)
    idle = slow | without_gain(sensitivity, least_share=HARDLY_ANY)
    for groups in (slow, idle):
        chain = _chain(sensitivity, groups)
        if groups and chain not in adapted.chains:
            return chain
    good, bad = _answers(trials, adapted, sensitivity, need)
    if not bad or good & {frozenset(), slow, idle}:
        return None
    rungs = ladder(worths(sensitivity), always=slow)
    kept = next_rung(rungs, good=good, bad=bad, guess=_guess(sensitivity, need, rungs))
    chain = _chain(sensitivity, kept) if kept is not None else sensitivity.chain
    return None if chain in adapted.chains else chain


def _chain(sensitivity: Sensitivity, kept: Collection[str]) -> Chain:
    """The int8 chain with these groups in float."""
    last = sensitivity.chain[-1]
    assert isinstance(last, Int8Static), "a sensitivity is that of an int8 variant"
    keep = operators_of(sensitivity.effects, kept)
    return (*sensitivity.chain[:-1], last.model_copy(update={"keep": keep}))


def _answers(
    trials: Iterable[Trial], adapted: Adapted, sensitivity: Sensitivity, need: Need
) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """Sets of groups whose mix keeps the limits on accuracy, and those that break them.

    A chain that could not be made counts as one that breaks them.
    """
    good: set[frozenset[str]] = set()
    bad: set[frozenset[str]] = set()
    here = [t for t in trials if t.candidate.backend == sensitivity.backend]
    known = {t.candidate.variant_id: t for t in here}
    for chain in adapted.chains:
        kept = _kept(chain, sensitivity)
        if kept is None:
            continue
        variant = adapted.made_by(chain)
        trial = known.get(variant.id) if variant is not None else None
        if variant is None or (trial is not None and _inaccurate(trial, need)):
            bad.add(kept)
        elif trial is not None:
            good.add(kept)
    return good, bad


def _kept(chain: Chain, sensitivity: Sensitivity) -> frozenset[str] | None:
    """The groups that a chain keeps in float; None for one that is no mix of this variant."""
    last = chain[-1] if chain else None
    if not isinstance(last, Int8Static):
        return None
    if (*chain[:-1], last.model_copy(update={"keep": ()})) != sensitivity.chain:
        return None
    names = set(last.keep)
    return frozenset(
        e.group.name for e in sensitivity.effects if names.issuperset(e.group.operators)
    )


def _inaccurate(trial: Trial, need: Need) -> bool:
    """Whether it broke a limit on what the model answers, not on what that costs."""
    if trial.failure is not None:
        return trial.failure.cause in ("disagrees", "not_finite")
    return any(not name.startswith(_COSTS) for name in breaches(need, trial.figures))


def _guess(
    sensitivity: Sensitivity, need: Need, rungs: Sequence[frozenset[str]]
) -> frozenset[str] | None:
    """The shortest rung that holds what the best choice within the agreement keeps."""
    budget = _MARGIN * need.agreement.relative_l2
    kept = kept_for(worths(sensitivity), error_budget=budget)
    return next((rung for rung in rungs if kept <= rung), None)

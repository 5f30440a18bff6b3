"""Which int8 variants are worth taking apart, for some of their layers to go back to float."""

from __future__ import annotations

from collections.abc import Iterator

from fitwright.records.plan import Settings
from fitwright.records.recipe import Variant
from fitwright.tune.pace import usual_settings
from fitwright.tune.proposal import Knowledge, TakeApart
from fitwright.tune.reach import LIKELY, mix_forecast, whole_int8

MOST_TAKEN_APART = 2  # int8 variants; each costs a compilation per group of operators
WORTH_A_LOOK = 0.5  # of the speed of the best so far


def taken_apart(known: Knowledge) -> Iterator[TakeApart]:
    """The int8 variants a mix of which may win, the fastest first; a few at most.

    One that agrees with the original has its speed to show. Of one that is too far from it a
    mix is forecast from the few rounds in which it was timed all the same (`tune.reach`);
    where there were none, it counts as fast as the best on that one's backend, the nearest first.
    """
    wanted = MOST_TAKEN_APART - len(known.taken_apart)
    far = known.standing.disagreed

    def order(found: tuple[float, TakeApart]) -> tuple[float, float]:
        speed, step = found
        return -speed, far.get((step.variant.id, step.backend), 0.0)

    found = sorted(_worth_it(known), key=order)
    yield from (step for _, step in found[: max(wanted, 0)])


def _worth_it(known: Knowledge) -> Iterator[tuple[float, TakeApart]]:
    usual, top = usual_settings(known), known.standing.top_speed
    for chain in (c for c in known.adapted.chains if whole_int8(c)):
        variant = known.adapted.made_by(chain)
        for backend in variant.backends if variant else ():
            if variant is None or (chain, backend) in known.taken_apart:
                continue
            settings = usual.get(backend, Settings()).on(variant.settings)
            speed, share = _speed(known, variant, backend, settings)
            if speed >= share * top:
                yield (
                    speed,
                    TakeApart(chain=chain, variant=variant, backend=backend, settings=settings),
                )


def _speed(
    known: Knowledge, variant: Variant, backend: str, settings: Settings
) -> tuple[float, float]:
    """Its speed there, or that of a mix of it; and the share of the best's that it takes."""
    standing, pair = known.standing, (variant.id, backend)
    measured = standing.speed_of(variant.id, backend, settings)
    if measured is not None or pair not in standing.disagreed:
        return measured or 0.0, WORTH_A_LOOK
    if (timed := standing.would_be.get(pair)) is None:
        best = standing.best
        is_there = best is not None and best.candidate.backend == backend
        return (standing.top_speed if is_there else 0.0), LIKELY
    return mix_forecast(known, variant, backend, timed=timed), LIKELY

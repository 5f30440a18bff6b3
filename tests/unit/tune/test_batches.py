"""Several queries in one run: what is proposed around the best number of them."""

from __future__ import annotations

from dataclasses import replace

from fitwright.records.agenda import Agenda
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Bf16, FixShapes
from fitwright.tune.proposal import Knowledge, Make
from fitwright.tune.propose import propose
from proposals import FIX, FIXED, ONE, ORIGINAL, body, knowledge, trial, tuned, variant


def batched(*, accepted: bool, other: float = 0.0) -> Knowledge:
    """Runs of 4 queries were twice as fast as one by one; those of 16 came to `other`."""
    fixed = [variant(f"{n}", FixShapes(batch=n)) for n in (4, 16)]
    fixed = [v.model_copy(update={"settings": Settings(batch=int(v.id))}) for v in fixed]
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.4, against=first, round_=1),
        *(trial(n, FIXED, b, decision="rejected", ratio=r, against=first)
          for n, (b, r) in enumerate((("a", 1.0), ("b", 0.4)), start=2)),
        trial(4, fixed[0], "a", decision="accepted" if accepted else "rejected", ratio=2.0,
              against=first, settings=Settings(batch=4)),
        *(trial(n, v, "b", decision="rejected", ratio=0.4, against=first, settings=v.settings)
          for n, v in enumerate(fixed, start=5)),
        trial(7, fixed[1], "a", decision="rejected", ratio=other or 1.5, against=first,
              settings=Settings(batch=16)),
    ]  # fmt: skip
    variants = (FIXED, *fixed)
    adapted = Adapted(
        variants=(ORIGINAL, *variants),
        chains=tuple(v.recipes for v in variants),
        made=tuple(v.id for v in variants),
    )
    return knowledge(
        adapted, trials, rewrites=(FIX,), bodies=(body(Bf16(), on="a"),), batches=(4, 16)
    )


def test_bodies_are_not_put_on_what_was_faster_and_broke_a_limit() -> None:
    assert propose(batched(accepted=True)) == Make(chain=(FixShapes(batch=4), Bf16()))
    broken = batched(accepted=False, other=0.9)
    key = broken.standing.trials[4].candidate.key
    step = propose(replace(broken, barred=frozenset({key})))
    assert step == Make(chain=(FixShapes(), Bf16()))


def test_twice_and_half_as_many_queries_are_tried_where_the_best_takes_several() -> None:
    known = batched(accepted=True)
    known = tuned(replace(known, agenda=Agenda(rewrites=(FIX,))))
    step = propose(known)
    assert step == Make(chain=(FixShapes(batch=8),))
    made = variant("8", FixShapes(batch=8)).model_copy(update={"settings": Settings(batch=8)})
    adapted = known.adapted.model_copy(
        update={
            "variants": (*known.adapted.variants, made),
            "chains": (*known.adapted.chains, made.recipes),
            "made": (*known.adapted.made, made.id),
        }
    )
    assert propose(replace(known, adapted=adapted)) == Make(chain=(FixShapes(batch=2),))


def test_settings_for_another_variant_keep_its_own_number_of_queries() -> None:
    found = Settings(threads=1, batch=16)
    assert found.on(Settings()) == ONE
    assert found.on(Settings(batch=4)) == Settings(threads=1, batch=4)

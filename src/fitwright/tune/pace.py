"""How many threads short runs get, found out before anything is built on them.

Where a run takes about a millisecond, its threads wait for each other as long as they work, and
what narrower arithmetic saves does not show: int8 that is a third faster on one thread may tie on
two. So numbers of threads come before bodies there, and bodies are tried with the best of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fitwright.records.plan import Settings
from fitwright.records.recipe import Variant
from fitwright.records.trial import Candidate
from fitwright.tune.proposal import (
    BASELINE,
    PACED,
    REWRITE,
    Knowledge,
    Together,
    attempt,
    plain,
)
from fitwright.tune.ranking import best_rewriting
from fitwright.tune.standing import Standing

SHORT_S = 3e-3  # a run that takes longer hardly notices its barriers
ABOUT_AS_FAST = 0.9  # of the fastest: fewer threads this near to it win once operators are shorter
AT_WORST = 0.75  # of it, at the low end of what was seen: a race that noise left open says nothing


def paced(known: Knowledge) -> Iterator[Together]:
    """Each smaller number of threads that the plan has, for the best rewriting of each backend
    whose runs are short, all of them together."""
    tries = tuple(
        attempt(variant, backend.backend, settings.on(variant.settings), round_=PACED)
        for backend in known.plan.backends
        if is_short(known, backend.backend)
        for variant in [_subject(known, backend.backend)]
        if backend.backend in variant.backends
        for settings in backend.settings
        if _only_fewer_threads(settings, than=known.plan.num_threads)
    )
    if new := tuple(t for t in tries if t.candidate.key not in known.standing.tried):
        yield Together(tries=new)


def usual_settings(known: Knowledge) -> Mapping[str, Settings]:
    """By backend, what bodies are tried with where that is not the backend's own default.

    The fewest threads that are about as fast as any number was, and not much slower even at the
    worst end of the interval: bodies shorten the operators and not the waiting, so what ties in
    float wins in int8. Judged as of the moment when the numbers
    had been compared: what is raced again later must not send the search through all bodies anew.
    """
    then = _when_compared(known)
    usual: dict[str, Settings] = {}
    for backend in (b.backend for b in known.plan.backends):
        compared = [c for c in _compared(known, backend) if c.key not in known.barred]
        speeds = {c.settings.threads: s for c in compared if (s := then.speeds.get(c.key))}
        if not speeds:
            continue
        variant = known.adapted.variant(compared[0].variant_id)
        at_defaults = then.speed_of(variant.id, backend, plain(variant)) or 0.0
        top = max(at_defaults, *speeds.values())
        lows = {c.settings.threads: then.lows.get(c.key, 0.0) for c in compared}
        if fast := [
            threads
            for threads, speed in speeds.items()
            if threads and speed >= ABOUT_AS_FAST * top and lows[threads] >= AT_WORST * top
        ]:
            usual[backend] = Settings(threads=min(fast))
    return usual


def _when_compared(known: Knowledge) -> Standing:
    places = known.standing.rounds.get(PACED, [-1])
    return Standing(known.standing.trials[: places[-1] + 1])


def _compared(known: Knowledge, backend: str) -> list[Candidate]:
    trials = known.standing.of_round(PACED)
    return [t.candidate for t in trials if t.candidate.backend == backend]


def _subject(known: Knowledge, backend: str) -> Variant:
    """The rewriting that numbers of threads are compared on: always the same one."""
    if already := _compared(known, backend):
        return known.adapted.variant(already[0].variant_id)
    made = known.adapted.made_by(best_rewriting(known, backend))
    return made or known.adapted.variants[0]


def _only_fewer_threads(settings: Settings, *, than: int) -> bool:
    threads = settings.threads
    return threads is not None and threads < than and settings == Settings(threads=threads)


def is_short(known: Knowledge, backend: str) -> bool:
    """Whether the shortest run of the original and its rewritings is."""
    standing = known.standing
    latencies = (
        figure.value
        for trial in standing.of_round(BASELINE) + standing.of_round(REWRITE)
        if trial.candidate.backend == backend
        if (figure := trial.figures.get("latency_p50")) is not None and figure.value
    )
    return min(latencies, default=SHORT_S) < SHORT_S

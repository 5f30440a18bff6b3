"""How many threads short runs get, found out before anything is built on them.

Where a run takes about a millisecond, its threads wait for each other as long as they work, and
what narrower arithmetic saves does not show: int8 that is a third faster on one thread may tie on
two. So numbers of threads come before bodies there, and bodies are tried with the best of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fitwright.records.plan import BackendPlan, Settings
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


def paced(known: Knowledge) -> Iterator[Together]:
    """Each number of threads of the plan, for the best rewriting of each backend whose runs are
    short, all of them together."""
    tries = tuple(
        attempt(variant, backend.backend, settings.on(variant.settings), round_=PACED)
        for backend in known.plan.backends
        if _is_short(known, backend.backend)
        for variant in [_subject(known, backend.backend)]
        if backend.backend in variant.backends
        for settings in _numbers_of_threads(backend)
    )
    if new := tuple(t for t in tries if t.candidate.key not in known.standing.tried):
        yield Together(tries=new)


def usual_settings(known: Knowledge) -> Mapping[str, Settings]:
    """By backend, what bodies are tried with where that is not the backend's own default.

    Judged as of the moment when numbers of threads had been compared: what is raced again later
    must not send the search through all bodies once more.
    """
    then = _when_compared(known)
    usual: dict[str, Settings] = {}
    for backend in (b.backend for b in known.plan.backends):
        found = [
            (then.speeds[candidate.key], candidate.key, candidate)
            for candidate in _compared(known, backend)
            if candidate.key in then.speeds and candidate.key not in known.barred
        ]
        if not found:
            continue
        speed, _, fastest = max(found)
        variant = known.adapted.variant(fastest.variant_id)
        if speed > (then.speed_of(variant.id, backend, plain(variant)) or 0.0):
            usual[backend] = fastest.settings
    return usual


def _when_compared(known: Knowledge) -> Standing:
    trials = known.standing.trials
    last = max((i for i, t in enumerate(trials) if t.round == PACED), default=-1)
    return Standing(trials[: last + 1])


def _compared(known: Knowledge, backend: str) -> list[Candidate]:
    trials = known.standing.trials
    return [t.candidate for t in trials if t.round == PACED and t.candidate.backend == backend]


def _subject(known: Knowledge, backend: str) -> Variant:
    """The rewriting that numbers of threads are compared on: always the same one."""
    if already := _compared(known, backend):
        return known.adapted.variant(already[0].variant_id)
    made = known.adapted.made_by(best_rewriting(known, backend))
    return made or known.adapted.variants[0]


def _numbers_of_threads(backend: BackendPlan) -> list[Settings]:
    return [s for s in backend.settings if s.threads and s == Settings(threads=s.threads)]


def _is_short(known: Knowledge, backend: str) -> bool:
    """Whether the shortest run of the original and its rewritings is."""
    latencies = (
        figure.value
        for trial in known.standing.trials
        if trial.candidate.backend == backend and trial.stage == "short"
        if trial.round in (BASELINE, REWRITE)
        if (figure := trial.figures.get("latency_p50")) is not None and figure.value
    )
    return min(latencies, default=SHORT_S) < SHORT_S

"""How the search went: what was passed over, how comparisons ended, how long the best took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fitwright import units
from fitwright.deliver.evidence import Evidence
from fitwright.deliver.wording import plain, share
from fitwright.records.noise import Noise
from fitwright.records.recipe import Variant
from fitwright.records.trial import Comparison, Trial

OUTCOMES = {
    "faster": "faster",
    "slower": "slower",
    "same": "the same",
    "undecided": "too noisy to decide",
}
MOST_REASONS = 3
_LONGEST_WAIT_S = 24 * 3600.0


def outcome_text(comparison: Comparison) -> str:
    """``too noisy to decide: about 40 s more would decide``; ``faster, 3 heats``."""
    words = OUTCOMES[comparison.outcome]
    more_s = comparison.more_s
    if comparison.outcome == "undecided" and more_s is not None and more_s < _LONGEST_WAIT_S:
        words += f": about {_duration(more_s)} more would decide"
    return f"{words}, {comparison.num_heats} heats" if comparison.num_heats > 1 else words


def search_rows(evidence: Evidence) -> list[tuple[str, str]]:
    """(what, words) of the search as a whole; empty before the first trial."""
    short = [t for t in evidence.trials if t.stage == "short"]
    comparisons = [t.comparison for t in short if t.comparison]
    variants = evidence.adapted.variants if evidence.adapted else ()
    rows = [
        ("comparisons", _outcomes(comparisons)),
        ("heats", _heats(comparisons)),
        ("the machine", _machine([c.noise for c in comparisons if c.noise])),
        ("passed over", _passed_over(short)),
        ("time to the best", _time_to_best(short, variants, evidence.artefact)),
    ]
    return [(name, words) for name, words in rows if words]


def _outcomes(comparisons: Sequence[Comparison]) -> str:
    counts: Counter[str] = Counter(c.outcome for c in comparisons)
    told = (f"{counts[o]} {words}" for o, words in OUTCOMES.items() if o in counts)
    return ", ".join(told)


def _heats(comparisons: Sequence[Comparison]) -> str:
    """A heat is a pair of fresh processes; close races take several."""
    if not comparisons:
        return ""
    heats = [c.num_heats for c in comparisons]
    num = f"{sum(heats)} pair{'' if sum(heats) == 1 else 's'} of processes"
    return f"{num} for {len(heats)} comparisons, at most {max(heats)} for one"


def _machine(noises: Sequence[Noise]) -> str:
    """Ranges of what the machine tells of itself."""
    floor = _known(n.floor for n in noises)
    steal = _known(n.steal_share for n in noises)
    others = _known(n.others_share for n in noises)
    frequency = _known(n.frequency_hz for n in noises)
    temperature = _known(n.temperature_c for n in noises)
    told = [
        floor and f"processes of the same candidate differ by up to {share(max(floor))}",
        steal and f"up to {share(max(steal))} of the processor time stolen",
        others and f"up to {share(max(others))} of it taken by other programs",
        frequency and f"{_range(frequency, 1e9, '.2f')} GHz",
        temperature and f"{_range(temperature, 1, '.0f')} °C",
    ]
    return ", ".join(words for words in told if words)


def _known(values: Iterable[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def _range(values: Sequence[float], unit: float, form: str) -> str:
    low, high = (format(v / unit, form) for v in (min(values), max(values)))
    return low if low == high else f"{low} – {high}"


def was_passed_over(trial: Trial) -> bool:
    """Whether the candidate was ruled out without measuring it."""
    return trial.failure is None and trial.comparison is None and not trial.figures


def _passed_over(short: Sequence[Trial]) -> str:
    reasons = Counter(plain(t.reason, longest=200) for t in short if was_passed_over(t))
    if not reasons:
        return ""
    told = [f"{n}× {r}" if n > 1 else r for r, n in reasons.most_common(MOST_REASONS)]
    rest = sum(reasons.values()) - sum(n for _, n in reasons.most_common(MOST_REASONS))
    more = [f"and {rest} more, each with its reason below"] if rest else []
    num = sum(reasons.values())
    return f"{num} candidate{'' if num == 1 else 's'}: " + "; ".join([*told, *more])


def _time_to_best(
    short: Sequence[Trial], variants: Sequence[Variant], artefact: Trial | None
) -> str:
    """Time of trials and passes until the artefact had won, of all such time."""
    if artefact is None:
        return ""
    key = artefact.candidate.key
    won = [i for i, t in enumerate(short) if t.candidate.key == key and t.decision != "failed"]
    if not won:
        return ""
    until, whole = (_spent_s(some, variants) for some in (short[: won[0] + 1], short))
    return (
        f"{_duration(until)} of {_duration(whole)} spent on trials and passes, "
        f"in trial {won[0] + 1} of {len(short)}"
    )


def _spent_s(trials: Sequence[Trial], variants: Sequence[Variant]) -> float:
    """Of the trials, and of making the variants that they are of."""
    used = {t.candidate.variant_id for t in trials}
    return sum(t.seconds for t in trials) + sum(v.seconds for v in variants if v.id in used)


def _duration(seconds: float) -> str:
    """To the second, then to a tenth of a minute: an account, not a measurement."""
    if seconds < 10:
        return units.seconds(seconds)
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"

"""Times of candidates that never met: chained through the races between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitwright.records.figure import Figure
from fitwright.records.trial import Comparison, Trial


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Logarithm of a time ratio, and how far its interval reaches down and up."""

    log: float = 0.0
    down: float = 0.0
    up: float = 0.0

    def times(self, other: _Span) -> _Span:
        """Two races in a row: logarithms add, independent deviations in quadrature."""
        return _Span(
            log=self.log + other.log,
            down=math.hypot(self.down, other.down),
            up=math.hypot(self.up, other.up),
        )

    def inverse(self) -> _Span:
        return _Span(log=-self.log, down=self.up, up=self.down)


def time_ratios(trials: Sequence[Trial], *, reference: str) -> dict[str, Figure]:
    """Time of one query of each raced candidate over the reference's, by candidate key.

    Absolute times of different minutes do not compare, ratios of interleaved races do. Each
    candidate was raced against the best of its time, and those against each other, so every
    ratio is a product along that path, with the intervals of its races added in quadrature
    (logarithms of independent races). Candidates without a path to the reference are absent.

    Args:
        trials: in any order; of a candidate's trials the last one counts.
        reference: key of the candidate that has ratio 1.
    """
    raced = {t.candidate.key: t for t in sorted(trials, key=lambda t: t.number) if _timed(t)}
    places = _path_back(raced, reference)
    for key in raced:
        _place(key, raced, places)
    return {key: _figure(places[key]) for key in raced if key in places}


def _place(key: str, raced: Mapping[str, Trial], places: dict[str, _Span]) -> None:
    """Go from incumbent to incumbent until one has its place, then all the way back."""
    path: list[tuple[str, Comparison]] = []
    while key not in places:
        race = raced[key].comparison if key in raced else None
        if race is None or any(key == seen for seen, _ in path):
            return
        path.append((key, race))
        key = race.incumbent
    for below, race in reversed(path):
        places[below] = places[race.incumbent].times(_span(race))


def _timed(trial: Trial) -> bool:
    return trial.stage == "short" and trial.failure is None and bool(trial.figures)


def _path_back(raced: Mapping[str, Trial], reference: str) -> dict[str, _Span]:
    """From the reference to the first of all, against the direction of the races."""
    places, key = {reference: _Span()}, reference
    while (trial := raced.get(key)) is not None and (race := trial.comparison) is not None:
        if race.incumbent in places:
            break
        places[race.incumbent] = places[key].times(_span(race).inverse())
        key = race.incumbent
    return places


def _span(race: Comparison) -> _Span:
    """Of the candidate's time over the incumbent's; `race.ratio` is the reverse."""
    middle = _log(race.ratio)
    return _Span(log=-middle, down=_log(race.high) - middle, up=middle - _log(race.low))


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio > 0 else -math.inf


def _figure(span: _Span) -> Figure:
    return Figure.measured(
        math.exp(span.log),
        low=math.exp(span.log - span.down),
        high=math.exp(span.log + span.up),
        source="chained through interleaved races",
    )

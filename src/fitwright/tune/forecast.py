"""What speed a candidate is likely to come to, from what its settings did elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import NamedTuple

from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate
from fitwright.tune.standing import Standing

LEAST_SPREAD = 0.08  # of the logarithm of a forecast speed, however well the samples agree
ONE_SAMPLE_SPREAD = 0.2  # when there is one sample only
NUM_SPREADS = 2.0


class Forecast(NamedTuple):
    """A speed relative to the first accepted candidate, and the spread of its logarithm.

    Attributes:
        num_samples: 0 when it is put together from what each setting did by itself.
    """

    speed: float
    spread: float
    num_samples: int

    @property
    def at_best(self) -> float:
        """What it could still come to."""
        return self.speed * math.exp(NUM_SPREADS * self.spread)


def forecast(
    candidate: Candidate, standing: Standing, *, required: Mapping[str, Settings]
) -> Forecast | None:
    """Speed at the pair's defaults times what these settings did elsewhere on this backend.

    Settings that were not tried together anywhere: the product of what each of them did. Those
    that were tried beside others only, as on fewer threads: what they did there.
    """
    own = required.get(candidate.variant_id)
    effects = _Effects(candidate.backend, standing, required)
    base = effects.at_defaults.get(candidate.variant_id)
    if base is None or own is None or candidate.settings == own:
        return None
    found = effects.elsewhere(candidate.settings, than=candidate.variant_id)
    if found is None:
        parts = apart(candidate.settings, own)
        found = _sum([effects.of_part(part, candidate.variant_id) for part in parts])
    if found is None:
        found = effects.beside_others(candidate.settings, candidate.variant_id)
    if found is None:
        return None
    return Forecast(base * math.exp(found.log_ratio), found.spread, found.num_samples)


class _Effect(NamedTuple):
    """What settings did, as the logarithm of a ratio of speeds."""

    log_ratio: float
    spread: float
    num_samples: int


def _sum(parts: Sequence[_Effect | None]) -> _Effect | None:
    """Of settings that act each by itself; None when there are none, or one is not known."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return _Effect(sum(p.log_ratio for p in known), math.hypot(*(p.spread for p in known)), 0)


@dataclass(frozen=True)
class _Effects:
    """What settings did on one backend, against the defaults.

    Attributes:
        required: settings that each variant cannot do without.
    """

    backend: str
    standing: Standing
    required: Mapping[str, Settings]

    @cached_property
    def at_defaults(self) -> dict[str, float]:
        """Speed of each variant that was measured with no more than it requires."""
        found = ((v, self._speed(v, Settings())) for v in self.required)
        return {variant: speed for variant, speed in found if speed is not None}

    def elsewhere(self, settings: Settings, *, than: str) -> _Effect | None:
        """On every other variant that was measured with them; None when there is none."""
        found = (self._log_ratio(v, settings) for v in self.at_defaults if v != than)
        samples = [log_ratio for log_ratio in found if log_ratio is not None]
        if not samples:
            return None
        spread = max(LEAST_SPREAD, stdev(samples)) if len(samples) > 1 else ONE_SAMPLE_SPREAD
        return _Effect(fmean(samples), spread, len(samples))

    def of_part(self, settings: Settings, variant: str) -> _Effect | None:
        """On the variant itself where that was measured, else on others."""
        own = self._log_ratio(variant, settings)
        if own is not None:
            return _Effect(own, LEAST_SPREAD, 1)
        return self.elsewhere(settings, than=variant)

    def beside_others(self, settings: Settings, variant: str) -> _Effect | None:
        """On the variant itself, on top of settings that were measured without them as well."""
        wanted = settings.model_dump(exclude_defaults=True)
        for trial in self.standing.trials:
            both = trial.candidate.settings.model_dump(exclude_defaults=True)
            is_here = trial.candidate.backend == self.backend
            if not (
                is_here and trial.candidate.variant_id == variant and wanted.items() < both.items()
            ):
                continue
            others = Settings.model_validate({n: v for n, v in both.items() if n not in wanted})
            with_, without = (
                self._log_ratio(variant, s) for s in (trial.candidate.settings, others)
            )
            if with_ is not None and without is not None:
                return _Effect(with_ - without, ONE_SAMPLE_SPREAD, 0)
        return None

    def _log_ratio(self, variant: str, settings: Settings) -> float | None:
        speed = self._speed(variant, settings)
        return None if speed is None else math.log(speed / self.at_defaults[variant])

    def _speed(self, variant: str, settings: Settings) -> float | None:
        return self.standing.speed_of(variant, self.backend, settings.on(self.required[variant]))


def apart(settings: Settings, required: Settings) -> list[Settings]:
    """Each field by itself, where several are stated beside what is required."""
    stated = settings.model_dump(exclude_defaults=True)
    fields = stated.keys() - required.model_dump(exclude_defaults=True).keys()
    if len(fields) < 2:
        return []
    return [Settings.model_validate({name: stated[name]}) for name in sorted(fields)]

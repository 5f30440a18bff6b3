"""Ridge regression of logarithms whose penalties are the spreads expected of each effect.

An effect is a key; its first part names its sort. What is not known about one scope is shrunk
towards zero, so that the next wider scope answers. Outliers are weighed down (Huber).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

Key = tuple[str, ...]
Features = dict[Key, float]
Model = dict[Key, float]


class Design:
    """Lines of effects with their targets, so that leaving some out is taking lines away."""

    def __init__(
        self,
        features: Sequence[Features],
        targets: Sequence[float],
        *,
        expected: Mapping[str, float],
        noise: float,
    ) -> None:
        self.features = list(features)
        self.keys = sorted({k for f in features for k in f})
        place = {k: i for i, k in enumerate(self.keys)}
        self.x = np.zeros((len(features), len(self.keys)))
        for i, found in enumerate(features):
            for key, weight in found.items():
                self.x[i, place[key]] = weight
        self.y = np.array(targets)
        self.prior = np.array([expected[k[0]] ** 2 for k in self.keys])
        self.noise = noise

    def fit(self, keep: Sequence[int]) -> Model:
        """Effects from these lines (kernel form: as many unknowns as lines)."""
        x, y = self.x[keep], self.y[keep]
        kernel, weight = (x * self.prior) @ x.T, np.ones(len(keep))
        for _ in range(6):
            alpha = np.linalg.solve(kernel + np.diag(self.noise**2 / weight), y)
            missed = np.abs(y - kernel @ alpha)
            weight = 1 / np.maximum(1, missed / (1.6 * self.noise))
        effects = self.prior * (x.T @ alpha)
        return dict(zip(self.keys, effects.tolist(), strict=True))

    def fit_all(self) -> Model:
        return self.fit(range(len(self.y)))

    def held_out(
        self, groups: Sequence[Hashable], predict: Callable[[Model, Features], float]
    ) -> list[float]:
        """Log errors, each line predicted without its whole group; in the order of the lines."""
        lines = defaultdict(list)
        for i, group in enumerate(groups):
            lines[group].append(i)
        errors = [0.0] * len(self.y)
        for out in lines.values():
            left = set(out)
            model = self.fit([i for i in range(len(self.y)) if i not in left])
            for i in out:
                errors[i] = predict(model, self.features[i]) - float(self.y[i])
        return errors


def total(model: Model, found: Features) -> float:
    return sum(model.get(key, 0.0) * weight for key, weight in found.items())


def quantile(errors: Sequence[float], share: float = 0.8) -> float:
    """The factor that this share of the errors stays within."""
    return round(math.exp(float(np.quantile(np.abs(errors), share))), 3)


def say(name: str, errors: Sequence[float]) -> None:
    relative = np.abs(np.expm1(errors))
    print(
        f"{name:40s} {len(errors):4d} rows  median {np.median(relative):.3f}"
        f"  p80 {np.quantile(relative, 0.8):.3f}"
    )

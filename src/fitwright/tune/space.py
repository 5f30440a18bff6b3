"""The joint space of runtime settings of the (variant, backend) pairs worth tuning.

Conditional: which dimensions there are depends on the backend. A dimension is a set of
settings that exclude each other (they state the same field, or one that another of them
states), so any choice of one from each dimension merges into settings without conflict.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fitwright.records.plan import BackendPlan, Settings
from fitwright.records.recipe import Variant
from fitwright.records.trial import Candidate

Dimension = tuple[Settings, ...]  # the backend's own default first


@dataclass(frozen=True, kw_only=True)
class Point:
    """One choice in the joint space.

    Attributes:
        pair: place of the (variant, backend) pair in the space.
        choices: per dimension of that pair's backend, the place of what is chosen.
    """

    pair: int
    choices: tuple[int, ...]


def dimensions(plan: BackendPlan) -> tuple[Dimension, ...]:
    """The plan's settings as independent dimensions, each opened by the default."""
    groups: list[tuple[set[str], list[Settings]]] = []
    for settings in plan.settings:
        stated = set(settings.model_dump(exclude_defaults=True))
        if not stated:
            continue
        overlapping = [group for group in groups if group[0] & stated]
        merged: tuple[set[str], list[Settings]] = (set(stated), [])
        for group in overlapping:
            groups.remove(group)
            merged[0].update(group[0])
            merged[1].extend(group[1])
        merged[1].append(settings)
        groups.append(merged)
    return tuple((Settings(), *choices) for _, choices in groups)


@dataclass(frozen=True, kw_only=True)
class JointSpace:
    """Every candidate that settings make of some pairs.

    Attributes:
        pairs: (variant, backend), the most promising first.
        dimensions: by backend.
    """

    pairs: tuple[tuple[Variant, str], ...]
    dimensions: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)

    def of_pair(self, pair: int) -> tuple[Dimension, ...]:
        """The dimensions of one pair's backend."""
        return self.dimensions.get(self.pairs[pair][1], ())

    def candidate(self, point: Point) -> Candidate:
        """What that choice stands for; what the variant requires wins over any choice."""
        variant, backend = self.pairs[point.pair]
        settings = Settings()
        for choices, chosen in zip(self.of_pair(point.pair), point.choices, strict=True):
            settings = settings.merged(choices[chosen])
        return Candidate(
            variant_id=variant.id,
            title=variant.title,
            backend=backend,
            settings=settings.on(variant.settings),
        )

    def points(self) -> Iterator[Point]:
        """Every point; those near the defaults first within a pair."""
        for pair in range(len(self.pairs)):
            sizes = [len(choices) for choices in self.of_pair(pair)]
            ordered = sorted(
                itertools.product(*map(range, sizes)), key=lambda c: (sum(map(bool, c)), c)
            )
            yield from (Point(pair=pair, choices=choices) for choices in ordered)

    def size(self) -> int:
        """How many points there are."""
        sizes = (
            math.prod(len(choices) for choices in self.of_pair(pair))
            for pair in range(len(self.pairs))
        )
        return sum(sizes)


def joint_space(pairs: Sequence[tuple[Variant, str]], plans: Sequence[BackendPlan]) -> JointSpace:
    """The space of these pairs under the plan's settings."""
    return JointSpace(
        pairs=tuple(pairs), dimensions={plan.backend: dimensions(plan) for plan in plans}
    )

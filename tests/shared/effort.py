"""How much work something is, counted and not timed: the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Effort:
    """Functions in Python that were called."""

    num_calls: int = 0


@contextmanager
def counted_calls(*, at_most: float = float("inf")) -> Iterator[Effort]:
    """Counts within the block, in this thread, and stops work that explodes.

    Raises:
        AssertionError: more than that were called.
    """
    effort, before = Effort(), sys.getprofile()

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        effort.num_calls += event == "call"
        assert effort.num_calls <= at_most, f"over {at_most:,} calls"

    sys.setprofile(count)
    try:
        yield effort
    finally:
        sys.setprofile(before)

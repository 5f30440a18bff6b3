"""Progress on stderr: a live line with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text


ETA_EVERY_S = 30.0  # plain lines do not repeat the estimate more often


class PlainLines:
    """One line per event, with the time since the start; now and then the time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._told = self._start

    def step(self, text: str) -> None:
        """A new step of the flow."""
        self.say(text)

    def say(self, text: str) -> None:
        """One line of progress."""
        print(f"[{self._clock() - self._start:6.1f} s] {text}", file=sys.stderr, flush=True)

    def budget(self, spent_s: float, total_s: float, eta_s: float | None = None) -> None:
        """How long the search will still take, when that is known, every half minute."""
        if eta_s is not None and self._clock() - self._told >= ETA_EVERY_S:
            self._told = self._clock()
            self.say(time_left(total_s - spent_s, eta_s))


def time_left(left_s: float, eta_s: float | None) -> str:
    """``about 40 s to go (at most 4 min)``; only the budget where nothing is known yet."""
    left_s = max(left_s, 0.0)
    if eta_s is None:
        return f"{_rough(left_s)} left"
    if eta_s >= left_s:
        return f"about {_rough(left_s)} to go"
    return f"about {_rough(max(eta_s, 0.0))} to go (at most {_rough(left_s)})"


def _rough(seconds: float) -> str:
    """An estimate in the unit that suits it, without false precision."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class LiveLine:
    """Steps and results scroll by; the last line shows what runs now and the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._text = ""
        self._end_s: float | None = None
        self._done_s: float | None = None
        self._status: Status = self._console.status(self)

    def __enter__(self) -> LiveLine:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def __rich__(self) -> Text:
        """The live line at this moment; drawn again several times a second."""
        from rich.text import Text

        if self._end_s is None:
            return Text(self._text[:90])
        now_s = time.monotonic()
        eta_s = None if self._done_s is None else self._done_s - now_s
        return Text(f"{self._text[:90]} · {time_left(self._end_s - now_s, eta_s)}")

    def step(self, text: str) -> None:
        """A new step of the flow."""
        self._text = text
        self._console.print(text, style="bold", markup=False)

    def say(self, text: str) -> None:
        """One line of progress."""
        self._text = text
        self._console.print(f"  {text}", markup=False)

    def budget(self, spent_s: float, total_s: float, eta_s: float | None = None) -> None:
        """Time used, allowed and expected; the line counts down from here by itself."""
        now_s = time.monotonic()
        self._end_s = now_s + total_s - spent_s
        self._done_s = None if eta_s is None else now_s + eta_s

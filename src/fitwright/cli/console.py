"""Progress on stderr: a live line with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text


class PlainLines:
    """One line per event, with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """A new step of the flow."""
        self.say(text)

    def say(self, text: str) -> None:
        """One line of progress."""
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", file=sys.stderr, flush=True)

    def budget(self, spent_s: float, total_s: float) -> None:
        """Plain lines carry their own time."""


class LiveLine:
    """Steps and results scroll by; the last line shows what runs now and the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._text = ""
        self._end_s: float | None = None
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
        left_s = max(self._end_s - time.monotonic(), 0.0)
        return Text(f"{self._text[:90]} · {left_s:.0f} s left")

    def step(self, text: str) -> None:
        """A new step of the flow."""
        self._text = text
        self._console.print(text, style="bold", markup=False)

    def say(self, text: str) -> None:
        """One line of progress."""
        self._text = text
        self._console.print(f"  {text}", markup=False)

    def budget(self, spent_s: float, total_s: float) -> None:
        """Time used and allowed; the line counts down from here by itself."""
        self._end_s = time.monotonic() + total_s - spent_s

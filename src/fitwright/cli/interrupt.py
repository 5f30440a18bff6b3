"""Ctrl-C and SIGTERM end the command, wherever they strike."""

from __future__ import annotations

import _thread
import signal
import sys


def end_when_interrupted() -> None:
    """SIGTERM ends as Ctrl-C does, and neither is lost in a finaliser.

    Python drops what is raised inside a finaliser, a weak reference's callback or the garbage
    collector's: an interrupt that happens to strike there would be shown as ignored, and the
    command would go on. Such an interrupt is raised once more, in the main thread.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _again


def _again(dropped: sys.UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        _thread.interrupt_main()
        return
    sys.__unraisablehook__(dropped)
